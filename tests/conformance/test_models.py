"""What every model in the registry promises; a new model is tested by its line in EXAMPLES."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hpcrg.bank.schema import decode, encode
from hpcrg.enumeration import energies, enumerate_all, parities, raw_order
from hpcrg.errors import InputError, Unsupported
from hpcrg.lattice import Lattice
from hpcrg.layout import plain
from hpcrg.models import EXAMPLES, make_model
from hpcrg.models.bonds import both_ways
from hpcrg.observables import initial
from hpcrg.rng import Purpose, load, stream
from hpcrg.rounds import make_look
from hpcrg.system import System
from hpcrg.updates.base import gap_levels

SPECS = [spec for spec in EXAMPLES if not make_model(spec).spin_components]
LATTICES = [
    Lattice((6,)), Lattice((4, 6)), Lattice((6, 6), "triangular"), Lattice((2, 3, 5)), Lattice((2, 3, 2, 3)),
    Lattice((3, 4), "honeycomb"), Lattice((4, 6), boundary="free"), Lattice((4, 6), boundary="helical"),
    Lattice((3, 4), "honeycomb", "free"), Lattice((3, 4), "triangular", "free"),
]  # fmt: skip
ISING = {"type": "ising"}


def name_of(value):
    """Names of parameters of tests."""
    if isinstance(value, Lattice):
        return f"{value.boundary}-{value.kind}-{value.dimension}d"
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.fixture(params=SPECS, ids=name_of)
def model(request):
    """Every example of discrete spins."""
    return make_model(request.param)


def home(model):
    """The first lattice that a model can live on, in d = 2."""
    for lattice in LATTICES:
        try:
            if lattice.dimension == 2:
                return System(model, lattice)
        except Unsupported:
            continue
    raise AssertionError(model.name)


def systems(specs, lattices):
    """The pairs that go together."""
    found = []
    for spec, lattice in product(specs, lattices):
        try:
            System(make_model(spec), lattice)
        except Unsupported:
            continue
        found.append((spec, lattice))
    return found


def all_spins(model):
    """The spins of all codes."""
    return model.from_codes(np.arange(model.states, dtype=np.uint8))


@pytest.mark.parametrize("spec", EXAMPLES, ids=name_of)
def test_the_registry_and_the_model_agree(spec):
    model = make_model(spec)
    assert make_model({"type": model.name, **model.params}) == model
    assert make_model({"type": model.name, **model.params}).physics is model.physics
    assert model.states == model.physics.states
    assert model.components >= 1
    assert model.version >= 1


def test_different_physics_have_different_names():
    """A name stands for the physics in timings."""
    every = [make_model(spec).physics for spec in EXAMPLES]
    assert all((a.name == b.name) == (a is b) for a, b in product(every, repeat=2))


def test_systems_whose_kernels_differ_have_different_names():
    """Diluted bonds and glass couplings are both integers, and ask for different orders of sites; a cut bond is an
    integer coupling as well, and has no improved estimators."""
    square, free = Lattice((4, 4)), Lattice((4, 4), boundary="free")
    diluted, glass = make_model({"type": "diluted_ising", "bond": 0.3}), make_model({"type": "edwards_anderson"})
    names = [System(m, lat).name for m in (make_model(ISING), diluted, glass) for lat in (square, free)]
    assert len(set(names)) == 4  # the last two models have integer couplings already


def test_codes_and_spins_are_inverse(model):
    codes = np.arange(model.states, dtype=np.uint8).reshape(1, -1)
    assert np.array_equal(model.codes(model.from_codes(codes)), codes)
    assert model.from_codes(codes).dtype == model.dtype
    decoded = [model.physics.decode(c) for c in range(model.states)]
    assert np.array_equal(decoded, all_spins(model))


def test_pair_energies_are_symmetric_and_span_what_they_say(model):
    bond = np.array([[model.physics.pair(a, b) for b in all_spins(model)] for a in all_spins(model)])
    assert np.array_equal(bond, bond.T)
    if model.physics.integer:
        assert np.array_equal(bond, np.round(bond))
        assert bond.max() - bond.min() == model.physics.pair_span


@pytest.mark.parametrize("spec", [s for s in SPECS if home(make_model(s)).integer], ids=name_of)
def test_the_local_energy_spans_what_it_says(spec):
    """Tables of Boltzmann factors are as long as that."""
    model = make_model(spec)
    system = home(model)
    frozen = system.disorder(np.random.default_rng(3))
    spins = np.array([initial(system, "random", stream(8, Purpose.SYNTHETIC, w), frozen.vacant) for w in range(50)])
    other = np.repeat(spins[:, None], model.states, axis=1)
    other[:, np.arange(model.states), 0] = all_spins(model)
    if frozen.vacant is not None and frozen.vacant[0]:
        other[:, :, 0] = 0
    found = energies(system, other.reshape(-1, system.volume), frozen).reshape(50, -1)
    assert np.ptp(found, axis=1).max() <= system.local_span


def test_proposals_are_symmetric_and_move(model):
    spins, tries = all_spins(model), 4000
    counts = np.zeros((model.states, model.states))
    state = load(stream(3, Purpose.SYNTHETIC))
    for a, spin in enumerate(spins):
        for _ in range(tries):
            state, new = model.physics.propose(tuple(map(np.uint64, state)), spin)
            counts[a, model.codes(np.array([new]))[0]] += 1
    assert not counts.diagonal().any()
    assert np.abs(counts - counts.T).max() <= 6 * np.sqrt(tries)
    assert np.all(counts.sum(axis=1) == tries)


def mirrors(physics):
    """Every group of moves that `mirror` gives."""
    found, state = set(), load(stream(4, Purpose.SYNTHETIC))
    for _ in range(200):
        state, m = physics.mirror(tuple(map(np.uint64, state)))
        found.add(m)
    return sorted(found)


def gap_faults(physics, spins, coupling):
    """What is wrong with the gaps of a model at one coupling."""
    faults = []
    for m, a, b in product(mirrors(physics), spins, spins):
        moved = [(physics.reflect(m, k, a), physics.reflect(m, k, b)) for k in range(physics.moves)]
        x, y = physics.project(m, a), physics.project(m, b)
        energy = [coupling * physics.pair(left, b) for left, _ in moved]
        faults += ["move 0"] if moved[0] != (a, b) else []
        faults += ["symmetry"] if np.ptp([physics.pair(*pair) for pair in moved]) > 1e-12 else []
        faults += ["gap"] if abs(physics.gap(x, y, coupling) - (max(energy) - energy[0])) > 1e-12 else []
        again = [physics.gap(x, physics.project(m, right), coupling) for _, right in moved[1:]]
        if coupling > 0 and physics.gap(x, y, coupling) > 0 and max(again) > 0:
            faults.append("a neighbour that has moved would join again")
    return faults


def couplings_of(model):
    """Bonds that attract, repel and are cut; and real ones, unless the gaps of the model are integers."""
    return (1, -1, 0) if gap_levels(home(model)) > 1 and model.coupling != "real" else (1, -1, 0, 0.7, -1.3)


MIRRORED = [s for s in SPECS if make_model(s).physics.mirror]


@pytest.mark.parametrize(("spec", "coupling"), [(s, c) for s in MIRRORED for c in couplings_of(make_model(s))])
def test_moves_keep_pairs_and_gaps_are_what_they_say(spec, coupling):
    model = make_model(spec)
    assert gap_faults(model.physics, all_spins(model), coupling) == []


@pytest.mark.parametrize("spec", MIRRORED, ids=name_of)
def test_a_gap_that_forgets_the_sign_of_the_coupling_is_refused(spec):
    """Twin: bonds that repel, treated as if they attracted; a swallowed factor of two; a move that is no symmetry."""
    model = make_model(spec)
    physics, spins = model.physics, all_spins(model)
    unsigned = physics._replace(gap=lambda x, y, c: physics.gap(x, y, abs(c)))
    half = physics._replace(gap=lambda x, y, c: physics.gap(x, y, c) / 2)
    assert "gap" in gap_faults(unsigned, spins, -1)
    assert "gap" in gap_faults(half, spins, 1)


def test_all_reflections_of_the_clock_are_drawn():
    """Even ones alone would not be ergodic for even q."""
    assert mirrors(make_model({"type": "clock", "q": 6}).physics) == [0, 1, 2, 3, 4, 5]


def test_frozen_is_said_of_vacancies_alone(model):
    if model.physics.frozen is None:
        return
    assert model.physics.frozen(np.int8(0))
    assert not any(model.physics.frozen(spin) for spin in all_spins(model))


def random_order(model):
    """N times the mean squared order parameter of independent spins, by enumeration."""
    lattice = Lattice((3, 3), "triangular") if model.name == "baxter_wu" else Lattice((2, 2))
    return lattice.volume * enumerate_all(System(model, lattice)).order2.mean()


@pytest.mark.parametrize(("spec", "lattice"), systems(SPECS, LATTICES), ids=name_of)
def test_the_squared_order_parameter_is_one_when_ordered_and_small_when_random(spec, lattice):
    system, rng = System(make_model(spec), lattice), stream(5, Purpose.SYNTHETIC)
    model, volume = system.model, lattice.volume
    ordered = initial(system, "ordered", rng)
    assert model.order2(raw_order(system, ordered[None]), volume) == pytest.approx([1.0])
    random = np.array([initial(system, "random", rng) for _ in range(400)])
    values = model.order2(raw_order(system, random), volume)
    assert values.mean() == pytest.approx(random_order(model) / volume, abs=6 * values.std() / 20)


def plain_structure(system, walker):
    """The structure factor at the smallest wave vectors by fast Fourier transform, one component at a time."""
    model, lattice, power = system.model, system.lattice, 0.0
    spot = np.zeros((lattice.volume, model.components))
    for site in range(lattice.volume):
        if not (model.physics.frozen and model.physics.frozen(walker[site])):
            model.physics.book(spot[site], walker[site], parities(system)[site])
    cells = spot.reshape(lattice.basis, *lattice.shape, model.components).sum(axis=0)
    for c in range(model.components):
        spectrum = np.abs(np.fft.fftn(cells[..., c])) ** 2
        power += sum(spectrum[tuple(np.eye(lattice.dimension, dtype=int)[axis])] for axis in range(lattice.dimension))
    return model.structure_scale * power / (lattice.dimension * lattice.volume**2)


def check_measurements(spec, lattice):
    """A compiled measurement of random spins against numpy."""
    system, rng = System(make_model(spec), lattice), stream(6, Purpose.SYNTHETIC)
    model, frozen = system.model, system.disorder(np.random.default_rng(2))
    spins = np.array([initial(system, "random", rng, frozen.vacant) for _ in range(5)])
    layout = plain(system)
    tables, shape = layout.prepare(frozen.couplings), np.array(lattice.shape, np.int64)
    energy, structure = np.empty(5, system.energy_dtype), np.empty(5)
    order = np.empty((5, model.components), model.order_dtype)
    make_look(system, layout)(spins, *tables, shape, model.structure_scale, energy, order, structure)
    assert np.allclose(order, raw_order(system, spins), atol=1e-12, rtol=0)
    assert np.allclose(energy, energies(system, spins, frozen), atol=1e-10, rtol=0)
    assert structure == pytest.approx([plain_structure(system, walker) for walker in spins], abs=1e-12)


QUICK = [(spec, home(make_model(spec)).lattice) for spec in SPECS]
QUICK += [(ISING, lattice) for lattice in LATTICES if (ISING, lattice) not in QUICK]
# A cut bond is a coupling of 0, on one lattice as on the others: Ising is measured with every boundary everywhere.
ALIKE = [
    lattice
    for lattice in LATTICES
    if lattice.boundary == "periodic" or (lattice.kind == "hypercubic" and lattice.dimension == 2)
]
SLOW = [case for case in systems(SPECS, ALIKE) if case not in QUICK]


@pytest.mark.parametrize(("spec", "lattice"), QUICK, ids=name_of)
def test_measurements_are_those_of_numpy(spec, lattice):
    check_measurements(spec, lattice)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "lattice"), SLOW, ids=name_of)
def test_measurements_are_those_of_numpy_on_every_lattice(spec, lattice):
    check_measurements(spec, lattice)


def one_sided(lattice, table, couplings):
    """Whether some bond looks different from its two ends; a cut bond has one end."""
    back = lattice.opposite(table.shape[1])
    for k in range(table.shape[1]):
        whole = table[:, k] != np.arange(len(table))
        if (couplings[whole, k] != couplings[table[whole, k], back[k]]).any():
            return True
    return False


@pytest.mark.parametrize(("spec", "lattice"), [c for c in systems(SPECS, LATTICES) if System(make_model(c[0]), c[1]).coupling != "none"], ids=name_of)  # fmt: skip
def test_couplings_are_the_same_from_both_ends_and_0_where_a_bond_is_cut(spec, lattice):
    system = System(make_model(spec), lattice)
    couplings = system.disorder(np.random.default_rng(1)).couplings
    assert not one_sided(lattice, system.neighbours, couplings)
    cut = system.neighbours == np.arange(system.volume)[:, None]
    assert cut.any() == (lattice.boundary == "free")
    assert not couplings[cut].any()
    again = system.disorder(np.random.default_rng(2)).couplings
    assert np.array_equal(couplings, again) != system.disordered or system.physics.frozen is not None


@pytest.mark.parametrize("lattice", LATTICES, ids=name_of)
def test_bonds_drawn_from_one_end_alone_are_refused(lattice):
    """Twin: a number of its own for either end of a bond."""
    table, generator = lattice.neighbours(), np.random.default_rng(3)
    values = generator.standard_normal((len(lattice.bond_sites), len(lattice.bond_columns(table.shape[1]))))
    assert not one_sided(lattice, table, both_ways(lattice, table, values))
    assert one_sided(lattice, table, generator.standard_normal(table.shape))


@pytest.mark.parametrize("kind", ["site", "bond"])
def test_dilution_is_as_asked(kind):
    system = System(make_model({"type": "diluted_ising", kind: 0.3}), Lattice((40, 40)))
    drawn = system.disorder(np.random.default_rng(1))
    missing = drawn.vacant if kind == "site" else 1 - drawn.couplings
    assert missing.mean() == pytest.approx(0.3, abs=6 * np.sqrt(0.21 / 1600))
    assert (drawn.vacant is None) == (kind == "bond")


def test_vacancies_are_kept_in_banks():
    """They are a third state beside up and down, so spins are not stored as bits."""
    model, lattice = make_model({"type": "diluted_ising", "site": 0.3}), Lattice((4, 4))
    spins = np.tile(np.array([-1, 0, 1, 1], np.int8), 4)[None]
    assert np.array_equal(decode(model, lattice, encode(model, lattice, spins)).reshape(1, -1), spins)


def test_starts(model):
    system = System(model, Lattice((66, 66), "triangular" if model.name == "baxter_wu" else "hypercubic"))
    random = initial(system, "random", stream(7, Purpose.SYNTHETIC))
    assert np.array_equal(random, initial(system, "random", stream(7, Purpose.SYNTHETIC)))
    share = np.bincount(model.codes(random), minlength=model.states) / system.volume
    assert np.abs(share - 1 / model.states).max() < 6.5 * np.sqrt(0.25 / system.volume)
    with pytest.raises(InputError, match="did you mean 'random'"):
        initial(system, "randon", stream(7, Purpose.SYNTHETIC))


PLACES = [Lattice((4,) * d) for d in (1, 2, 3)] + [Lattice((6, 6), "triangular"), Lattice((4, 4), "honeycomb")]
KNOWN = [(spec, lattice) for spec, lattice in systems(EXAMPLES, PLACES) if make_model(spec).exact(lattice).y_t]
KNOWN += [
    ({"type": "blume_capel", "D": 1.966}, Lattice((4, 4))),
    ({"type": "ashkin_teller", "K": -0.7}, Lattice((4, 4))),
]
KNOWN += [({"type": "clock", "q": q}, lattice) for q in (3, 4) for lattice in PLACES[1:2]]


@pytest.mark.parametrize(("spec", "lattice"), KNOWN, ids=name_of)
def test_published_exponents_obey_the_scaling_relations(spec, lattice):
    exact, d = make_model(spec).exact(lattice), lattice.dimension
    assert exact.nu.value == pytest.approx(1 / exact.y_t.value, rel=2e-5)
    assert exact.eta.value == pytest.approx(d + 2 - 2 * exact.y_h.value, abs=2e-5)
    assert exact.gamma.value == pytest.approx((2 * exact.y_h.value - d) * exact.nu.value, rel=2e-5)
    if exact.beta is not None:
        assert exact.beta.value == pytest.approx((d - exact.y_h.value) * exact.nu.value, rel=2e-5)
    assert all(getattr(exact, name).source for name in ("nu", "eta", "y_t", "y_h"))


def beta_c(spec, lattice=PLACES[1]):
    """The critical point that a model states."""
    return make_model(spec).exact(lattice).beta_c.value


def test_critical_points():
    assert 1 / beta_c(ISING) == pytest.approx(2.269185314213022, abs=1e-14)
    assert 1 / beta_c({"type": "potts", "q": 3}) == pytest.approx(0.994972861, abs=1e-9)
    assert make_model({"type": "potts", "q": 10}).exact(PLACES[1]).nu is None
    assert make_model(ISING).exact(Lattice((4,))).beta_c is None
    assert beta_c({"type": "baxter_wu"}, PLACES[3]) == pytest.approx(beta_c(ISING), abs=1e-14)
    assert beta_c({"type": "clock", "q": 3}) == pytest.approx(beta_c({"type": "potts", "q": 3}) * 2 / 3, abs=1e-14)
    assert make_model({"type": "clock", "q": 6}).exact(PLACES[1]).beta_c is None
    assert make_model({"type": "edwards_anderson"}).exact(PLACES[1]).beta_c is None


@pytest.mark.parametrize("lattice", [PLACES[1], PLACES[3], PLACES[4]], ids=name_of)
def test_critical_points_of_models_that_are_one_another(lattice):
    """Two colours are Ising spins at half the beta; four clock states are two of those at twice it."""
    assert beta_c({"type": "potts", "q": 2}, lattice) == pytest.approx(2 * beta_c(ISING, lattice), abs=1e-13)
    assert beta_c({"type": "clock", "q": 4}, lattice) == pytest.approx(2 * beta_c(ISING, lattice), abs=1e-14)


def test_the_ashkin_teller_line_joins_two_ising_models_with_four_colours():
    """E of K = 1 is 1 - 4 delta."""
    assert beta_c({"type": "ashkin_teller", "K": 0}) == pytest.approx(beta_c(ISING), abs=1e-14)
    assert beta_c({"type": "ashkin_teller", "K": 1}) == pytest.approx(beta_c({"type": "potts", "q": 4}) / 4, abs=1e-14)
    ends = [make_model({"type": "ashkin_teller", "K": K}).exact(PLACES[1]) for K in (0, 1)]
    assert [e.nu.value for e in ends] == pytest.approx([1, 2 / 3], abs=1e-7)


BAD = [
    ({}, "model.type: expected one of"),
    ({"type": "isng"}, "did you mean 'ising'"),
    ({"type": "ising", "q": 3}, "model.q"),
    ({"type": "potts"}, "model.q: expected a value"),
    ({"type": "potts", "q": 1}, "model.q: expected an integer from 2"),
    ({"type": "potts", "q": 2.0}, "model.q: expected an integer"),
    ({"type": "potts", "q": True}, "model.q: expected an integer"),
    ({"type": "potts", "Q": 3}, "model.Q"),
    ({"type": "clock", "q": 2}, "2 is ising"),
    ({"type": "blume_capel", "D": float("nan")}, "model.D: expected a finite number"),
    ({"type": "ashkin_teller", "K": 1.5}, "from -1 to 1"),
    ({"type": "j1j2", "J2": float("inf")}, "model.J2: expected a finite number"),
    ({"type": "diluted_ising"}, "one of `site` and `bond`"),
    ({"type": "diluted_ising", "site": 0.1, "bond": 0.1}, "one of `site` and `bond`"),
    ({"type": "diluted_ising", "site": 1.0}, "a probability below 1"),
    ({"type": "edwards_anderson", "couplings": "gausian"}, "did you mean 'gaussian'"),
]


@pytest.mark.parametrize(("spec", "message"), BAD)
def test_wrong_models_are_refused_by_name(spec, message):
    with pytest.raises(InputError, match=message):
        make_model(spec)


@pytest.mark.parametrize(("spec", "lattice"), [
    ({"type": "baxter_wu"}, Lattice((4, 6), "triangular")), ({"type": "baxter_wu"}, Lattice((6, 6))),
    ({"type": "j1j2", "J2": -1}, Lattice((4, 5))), ({"type": "j1j2", "J2": -1}, Lattice((4, 4, 4))),
])  # fmt: skip
def test_lattices_on_which_an_order_does_not_fit_are_refused(spec, lattice):
    with pytest.raises(Unsupported, match="fit"):
        System(make_model(spec), lattice)
