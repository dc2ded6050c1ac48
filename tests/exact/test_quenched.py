"""Averages over samples of a disorder: against enumeration of every sample, and their errors, equilibrium and refusals.

The moments of the overlap of a sample come from all pairs of its configurations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpcrg.analysis import fss, quenched
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.quenched import COLUMNS, Samples
from hpcrg.bank import open_bank
from hpcrg.campaign import ScaleSpec
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.enumeration import enumerate_all
from hpcrg.errors import NotEquilibrated
from hpcrg.models.base import Disorder
from hpcrg.sampler import Limits, sample

SEED = 20261126
TEMPERATURES = (0.8, 1.2, 1.6, 2.0, 2.6)
GLASS, DILUTED = {"type": "edwards_anderson"}, {"type": "diluted_ising", "bond": 0.2}


def ensemble(size, model, chains=12, draws=3000, **changes):
    """Samples of a disorder on a small square."""
    fields = {"thermalise": 300, "measure": 4, "keep": 4, "copies": 2} | changes
    return Ensemble(
        "samples", size, model, {"type": "hypercubic", "dimension": 2}, tuple(1 / t for t in TEMPERATURES),
        (UpdateCall("heat_bath"),), True, SEED, chains=chains, draws=draws, **fields,
    )  # fmt: skip


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """A function that samples a model at a size and gives the path of its bank."""
    made = {}

    def make(size, model):
        key = size, model["type"]
        if key not in made:
            folder = tmp_path_factory.mktemp("samples")
            made[key] = folder / "bank.h5"
            sample(ensemble(size, model), made[key], folder / "state", Alone(), Limits(), lambda *_: None)
        return made[key]

    return make


def exact_columns(bank, chain, beta):
    """[<E>, <|x|>, <x^2>, <x^4>, <S>] of one sample, x the overlap of two copies or the magnetisation."""
    system = bank.ensemble.system
    every = enumerate_all(system, Disorder(bank.couplings(chain)))
    p, spins, n, size = every.weights(beta), every.spins.astype(float), system.volume, system.lattice.shape[0]
    waves = [np.exp(2j * np.pi * axis.ravel() / size) for axis in np.indices(system.lattice.shape)]
    if system.model.glass:
        x = np.abs(spins @ spins.T) / n
        weight = np.outer(p, p)
        power = sum(np.abs((spins * w) @ spins.T) ** 2 for w in waves) / (len(waves) * n * n)
    else:
        x, weight = np.abs(spins.sum(axis=1)) / n, p
        power = sum(np.abs(spins @ w) ** 2 for w in waves) / (len(waves) * n * n)
    return np.array([p @ every.energy, *((weight * x**k).sum() for k in (1, 2, 4)), (weight * power).sum()])


@pytest.mark.parametrize("model", [GLASS, DILUTED], ids=lambda m: m["type"])
def test_means_of_every_sample_are_the_exact_ones(banks, model):
    """Each of 12 samples at 2 temperatures; the twins, the next sample's means or another exponent, are far off."""
    path = banks(3, model)
    found = quenched.reduce_samples(path, 20, 100_000, compute_here)
    with open_bank(path) as bank:
        for slot in (0, 3):
            exact = np.array([exact_columns(bank, c, bank.betas[slot]) for c in range(12)])
            means = found.means[:, :, slot]
            error = means.std(axis=1, ddof=1) / np.sqrt(means.shape[1])
            scores = (means.mean(axis=1) - exact) / np.maximum(error, 1e-3 * np.abs(exact))
            assert np.abs(scores).max() < 6, scores
            twin = (means.mean(axis=1) - np.roll(exact, 1, axis=0)) / np.maximum(error, 1e-3 * np.abs(exact))
            assert np.abs(twin).max() > 10
            assert np.abs(exact[:, COLUMNS.index("x4")] - exact[:, COLUMNS.index("x2")]).max() > 0.01


def test_sums_do_not_depend_on_chunks(banks):
    runs = [quenched.reduce_samples(banks(3, GLASS), 4, chunk, compute_here).means for chunk in (10**6, 999)]
    assert runs[0].tobytes() == runs[1].tobytes()


def made_up(size, chains, rng, drift=0.0, start=0.0):
    """Samples whose means scatter by 10 % from one to the other and agree over temperatures, with U4 and xi/L that
    cross at T = 1.5 with nu = 1."""
    betas = 1.0 / np.linspace(1.4, 1.6, 9)
    t = (1 / betas - 1.5) * size
    means = np.zeros((chains, 4, len(betas), len(COLUMNS)))
    x2 = np.exp(-0.3 * t) * 0.2 * size**-0.25
    ratio = 1.0 + 4.0 * np.exp(-0.8 * t)  # S(0) / S(k)
    for column, value in enumerate((-1.4 - 0.1 * betas, np.sqrt(x2), x2, x2**2 * (1.4 + 0.2 * np.tanh(t)), x2 / ratio)):
        means[..., column] = value * (1.0 + 0.1 * rng.normal(size=(chains, 1, 1)) * (column > 0))
    means += 1e-4 * rng.normal(size=means.shape)
    means[:, 0] += drift * x2.mean()
    means[1::2] += start * x2.mean()
    return Samples(
        f"id{size}", f"samples-L{size}", "edwards_anderson", size, 2, 1, betas, "periodic", size**2, True, means
    )


def test_crossings_of_averages_over_samples():
    """The blind estimate finds the critical point that was put in, within its errors."""
    rng = np.random.default_rng(SEED)
    groups = [made_up(size, 400, rng) for size in (8, 12, 16, 24)]
    found, data = fss.by_samples(groups, References(), "glass")
    by = {e.quantity: e for e in found}
    assert {"T_c", "nu", "beta/nu", "gamma/nu"} <= set(by)
    for name, value in (("T_c", 1.5), ("nu", 1.0), ("gamma/nu", 1.75)):
        assert abs(by[name].value - value) < 3 * by[name].error, (name, by[name])
        assert by[name].error < 0.1 * value
        assert "interpolation" in by[name].systematic
    assert {f.name for f in data.figures} >= {"glass-u4", "glass-xi", "glass-abs_m", "glass-crossings"}
    assert not any("collapse" in f.name for f in data.figures)


def test_a_coarse_ladder_has_an_error_of_interpolation():
    """Every second of nine temperatures serves smooth curves; of five it does not, and the part says so."""
    rng = np.random.default_rng(SEED)
    groups = [made_up(size, 400, rng) for size in (8, 12, 16, 24)]
    coarse = [replace(g, betas=g.betas[::2], means=g.means[:, :, ::2]) for g in groups]
    parts = [fss.by_samples(g, References(), "glass")[0][1].systematic["interpolation"] for g in (groups, coarse)]
    assert parts[1] > parts[0]


def test_errors_are_those_of_the_samples():
    """Jackknife errors against the scatter of 60 independent sets; the twin, errors from the parts of the chains, is an
    order of magnitude too small."""
    rng = np.random.default_rng(SEED)
    sets = [made_up(8, 130, rng) for _ in range(60)]
    points = [quenched.measure(s) for s in sets]
    for name in ("m2", "u4"):
        scatter = np.std([p.values[name][4] for p in points], ddof=1)
        claimed = np.mean([p.errors[name][4] for p in points])
        assert 0.75 < claimed / scatter < 1.3, name
    twin = np.mean([s.means[:, :, 4, 2].mean(axis=0).std(ddof=1) / 2 for s in sets])
    assert twin < 0.1 * np.std([p.values["m2"][4] for p in points], ddof=1)


def test_uneven_groups_of_samples_average_all_of_them():
    samples = made_up(8, 130, np.random.default_rng(1))
    assert samples.rows.shape[0] == 1 + quenched.GROUPS
    assert np.allclose(samples.rows[0], samples.means.mean(axis=(0, 1)))
    whole, rest = samples.rows[0, 0, 2], samples.rows[1:, 0, 2]
    assert np.isclose(rest.mean(), whole, rtol=1e-3)


def test_samples_in_equilibrium_pass_and_others_are_stopped():
    rng = np.random.default_rng(SEED)
    note = quenched.equilibrium([made_up(size, 200, rng) for size in (8, 12)])
    assert "72 tests over the samples of 2 banks pass" in note.text
    with pytest.raises(NotEquilibrated, match=r"samples-L8: .* first part against last half"):
        quenched.equilibrium([made_up(8, 200, rng, drift=0.01)])
    with pytest.raises(NotEquilibrated, match=r"samples-L8: .* random against ordered starts"):
        quenched.equilibrium([made_up(8, 200, rng, start=0.2)])
    with pytest.raises(NotEquilibrated, match="expected at least 8 samples of the disorder to tell, found 6"):
        quenched.equilibrium([made_up(8, 6, rng)])


def test_the_scale_verb_takes_samples(banks):
    """Two sizes of a diluted model, end to end; in two dimensions a glass has no crossing, which is a note."""
    spec = ScaleSpec(ensemble="samples")
    found, data = fss.run([banks(4, DILUTED), banks(3, DILUTED)], "fss", spec, compute_here, 1 << 20)
    assert {f.name for f in data.figures} >= {"fss-energy", "fss-u4", "fss-xi"}
    assert any("tests over the samples of 2 banks pass" in n.text for n in data.notes)
    assert all(e.sizes == (3, 4) and e.reference is None for e in found)
