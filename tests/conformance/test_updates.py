"""What every update in the registry promises, for every model and dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from hpcrg.errors import Unsupported
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, Ising, make_model
from hpcrg.observables import initial
from hpcrg.rng import Purpose, stream
from hpcrg.updates import UPDATES, kernel_version

CASES = [(spec, name, shape) for spec in EXAMPLES for name in UPDATES for shape in ((7,), (4, 5), (3, 4, 2))]
WALKERS = 5


def walkers(model, lattice):
    """Random spins and a stream of its own for each walker."""
    spins = [initial(model, lattice, "random", stream(1, Purpose.INITIAL, w)) for w in range(WALKERS)]
    return np.array(spins), np.array([stream(1, Purpose.WALKER, w) for w in range(WALKERS)])


def run(sweep, spins, betas, rng, table, sweeps=6):
    """The spins, streams and last series after some sweeps; the arguments stay as they are."""
    spins, rng, info = spins.copy(), rng.copy(), np.full((len(spins), len(sweep.series)), np.nan)
    for _ in range(sweeps):
        sweep.kernel(spins, betas, rng, table, info)
    return spins, rng, info


@pytest.mark.parametrize(("spec", "name", "shape"), CASES)
def test_walkers_do_not_feel_each_other(spec, name, shape):
    """All at once, one by one, and in reverse: the same bits. So a run does not depend on how ranks divide
    walkers."""
    model, lattice = make_model(spec), Lattice(shape)
    sweep, table = UPDATES[name].build(model, lattice), lattice.neighbours()
    betas = np.linspace(0.2, 1.0, WALKERS)
    spins, rng = walkers(model, lattice)
    together = run(sweep, spins, betas, rng, table)
    alone = [run(sweep, spins[w : w + 1], betas[w : w + 1], rng[w : w + 1], table) for w in range(WALKERS)]
    back = run(sweep, spins[::-1].copy(), betas[::-1].copy(), rng[::-1].copy(), table)
    for part in range(3):
        assert np.array_equal(together[part], np.concatenate([one[part] for one in alone]))
        assert np.array_equal(together[part], back[part][::-1])


@pytest.mark.parametrize(("spec", "name", "shape"), CASES)
def test_a_sweep_keeps_spins_valid_moves_the_stream_and_fills_its_series(spec, name, shape):
    model, lattice = make_model(spec), Lattice(shape)
    sweep = UPDATES[name].build(model, lattice)
    spins, rng = walkers(model, lattice)
    after, moved, info = run(sweep, spins, np.full(WALKERS, 0.3), rng, lattice.neighbours())
    assert np.all(np.isin(after, model.from_codes(np.arange(model.states, dtype=np.uint8))))
    assert np.all((moved != rng).any(axis=1))
    assert (after != spins).any()
    assert sweep.series == UPDATES[name].series
    assert np.all((info >= 0) & (info <= 1 + 1e-12))


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("name", UPDATES)
def test_the_limits_of_zero_and_infinite_temperature(spec, name):
    """beta = 50 leaves an ordered configuration ordered; beta = 0 leaves no order on average."""
    model, lattice = make_model(spec), Lattice((8, 8))
    sweep, table = UPDATES[name].build(model, lattice), lattice.neighbours()
    rng = np.array([stream(2, Purpose.WALKER, w) for w in range(64)])
    spins = np.array([initial(model, lattice, "ordered", rng[0])] * 64)
    cold = run(sweep, spins, np.full(64, 50.0), rng, table)[0]
    assert np.all(cold == cold[:, :1])
    hot = run(sweep, spins, np.zeros(64), rng, table, sweeps=21 if name != "wolff" else 2000)[0]
    share = np.bincount(model.codes(hot).ravel(), minlength=model.states) / hot.size
    even = 1 / model.states
    if name != "metropolis" or model.states > 2:  # every Metropolis flip of an Ising spin is accepted at beta = 0
        assert np.abs(share - even).max() < 6 * np.sqrt(even / hot.size)


@dataclass(frozen=True)
class Stranger:
    """What an update sees of a model that is in no registry."""

    name: str
    states: int
    physics: Any


NO_MIRROR = Stranger("three-body", 2, Ising().physics._replace(mirror=None))
CLOCK = Stranger("clock", 6, Ising().physics)


@pytest.mark.parametrize("name", ["wolff", "swendsen_wang"])
def test_cluster_updates_refuse_what_they_cannot_serve(name):
    with pytest.raises(Unsupported, match=f"{name}: expected a model whose pair energy has a mirror, found three-body"):
        UPDATES[name].build(NO_MIRROR, Lattice((4, 4)))
    with pytest.raises(Unsupported, match=name):
        UPDATES[name].check(NO_MIRROR, Lattice((4, 4)))


def test_swendsen_wang_refuses_improved_estimators_that_would_be_wrong():
    """A clock model's clusters take two of its states, so the formulas for m2 and m4 do not hold."""
    with pytest.raises(Unsupported, match="swendsen_wang: expected a model whose clusters take every state"):
        UPDATES["swendsen_wang"].check(CLOCK, Lattice((4, 4)))


def test_versions_name_everything_that_makes_the_numbers():
    model = make_model({"type": "potts", "q": 3})
    text = kernel_version(model, ["metropolis", "wolff"])
    assert text == "kernels-1 potts-1 metropolis-1 wolff-1"
