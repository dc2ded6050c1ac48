"""T_c from the jump of the helicity modulus: recovered from synthetic moduli with errors of the right size, refused where
there is no jump, and chosen by `scale` for planar spins."""

from __future__ import annotations

import numpy as np
import pytest

from hpcrg.analysis import fss, kosterlitz_thouless
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.kosterlitz_thouless import Helicity, by_helicity, constant_form, moduli, next_form, solve
from hpcrg.bank import open_bank
from hpcrg.campaign import ScaleSpec
from hpcrg.comm import Alone
from hpcrg.ensemble import UpdateCall
from hpcrg.errors import InputError
from hpcrg.sampler import Limits, sample

T_C, CONSTANT, NOISE, BLOCKS = 0.893, 0.5, 0.001, 32
SIZES = (8, 16, 32, 64)
TEMPERATURES = np.linspace(0.86, 0.93, 8)


def synthetic(seed, form=next_form, temperatures=TEMPERATURES):
    """Moduli that cross the jump at T_C and fall faster in larger systems, with noise of NOISE."""
    generator, data = np.random.default_rng([20261126, seed]), []
    for size in SIZES:
        slope = -5 - 3 * np.log(size / 8)
        x = form(np.log(size), CONSTANT) + slope * (temperatures - T_C) - 20 * (temperatures - T_C) ** 2
        noise = generator.normal(0, NOISE * np.sqrt(BLOCKS), (BLOCKS, len(temperatures)))
        blocks = 2 * temperatures * x / np.pi + noise
        rows = np.vstack([blocks.mean(axis=0), (blocks.sum(axis=0) - blocks) / (BLOCKS - 1)])
        data.append(Helicity(f"{size:016x}", f"scan-L{size}", "xy", size, temperatures, rows))
    return data


def test_the_transition_is_found_with_an_error_of_the_right_size():
    """Statistical pulls of 40 seeds."""
    pulls = []
    for seed in range(40):
        best, replicas = solve(synthetic(seed), next_form)
        error = np.sqrt(sum((BLOCKS - 1) ** 2 / BLOCKS * r.var(ddof=1) for r in replicas.values()))
        pulls.append((best.t_c - T_C) / error)
    assert np.abs(pulls).max() < 4
    assert 0.7 < np.std(pulls) < 1.4
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)


@pytest.mark.parametrize("form", [next_form, constant_form])
def test_the_ansatz_is_allowed_for(form):
    """Whichever of the two forms nature takes."""
    estimate, _ = by_helicity(synthetic(1, form), None)
    assert abs(estimate.value - T_C) < 3 * estimate.error
    assert estimate.error < 0.01


def test_without_the_logarithm_the_transition_is_missed():
    """Twin: where pi Y / (2 T) of the largest size is 1."""
    x = np.pi * synthetic(1)[-1].rows[0] / (2 * TEMPERATURES)
    naive = np.interp(1.0, x[::-1], TEMPERATURES[::-1])
    estimate, _ = by_helicity(synthetic(1), None)
    assert abs(naive - T_C) > 4 * estimate.error


def test_no_jump_in_the_range_is_said():
    with pytest.raises(InputError, match="to fall through the universal jump between"):
        by_helicity(synthetic(1, temperatures=np.linspace(0.95, 1.0, 8)), None)
    with pytest.raises(InputError, match="at least two sizes"):
        by_helicity(synthetic(1)[:1], None)


def test_moduli_are_linear_in_the_cosines_and_quadratic_in_the_currents():
    series = np.array([[3.0, 5.0, 1.0, -2.0]])
    assert moduli(series, 0.5, 10)[0] == pytest.approx(((3 - 0.5 * 1) + (5 - 0.5 * 4)) / 2 / 10)


@pytest.fixture
def banks(small, tmp_path):
    """Two small banks of planar spins."""
    paths = []
    for size in (4, 6):
        e = small(
            size=size, model={"type": "xy"}, betas=tuple(1 / np.linspace(0.7, 1.2, 6)), chains=4, draws=100,
            updates=(UpdateCall("swendsen_wang"), UpdateCall("metropolis")), thermalise=100, measure=1,
        )  # fmt: skip
        paths.append(tmp_path / f"{e.label}.h5")
        sample(e, paths[-1], tmp_path / "state", Alone(), Limits(), lambda *_: None)
    return paths


def test_scale_takes_the_helicity_modulus_of_planar_spins(banks):
    found, data = fss.run(banks, "fss", ScaleSpec(ensemble="small", blocks=4), compute_here, 1 << 16)
    assert [e.method for e in found] == ["fss/helicity"]
    assert data.figures[0].title == "Helicity modulus"
    assert 0.8 < found[0].value < 1.0
    assert found[0].reference.value == pytest.approx(0.8929)


def test_the_reduction_is_the_mean_of_the_series(banks):
    found = kosterlitz_thouless.reduce_helicity(banks[0], 4, 7, compute_here)
    with open_bank(banks[0]) as bank:
        for slot in range(bank.slots):
            series = [bank.series("stiffness", c, slot) for c in range(bank.chains)]
            means = [moduli(s, bank.betas[slot], bank.lattice.volume).mean() for s in series]
            assert found.rows[0, slot] == pytest.approx(np.mean(means))
