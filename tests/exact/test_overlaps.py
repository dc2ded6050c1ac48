"""Two copies of a spin glass through the whole sampler: energies and overlaps against enumeration, the plain layout and the
lanes of a word alike, with and without Houdayer moves; ground states against exhaustive minimisation.

Of two independent copies with <s_i s_j> = C_ij at one temperature, <q^2> = sum C_ij^2 / N^2, the link overlap is the
mean of C_ij^2 over bonds, and the structure factor has cos(k (x_i - x_j)) in the sum.
"""

from __future__ import annotations

import numpy as np
import pytest

from hpcrg.analysis.autocorrelation import gamma_method
from hpcrg.bank import open_bank
from hpcrg.campaign import parse
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.enumeration import enumerate_all
from hpcrg.errors import InputError
from hpcrg.jit import part
from hpcrg.models.base import Disorder
from hpcrg.sampler import Limits, sample
from hpcrg.updates import UPDATES, houdayer
from hpcrg.updates.base import UpdateType

SIGMAS = 6.0
SEED = 20261126
PLAIN, LANES = (2.0, 1.2, 0.7), tuple(np.linspace(2.0, 0.5, 20))
CASES = {
    "plain": (3, PLAIN, ("heat_bath",)), "metropolis": (3, PLAIN, ("metropolis",)),
    "houdayer": (3, PLAIN, ("heat_bath", "houdayer")), "lanes": (4, LANES, ("multispin",)),
}  # fmt: skip


def glass(size, betas, updates, dimension=2, couplings="pm1", **changes):
    """An ensemble of two copies."""
    fields = {
        "thermalise": 300, "measure": 4, "keep": 4, "chains": 3, "draws": 3000, "copies": 2,
    } | changes  # fmt: skip
    return Ensemble(
        "glass", size, {"type": "edwards_anderson", "couplings": couplings},
        {"type": "hypercubic", "dimension": dimension}, betas, tuple(UpdateCall(u) for u in updates), True, SEED,
        **fields,
    )  # fmt: skip


@pytest.fixture
def sampled(tmp_path):
    """A function that samples an ensemble and opens its bank."""

    def run(e):
        path = tmp_path / "bank.h5"
        sample(e, path, tmp_path / "state", Alone(), Limits(), lambda *_: None)
        return open_bank(path)

    return run


def exact_means(e, couplings, beta):
    """Energy, q^2, link overlap and structure factor of one sample, enumerated."""
    system = e.system
    every = enumerate_all(system, Disorder(couplings))
    weights, spins = every.weights(beta), every.spins.astype(float)
    c2 = (spins.T @ (weights[:, None] * spins)) ** 2
    half, table, n = system.lattice.dimension, system.neighbours, system.volume
    bonds = [c2[site, table[site, k]] for site in range(n) for k in range(half)]
    places, extent = np.indices(system.lattice.shape).reshape(half, -1), e.size
    apart = places[:, :, None] - places[:, None, :]
    structure = (np.cos(2 * np.pi * apart / extent) * c2).sum() / (half * n * n)
    return {
        "energy": weights @ every.energy, "q2": c2.sum() / n**2, "link_overlap": np.mean(bonds),
        "overlap_structure": structure,
    }  # fmt: skip


def scores(bank):
    """The deviations of all samples, slots and quantities from the enumerated ones, in standard errors."""
    e, found = bank.ensemble, []
    for chain in range(e.chains):
        for slot in range(0, e.slots, max(1, e.slots // 4)):
            exact = exact_means(e, bank.couplings(chain), e.betas[slot])
            between = {
                name: bank.series(name, chain, slot) for name in ("overlap", "link_overlap", "overlap_structure")
            }
            series = {"q2": between.pop("overlap") ** 2, **between}
            series["energy"] = np.stack([bank.series("energy", 2 * chain + copy, slot) for copy in (0, 1)])
            for name, values in series.items():
                result = gamma_method(np.atleast_2d(values.astype(float)))
                gap = abs(result.mean - exact[name])
                found.append(gap / result.error if result.error else 1e3 * (gap > 1e-9))
    return np.array(found)


@pytest.mark.parametrize("case", CASES)
def test_energies_and_overlaps_are_the_enumerated_ones(case, sampled):
    with sampled(glass(*CASES[case])) as bank:
        found = scores(bank)
    assert found.max() < SIGMAS
    assert np.sqrt(np.mean(found**2)) < 1.6  # errors are of the right size too


def test_houdayer_moves_between_unequal_temperatures_are_seen(sampled, monkeypatch, tmp_path):
    """Twin: walkers of the same number meet, wherever on the ladder they are."""

    def make_blind(system, slots, copies):
        move = houdayer.make(system)

        @part
        def sweep(block, betas, rng, neighbours, couplings, info):
            for w in range(block.shape[0] // 2):
                move(block[w], block[block.shape[0] // 2 + w], neighbours, couplings, rng[w])

        return sweep

    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path / "cache"))
    twin = {**vars(houdayer.HOUDAYER), "make": make_blind}
    monkeypatch.setitem(UPDATES, "houdayer", UpdateType(**twin))
    with sampled(glass(*CASES["houdayer"])) as bank:
        assert scores(bank).max() > SIGMAS


@pytest.mark.parametrize(("size", "dimension", "betas", "updates"), [
    (4, 3, LANES, ("multispin",)), (4, 2, PLAIN, ("heat_bath", "houdayer")),
])  # fmt: skip
def test_overlaps_are_those_of_the_stored_spins(size, dimension, betas, updates, sampled):
    e = glass(size, betas, updates, dimension, draws=20, chains=2, thermalise=20)
    table, axes = e.system.neighbours, tuple(range(1, dimension + 1))
    with sampled(e) as bank:
        for chain in range(2):
            for slot in range(0, e.slots, 3):
                a, b = (bank.spins(2 * chain + copy, slot, 0, 20).astype(int) for copy in (0, 1))
                q = a * b
                assert np.allclose(bank.series("overlap", chain, slot), q.mean(axis=axes))
                flat = q.reshape(20, -1)
                links = np.mean([(flat * flat[:, table[:, k]]).mean(axis=1) for k in range(dimension)], axis=0)
                assert np.allclose(bank.series("link_overlap", chain, slot), links)
                modes = np.abs(np.fft.fftn(q, axes=axes)) ** 2
                smallest = [modes[(slice(None), *np.eye(dimension, dtype=int)[k])] for k in range(dimension)]
                structure = np.mean(smallest, axis=0) / e.system.volume**2
                assert np.allclose(bank.series("overlap_structure", chain, slot), structure)
                energy = -sum(bank.couplings(chain)[:, k] * a.reshape(20, -1) * a.reshape(20, -1)[:, table[:, k]]
                              for k in range(dimension)).sum(axis=1)  # fmt: skip
                assert np.array_equal(bank.series("energy", 2 * chain, slot), energy)


def layers(couplings, size, dimension):
    """Energies [state of a layer, state of the next] of the bonds from every layer along the first axis to the next and
    within it, layer by layer."""
    m = size ** (dimension - 1)
    states = 2 * (np.arange(2**m)[:, None] >> np.arange(m) & 1) - 1
    plane = np.arange(m).reshape((size,) * (dimension - 1))
    for layer in range(size):
        own = couplings[layer * m : (layer + 1) * m]
        within = np.zeros(2**m)
        for k in range(dimension - 1):  # column 0 is x, the last axis
            near = np.roll(plane, -1, axis=dimension - 2 - k).ravel()
            within -= (own[:, k] * states * states[:, near]).sum(axis=1)
        yield within[:, None] - (states * own[:, dimension - 1]) @ states.T


def ground_energy(couplings, size, dimension):
    """The least energy of a sample, by minimisation over all states of one layer after the other."""
    first, *others = layers(couplings, size, dimension)
    best = first
    for following in others:
        best = np.array([(row[:, None] + following).min(axis=0) for row in best])
    return np.diag(best).min()


def transfer_energy(couplings, size, dimension, beta, h=1e-4):
    """The mean energy of a sample from the trace of its transfer matrices."""

    def log_z(b):
        product, scale = np.eye(2**size ** (dimension - 1)), 0.0
        for energy in layers(couplings, size, dimension):
            product = product @ np.exp(-b * energy)
            scale, product = scale + np.log(product.max()), product / product.max()
        return np.log(np.trace(product)) + scale

    return (log_z(beta - h) - log_z(beta + h)) / (2 * h)


@pytest.mark.parametrize(("size", "dimension", "betas", "updates"), [
    (3, 3, (3.0, 1.5, 1.0, 0.7), ("heat_bath",)), (6, 2, LANES, ("multispin",)),
    (4, 2, (3.0, 1.5, 0.8), ("metropolis", "houdayer")),
])  # fmt: skip
def test_the_least_energy_is_the_ground_state(size, dimension, betas, updates, sampled):
    e = glass(size, betas, updates, dimension, draws=1500)
    with sampled(e) as bank:
        for chain in range(e.chains):
            seen = min(bank.series("energy", 2 * chain + copy, 0).min() for copy in (0, 1))
            assert seen == ground_energy(bank.couplings(chain), size, dimension)


@pytest.mark.parametrize(("size", "dimension", "betas", "updates"), [
    (3, 3, (1.2, 0.9, 0.6), ("heat_bath",)), (6, 2, LANES, ("multispin",)), (6, 2, PLAIN, ("metropolis", "houdayer")),
])  # fmt: skip
def test_energies_are_those_of_the_transfer_matrix(size, dimension, betas, updates, sampled):
    e = glass(size, betas, updates, dimension, draws=4000, couplings="pm1" if "multispin" in updates else "gaussian")
    found = []
    with sampled(e) as bank:
        for chain in range(e.chains):
            for slot in range(0, e.slots, max(1, e.slots // 4)):
                exact = transfer_energy(bank.couplings(chain), size, dimension, e.betas[slot])
                series = np.stack([bank.series("energy", 2 * chain + copy, slot) for copy in (0, 1)]).astype(float)
                result = gamma_method(series)
                found.append(abs(result.mean - exact) / result.error)
    assert max(found) < SIGMAS


def campaign(updates, extra="", model="{type: edwards_anderson}", dimension=2):
    """A campaign of Houdayer moves."""
    return parse(f"""
name: moves
seed: 1
model: {model}
lattice: {{type: hypercubic, dimension: {dimension}}}
ensembles:
  cold: {{sizes: [8], ladder: {{temperatures: [0.5, 1.0]}}, updates: [{updates}], draws: 1{extra}}}
""", "test")  # fmt: skip


BOTH = "{type: metropolis}, {type: houdayer}"


@pytest.mark.parametrize(("updates", "extra", "model", "text"), [
    (BOTH, ", copies: 1", "{type: edwards_anderson}", "expected two copies of every chain (copies: 2), found 1"),
    (BOTH, ", copies: 2", "{type: ising, field: 0.1}", "without a field, found 'ising'"),
    (BOTH, ", copies: 2", "{type: potts, q: 3}", "expected spins +1 and -1 that meet in pairs"),
    ("{type: houdayer}", "", "{type: edwards_anderson}", "an update beside them that reaches every configuration"),
])  # fmt: skip
def test_houdayer_moves_are_refused_with_the_reason(updates, extra, model, text):
    with pytest.raises(InputError) as refused:
        campaign(updates, extra, model)
    assert text in str(refused.value)


def test_houdayer_moves_warn_above_two_dimensions_and_keep_a_chain_on_one_rank():
    assert not any("houdayer" in text for text in campaign(BOTH).warnings())
    (text,) = (t for t in campaign(BOTH, dimension=3).warnings() if "houdayer" in t)
    assert text.startswith("ensembles.cold.updates: houdayer: clusters span the lattice in d = 3")
    ferromagnet = campaign(BOTH, ", copies: 2", "{type: ising}").ensembles()[0]
    assert not ferromagnet.layout.divisible
