"""Twenty fresh seeds of the whole scaling, on Swendsen-Wang chains of small squares: pulls of T_c, nu and the energy,
and the scatter of T_c and nu over the seeds against their own statistical errors.

The twins ignore autocorrelation: the errors of energy, T_c and nu are those of independent measurements. Errors ten
times too large are refused as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpcrg.analysis import fss
from hpcrg.analysis.autocorrelation import gamma_method
from hpcrg.analysis.equilibration import require_equilibrium
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.levels import BankSums, Levels
from hpcrg.estimate import Estimate
from hpcrg.lattice import Lattice
from hpcrg.models import ising, kaufman
from hpcrg.observables import initial
from hpcrg.rng import Purpose, stream
from hpcrg.rounds import make_look
from hpcrg.system import System
from hpcrg.updates import UPDATES
from hpcrg.updates.base import compiled

pytestmark = pytest.mark.slow
BETAS = np.linspace(0.46, 0.42, 6)
CHAINS, BLOCKS, THERMALISE, LENGTH = 8, 4, 200, 1000
SIZES = (6, 8, 12, 16)
SEEDS = range(20261121, 20261141)
EXACT = fss.known_of(ising().exact(Lattice((8, 8))), 2)


def bank(size: int, seed: int) -> BankSums:
    """One bank in memory: even chains start random, odd ones ordered."""
    system = System(ising(), Lattice((size, size)))
    update = UPDATES["swendsen_wang"].build(system)
    sweep, look = compiled(update), make_look(system, update.layout)
    walkers, tables = CHAINS * len(BETAS), update.layout.prepare(np.zeros((1, 1), np.int8))
    shape = np.array([size, size], np.int64)
    betas = np.tile(BETAS, CHAINS)
    rng = np.array([stream(seed, Purpose.WALKER, size, w) for w in range(walkers)])
    starts = ["random" if w // len(BETAS) % 2 == 0 else "ordered" for w in range(walkers)]
    spins = np.array([initial(system, s, stream(seed, Purpose.INITIAL, size, w)) for w, s in enumerate(starts)])
    info = np.empty((walkers, len(update.series)))
    energy, order, structure = np.empty(walkers, np.int64), np.empty((walkers, 1), np.int64), np.empty(walkers)
    out = np.empty((LENGTH, walkers, 6))
    for step in range(-THERMALISE, LENGTH):
        sweep(spins, betas, rng, *tables, info)
        if step >= 0:
            look(spins, *tables, shape, 1.0, energy, order, structure)
            m = np.abs(order[:, 0]) / system.volume
            out[step] = np.stack([energy, energy**2, m, m**2, m**4, structure], axis=1)
    series = out.reshape(LENGTH, CHAINS, len(BETAS), 6).transpose(2, 1, 0, 3)
    part = LENGTH // BLOCKS
    levels = [
        [level(row[c, b * part : (b + 1) * part]) for c in range(CHAINS) for b in range(BLOCKS)] for row in series
    ]
    return BankSums(f"L{size}", f"scan-L{size}", "ising", size, 2, 1, BETAS, LENGTH, part, 1, levels, series)


def level(block: np.ndarray) -> Levels:
    """Sums per energy of measurements [measurement, series]."""
    at, index = np.unique(block[:, 0].astype(np.int64), return_inverse=True)
    columns = [np.ones(len(block)), *block[:, 2:].T]
    return Levels(at, np.stack([np.bincount(index, c) for c in columns], axis=1))


@pytest.fixture(scope="module")
def banks() -> list[list[BankSums]]:
    """All sizes of every seed."""
    return [[bank(size, seed) for size in SIZES] for seed in SEEDS]


Found = dict[tuple[str, str], list[Estimate]]


def estimated(banks: list[list[BankSums]]) -> Found:
    """The estimates of every seed by method and quantity."""
    found: Found = {}
    for sums in banks:
        for e in fss.analyse(sums, EXACT, "fss")[0]:
            found.setdefault((e.method, e.quantity), []).append(e)
    return found


@pytest.fixture(scope="module")
def honest(banks: list[list[BankSums]]) -> Found:
    """Of banks that are in equilibrium."""
    for sums in banks:
        require_equilibrium(sums)
    return estimated(banks)


def shuffled(sums: BankSums, seed: int) -> BankSums:
    """The broken twin: measurements in random order, so that a jackknife block is as good as single measurements."""
    order = np.random.default_rng([seed, sums.size]).permutation(CHAINS * LENGTH)
    rows = sums.series.reshape(len(BETAS), -1, 6)[:, order]
    return replace(sums, blocks=[[level(part) for part in np.split(row, CHAINS * BLOCKS)] for row in rows])


def covered(pulls: np.ndarray) -> bool:
    """At least 18 of 20 within 2 sigma and all within 4, but not by errors that are far too large."""
    return bool((np.abs(pulls) < 2).sum() >= 18 and np.abs(pulls).max() < 4 and pulls.std() > 0.3)


def pulls_of(found: list[Estimate]) -> np.ndarray:
    return np.array([e.pull for e in found], dtype=float)


def scatter(found: list[Estimate]) -> float:
    """The standard deviation over seeds in units of the statistical errors; of 20 normal values within 0.6 and 1.5 by
    99 %."""
    values, errors = np.array([e.value for e in found]), np.array([e.statistical for e in found])
    return float(((values - values.mean()) / errors).std(ddof=1))


CEILINGS = {
    ("fss/crossing", "T_c"): 0.01, ("fss/crossing", "nu"): 0.06, ("fss/crossing", "gamma/nu"): 0.04,
    ("fss/crossing", "e_c"): 0.03, ("fss/crossing", "e(T_c)"): 0.01,
    ("fss/collapse", "T_c"): 0.01, ("fss/collapse", "nu"): 0.12,
}  # fmt: skip


@pytest.mark.parametrize("which", CEILINGS, ids="-".join)
def test_pulls_of_every_exponent(honest: Found, which: tuple[str, str]) -> None:
    pulls = pulls_of(honest[which])
    assert len(pulls) == 20
    assert covered(pulls), pulls
    assert not covered(pulls / 10)  # the twin whose errors are ten times too large
    assert 0.6 < scatter(honest[which]) < 1.5
    assert np.median([e.error / abs(e.value) for e in honest[which]]) < CEILINGS[which]


def test_twins_of_single_measurements_as_blocks_are_rejected(banks: list[list[BankSums]]) -> None:
    """The collapse refuses nearly half of them itself, by their chi^2."""
    twin = estimated([[shuffled(s, seed) for s in sums] for seed, sums in zip(SEEDS, banks, strict=True)])
    for method in ("fss/crossing", "fss/collapse"):
        assert not covered(pulls_of(twin[method, "T_c"]))
        for quantity in ("T_c", "nu"):
            assert scatter(twin[method, quantity]) > 1.5


def energy_pulls(banks: list[list[BankSums]], naive: bool) -> np.ndarray:
    """Pulls of the energy of L = 16 nearest to the critical point against Kaufman's."""
    out = []
    for sums in banks:
        found = gamma_method(sums[-1].series[2, :, :, 0])
        error = np.sqrt(found.variance / found.samples) if naive else found.error
        out.append((found.mean / 256 - kaufman.energy(16, 16, float(BETAS[2]))) / (error / 256))
    return np.array(out)


def test_pulls_of_the_energy(banks) -> None:  # type: ignore[no-untyped-def]
    assert covered(energy_pulls(banks, naive=False))


def test_twin_without_autocorrelation_is_rejected(banks) -> None:  # type: ignore[no-untyped-def]
    assert not covered(energy_pulls(banks, naive=True))


def test_blind_and_known_give_the_same_numbers(banks) -> None:  # type: ignore[no-untyped-def]
    blind, known = (fss.analyse(banks[0], r, "fss")[0] for r in (References(), EXACT))
    assert [e.value for e in blind] == [e.value for e in known if e.quantity != "e(T_c)"]
