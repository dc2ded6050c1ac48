"""What every update in the registry promises, for every model and lattice that it serves with a walker an array element."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hpcrg.enumeration import energies
from hpcrg.errors import Unsupported
from hpcrg.lattice import Lattice
from hpcrg.matrix import KINDS, cell, table
from hpcrg.models import EXAMPLES, make_model
from hpcrg.observables import initial
from hpcrg.rng import Purpose, stream
from hpcrg.system import System
from hpcrg.updates import UPDATES, check_round, kernel_version
from hpcrg.updates.base import compiled

DISCRETE = [spec for spec in EXAMPLES if not make_model(spec).spin_components]
SHAPES = {
    "chain": (6,),
    "square": (4, 6),
    "cubic": (3, 4, 2),
    "4d": (2, 3, 2, 2),
    "triangular": (3, 6),
    "honeycomb": (3, 4),
}
WALKERS = 5
ISING = {"type": "ising"}


def name_of(value):
    """Names of parameters of tests."""
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def system_of(spec, kind):
    """A model on the small lattice of a kind. Raises Unsupported."""
    return System(make_model(spec), Lattice(SHAPES[kind], KINDS[kind][0]))


def plain_cells(specs, kinds):
    """Every model, update and kind that goes together in the plain layout."""
    found = []
    for spec in specs:
        for kind in kinds:
            for name, update in UPDATES.items():
                try:
                    plain = update.build(system_of(spec, kind)).layout.name == "plain"
                except Unsupported:
                    continue
                found += [(spec, name, kind)] if plain else []
    return found


QUICK = plain_cells(DISCRETE, ["square"]) + plain_cells([{"type": "baxter_wu"}], ["triangular"])
QUICK += plain_cells([ISING], ["chain", "cubic", "triangular", "honeycomb"])
SLOW = [case for case in plain_cells(DISCRETE, KINDS) if case not in QUICK]


class Runner:
    """Random walkers of a system with streams of their own, and an update's sweep."""

    def __init__(self, spec, name, kind, walkers=WALKERS, start="random", lattice=None):
        self.system = system_of(spec, kind) if lattice is None else System(make_model(spec), lattice)
        self.update = UPDATES[name].build(self.system)
        self.sweep = compiled(self.update)
        self.disorder = self.system.disorder(np.random.default_rng(5))
        self.tables = self.update.layout.prepare(self.disorder.couplings)
        seeds = [stream(1, Purpose.INITIAL, w) for w in range(walkers)]
        self.spins = np.array([initial(self.system, start, seed, self.disorder.vacant) for seed in seeds])
        self.rng = np.array([stream(1, Purpose.WALKER, w) for w in range(walkers)])

    def run(self, betas, sweeps=6, which=slice(None)):
        """The spins, streams and last series of some walkers after some sweeps."""
        spins, rng = self.spins[which].copy(), self.rng[which].copy()
        info = np.full((len(spins), max(1, len(self.update.series))), np.nan)
        for _ in range(sweeps):
            self.sweep(spins, betas[which].copy(), rng, *self.tables, info)
        return spins, rng, info


def check_cell(spec, name, kind):
    """Walkers do not feel each other: all at once, one by one, and in reverse give the same bits, so a run does not
    depend on how ranks divide walkers. Spins stay valid, vacancies stay, the stream moves, the series is filled."""
    runner, betas = Runner(spec, name, kind), np.linspace(0.2, 1.0, WALKERS)
    together = runner.run(betas)
    alone = [runner.run(betas, which=slice(w, w + 1)) for w in range(WALKERS)]
    back = runner.run(betas, which=slice(None, None, -1))
    for part in range(3):
        assert np.array_equal(together[part], np.concatenate([one[part] for one in alone]))
        assert np.array_equal(together[part], back[part][::-1])
    after, moved, info = together
    model = runner.system.model
    there = np.ones(runner.system.volume, bool) if runner.disorder.vacant is None else runner.disorder.vacant == 0
    assert np.all(np.isin(after[:, there], model.from_codes(np.arange(model.states, dtype=np.uint8))))
    assert not after[:, ~there].any()
    assert np.all((moved != runner.rng).any(axis=1))
    assert (after != runner.spins).any()
    assert np.all((info >= 0) & (info <= 1 + 1e-12))


@pytest.mark.parametrize(("spec", "name", "kind"), QUICK, ids=name_of)
def test_a_sweep_of_every_walker_by_itself(spec, name, kind):
    check_cell(spec, name, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name", "kind"), SLOW, ids=name_of)
def test_a_sweep_of_every_walker_by_itself_on_every_lattice(spec, name, kind):
    check_cell(spec, name, kind)


ORDERING = [spec for spec in DISCRETE if spec["type"] not in ("edwards_anderson", "diluted_ising")]


@pytest.mark.parametrize(("spec", "name", "kind"), [c for c in QUICK if c[0] in ORDERING], ids=name_of)
def test_the_limit_of_zero_temperature(spec, name, kind):
    """beta = 50 leaves an ordered configuration at the lowest energy, whatever moves between equal ones."""
    lattice = Lattice((6, 6) if len(SHAPES[kind]) == 2 else SHAPES[kind], KINDS[kind][0])
    runner = Runner(spec, name, kind, 32, "ordered", lattice)
    lowest = energies(runner.system, runner.spins[:1], runner.disorder)
    assert (energies(runner.system, runner.run(np.full(32, 50.0))[0], runner.disorder) == lowest).all()


@pytest.mark.parametrize(("spec", "name", "kind"), QUICK, ids=name_of)
def test_the_limit_of_infinite_temperature(spec, name, kind):
    """beta = 0 leaves no order on average."""
    runner = Runner(spec, name, kind, 256, "random")
    hot = runner.run(np.zeros(256), sweeps=400 if name == "wolff" else 21)[0]
    model, system = runner.system.model, runner.system
    hot = hot[:, runner.disorder.vacant == 0] if runner.disorder.vacant is not None else hot
    share = np.bincount(model.codes(hot).ravel(), minlength=model.states) / hot.size
    assert np.abs(share - 1 / model.states).max() < 6.5 * np.sqrt(1 / model.states / hot.size), system.name


def test_cluster_updates_refuse_what_they_cannot_serve():
    ising = make_model(ISING)
    without = System(replace(ising, physics=ising.physics._replace(mirror=None)), Lattice((4, 4)))
    for name in ("wolff", "swendsen_wang"):
        with pytest.raises(Unsupported, match=f"{name}: expected a model with cluster moves, found ising: its energy"):
            UPDATES[name].build(without)
    with pytest.raises(Unsupported, match="overrelaxation: expected a model of vector spins, found ising"):
        UPDATES["overrelaxation"].build(System(make_model(ISING), Lattice((4, 4))))


def test_updates_that_do_not_reach_every_configuration_ask_for_another():
    system = System(make_model({"type": "blume_capel", "D": 1}), Lattice((4, 4)))
    with pytest.raises(Unsupported, match="an update beside them that reaches every configuration of blume_capel"):
        check_round(system, ["wolff", "swendsen_wang"], 1, 1)
    check_round(system, ["wolff", "metropolis"], 1, 1)


@pytest.mark.parametrize("spec", [
    {"type": "ising", "field": 0.1}, {"type": "clock", "q": 3}, {"type": "ashkin_teller", "K": 0.5},
    {"type": "blume_capel", "D": 0.5}, {"type": "diluted_ising", "site": 0.1}, {"type": "edwards_anderson"},
], ids=name_of)  # fmt: skip
def test_improved_estimators_are_left_where_they_would_be_wrong(spec):
    """Clusters of these models do not take every state alike, or not all bonds attract, or not all sites hold a spin."""
    assert UPDATES["swendsen_wang"].build(System(make_model(spec), Lattice((4, 4)))).series == ("clusters",)


def test_versions_name_everything_that_makes_the_numbers():
    system = System(make_model({"type": "potts", "q": 3}), Lattice((4, 4)))
    text = kernel_version(system, ["metropolis", "wolff"])
    assert re.fullmatch(r"kernels-\d+ potts-1 metropolis-\d+ wolff-\d+", text)


def test_every_cell_works_or_is_refused_with_a_reason():
    found, notes = table()
    verdicts = [value for row in found.rows for value in row[2:]]
    assert {value.split(" ")[0] for value in verdicts} == {"works", "beside", "refused"}
    assert all(value == "works" or re.fullmatch(r"(beside|refused) \[\d+\]", value) for value in verdicts)
    assert all("expected" in note for note in notes)
    assert len(set(notes)) == len(notes)


@pytest.mark.parametrize("kind", KINDS)
def test_single_spin_updates_serve_every_model_on_every_lattice_that_has_it(kind):
    for spec in EXAMPLES:
        verdicts = [cell(spec, name, kind).verdict for name in ("metropolis", "heat_bath")]
        refused = (
            spec["type"] in ("baxter_wu", "j1j2")
            and kind != {"baxter_wu": "triangular", "j1j2": "square"}[spec["type"]]
        )
        assert verdicts == ["refused" if refused else "works"] * 2


def test_clusters_serve_the_models_that_have_them():
    for spec in EXAMPLES:
        if spec["type"] in ("ising", "potts", "clock", "ashkin_teller", "diluted_ising", "xy", "heisenberg", "on"):
            assert {cell(spec, name, "cubic").verdict for name in ("wolff", "swendsen_wang")} == {"works"}
