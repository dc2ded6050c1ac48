"""What every model in the registry promises; a new model is tested by its line in EXAMPLES."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hpcrg.models.enumeration import raw_order

from hpcrg.errors import InputError
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, MODELS, make_model
from hpcrg.observables import build_measure, initial
from hpcrg.rng import Purpose, load, stream

MODELS_TO_TEST = [make_model(spec) for spec in EXAMPLES]
SHAPES = [(6,), (4, 6), (3, 4, 5)]


@pytest.fixture(params=MODELS_TO_TEST, ids=lambda m: f"{m.name}{m.params}")
def model(request):
    """Every example."""
    return request.param


def all_spins(model):
    """The spins of all codes."""
    return model.from_codes(np.arange(model.states, dtype=np.uint8))


def test_the_registry_and_the_model_agree(model):
    assert make_model({"type": model.name, **model.params}) == model
    assert type(model) is MODELS[model.name]
    assert model.states == model.physics.states
    assert model.components >= 1
    assert model.version >= 1


def test_codes_and_spins_are_inverse(model):
    codes = np.arange(model.states, dtype=np.uint8).reshape(1, -1)
    assert np.array_equal(model.codes(model.from_codes(codes)), codes)
    assert model.from_codes(codes).dtype == model.dtype
    decoded = [model.physics.decode(c) for c in range(model.states)]
    assert np.array_equal(decoded, all_spins(model))


def test_pair_energies_are_symmetric_and_span_what_they_say(model):
    bond = np.array([[model.physics.pair(a, b) for b in all_spins(model)] for a in all_spins(model)])
    assert np.array_equal(bond, bond.T)
    assert bond.max() - bond.min() == model.physics.pair_span
    assert np.array_equal(bond, np.round(bond))


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


def test_moves_keep_pairs_and_gaps_are_what_they_say(model):
    physics = model.physics
    _, m = physics.mirror(load(stream(4, Purpose.SYNTHETIC)))
    for a, b in product(all_spins(model), repeat=2):
        moved = [(physics.reflect(m, k, a), physics.reflect(m, k, b)) for k in range(physics.moves)]
        assert moved[0] == (a, b)
        assert {physics.pair(*pair) for pair in moved} == {physics.pair(a, b)}
        highest = max(physics.pair(left, b) for left, _ in moved)
        gap = physics.gap(m, a, b)
        assert gap == highest - physics.pair(a, b)
        assert 0 <= gap <= physics.gap_span
        if gap:  # a neighbour that has moved must not join again
            assert all(physics.gap(m, a, right) == 0 for _, right in moved[1:])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_squared_order_parameter_is_one_when_ordered_and_small_when_random(model, shape):
    lattice, rng = Lattice(shape), stream(5, Purpose.SYNTHETIC)
    ordered = initial(model, lattice, "ordered", rng)
    assert model.order2(raw_order(model, ordered[None]), lattice.volume) == pytest.approx([1.0])
    random = np.array([initial(model, lattice, "random", rng) for _ in range(400)])
    values = model.order2(raw_order(model, random), lattice.volume)
    assert values.mean() == pytest.approx(1 / lattice.volume, abs=6 * values.std() / 20)


@pytest.mark.parametrize("shape", SHAPES)
def test_measurements_are_those_of_numpy(model, shape):
    lattice, rng = Lattice(shape), stream(6, Purpose.SYNTHETIC)
    spins = np.array([initial(model, lattice, "random", rng) for _ in range(5)])
    energy, order, structure = np.empty(5, np.int64), np.empty((5, model.components), np.int64), np.empty(5)
    build_measure(model, lattice)(spins, lattice.neighbours(), energy, order, structure)
    assert np.array_equal(order, raw_order(model, spins))
    for w, walker in enumerate(spins.reshape(5, *shape)):
        bonds = [(walker, np.roll(walker, -1, axis)) for axis in range(len(shape))]
        pairs = (zip(a.ravel(), b.ravel(), strict=True) for a, b in bonds)
        assert energy[w] == sum(int(model.physics.pair(a, b)) for row in pairs for a, b in row)
        assert structure[w] == pytest.approx(plain_structure(model, walker), abs=1e-12)


def plain_structure(model, walker):
    """The structure factor at the smallest wave vectors by fast Fourier transform, one component at a time."""
    power = 0.0
    for c in range(model.components):
        field = np.zeros(walker.shape)
        for spin in all_spins(model):
            field += (walker == spin) * model.physics.weight(spin) * (model.physics.channel(spin) == c)
        spectrum = np.abs(np.fft.fftn(field)) ** 2
        power += sum(spectrum[tuple(np.eye(field.ndim, dtype=int)[axis])] for axis in range(field.ndim))
    return model.structure_scale * power / (walker.ndim * walker.size**2)


def test_starts(model):
    lattice = Lattice((64, 64))
    random = initial(model, lattice, "random", stream(7, Purpose.SYNTHETIC))
    assert np.array_equal(random, initial(model, lattice, "random", stream(7, Purpose.SYNTHETIC)))
    share = np.bincount(model.codes(random), minlength=model.states) / lattice.volume
    assert np.abs(share - 1 / model.states).max() < 6 * np.sqrt(0.25 / lattice.volume)
    with pytest.raises(InputError, match="did you mean 'random'"):
        initial(model, lattice, "randon", stream(7, Purpose.SYNTHETIC))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_published_exponents_obey_the_scaling_relations(model, dimension):
    exact = model.exact(Lattice((4,) * dimension))
    if exact.y_t is None:
        pytest.skip(f"{model.name} in d = {dimension} has no critical point with known exponents in MODELS")
    assert exact.nu.value == pytest.approx(1 / exact.y_t.value, rel=2e-5)
    assert exact.eta.value == pytest.approx(dimension + 2 - 2 * exact.y_h.value, abs=2e-5)
    assert exact.gamma.value == pytest.approx((2 * exact.y_h.value - dimension) * exact.nu.value, rel=2e-5)
    assert all(getattr(exact, name).source for name in ("beta_c", "nu", "eta", "y_t", "y_h"))


def test_critical_points():
    square = Lattice((4, 4))
    ising, potts2 = make_model({"type": "ising"}), make_model({"type": "potts", "q": 2})
    assert 1 / ising.exact(square).beta_c.value == pytest.approx(2.269185314213022, abs=1e-14)
    assert potts2.exact(square).beta_c.value == pytest.approx(2 * ising.exact(square).beta_c.value, abs=1e-14)
    assert 1 / make_model({"type": "potts", "q": 3}).exact(square).beta_c.value == pytest.approx(0.994972861, abs=1e-9)
    assert make_model({"type": "potts", "q": 10}).exact(square).nu is None
    assert ising.exact(Lattice((4,))).beta_c is None


BAD = [
    ({}, "model.type: expected one of"),
    ({"type": "isng"}, "did you mean 'ising'"),
    ({"type": "ising", "q": 3}, "model.q"),
    ({"type": "potts"}, "model.q: expected a value"),
    ({"type": "potts", "q": 1}, "model.q: expected an integer from 2"),
    ({"type": "potts", "q": 2.0}, "model.q: expected an integer"),
    ({"type": "potts", "q": True}, "model.q: expected an integer"),
    ({"type": "potts", "Q": 3}, "model.Q"),
]


@pytest.mark.parametrize(("spec", "message"), BAD)
def test_wrong_models_are_refused_by_name(spec, message):
    with pytest.raises(InputError, match=message):
        make_model(spec)
