"""Quenched disorder: thermal means of every sample, averaged over samples.

A chain is one sample of the disorder. With <.> the thermal mean in a sample and [.] the mean over samples,

    U4 = 1 - n [<x^4>] / ((n + 2) [<x^2>]^2),    xi / L = sqrt([<x^2>] / [<S(k_1)>] - 1) / (2 L sin(pi / L)),

where x is the overlap of two copies where a model has it (Edwards and Anderson), else the order parameter per site, n
the number of its components, and S its structure factor at the smallest wave vectors; all of these are linear in
thermal means, so that short chains give no bias. Samples are independent whatever the autocorrelation inside them, so
the jackknife leaves out groups of samples. There is no density of states that samples share and hence no reweighting:
between the temperatures of a ladder an average is a cubic spline through it, and what every second temperature alone
would give is the part `interpolation` (Palassini and Caracciolo, Phys. Rev. Lett. 82, 5128 (1999); Ballesteros et al.,
Phys. Rev. B 62, 14237 (2000)).

Equilibrium is a statement about averages over samples: in every sample the mean over the first part of the chain less
that over its last half, and the samples that start from random configurations against those that start from ordered
ones, for the energy and x^2 at every temperature, by Student's t over samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, stats

from hpcrg.analysis.equilibration import ALARM
from hpcrg.analysis.fss_crossing import References, by_crossing
from hpcrg.analysis.graph import Compute, Unit, block_ranges, evaluate
from hpcrg.analysis.points import Points, functions
from hpcrg.analysis.reweight import Curves
from hpcrg.bank import Bank, open_bank
from hpcrg.errors import NotEquilibrated
from hpcrg.estimate import Estimate, excess, jackknife_error
from hpcrg.figures import Note
from hpcrg.misfits import FEWEST_SAMPLES

Array = NDArray[np.float64]
GROUPS = 100
SHOWN = ("energy", "abs_m", "m2", "u4", "xi")
COLUMNS = ("energy", "abs", "x2", "x4", "structure")


@dataclass(frozen=True)
class Samples:
    """One bank: thermal means [chain, part of the chain, slot, column] with the columns of COLUMNS; `glass` tells
    that x is the overlap."""

    id: str
    label: str
    model_name: str
    size: int
    dimension: int
    components: int
    betas: Array
    boundary: str
    volume: int
    glass: bool
    means: Array

    @property
    def rows(self) -> Array:
        """Averages [1 + groups, slot, column]: over all samples, then without each group."""
        by_chain = self.means.mean(axis=1)
        groups = np.array_split(by_chain, min(GROUPS, len(by_chain)))
        total = by_chain.sum(axis=0)
        rest = [(total - g.sum(axis=0)) / (len(by_chain) - len(g)) for g in groups]
        return np.array([total / len(by_chain), *rest])


@dataclass(frozen=True)
class Gather:
    """The step of the fold: sums [chain of the group, part, slot, column] over the measurements of a group of chains,
    one measurement at a time."""

    per: int
    ranges: tuple[tuple[int, int], ...]

    def __call__(self, sums: Array, bank: Bank, group: int, slot: int, start: int, stop: int) -> Array:
        """Add the measurements [start, stop) of every chain of a group, at all slots."""
        for i, chain in enumerate(range(group * self.per, min((group + 1) * self.per, bank.ensemble.chains))):
            values = read(bank, chain, start, stop)
            for part, (first, last) in enumerate(self.ranges):
                for row in values[max(first - start, 0) : max(last - start, 0)]:
                    sums[i, part] += row
        return sums


def read(bank: Bank, chain: int, start: int, stop: int) -> Array:
    """The columns [measurement, slot, column] of one sample, averaged over its copies or pairs of copies."""
    copies = range(chain * bank.ensemble.copies, (chain + 1) * bank.ensemble.copies)

    def over_copies(name: str) -> Array:
        return np.array([bank.ladder(name, c, start, stop) for c in copies], np.float64)

    if bank.model.glass:
        q, structure = (bank.ladder(n, chain, start, stop).astype(np.float64) for n in ("overlap", "overlap_structure"))
        x2, structure = np.moveaxis(q, -1, 0) ** 2, np.moveaxis(structure, -1, 0)  # [pair, slot, measurement]
    else:
        x2 = bank.model.order2(over_copies("order"), bank.lattice.volume)
        structure = over_copies("structure")
    columns = [over_copies("energy"), np.sqrt(x2), x2, x2**2, structure]
    return np.stack([c.mean(axis=0).T for c in columns], axis=-1)


def applies(path: Path) -> bool:
    """Whether the chains of a bank are samples of a disorder."""
    with open_bank(path) as bank:
        return bank.ensemble.system.disordered


def reduce_samples(path: Path, parts: int, chunk: int, compute: Compute) -> Samples:
    """The thermal means of a bank in `parts` parts of every chain, by a graph over groups of chains; a task holds
    `chunk` measurements of all slots of one chain."""
    with open_bank(path) as bank:
        e, n, slots, chains = bank.ensemble, bank.measurements, bank.slots, bank.ensemble.chains
        head = (bank.id, bank.label, bank.model.name, bank.lattice.shape[0], bank.lattice.dimension)
        glass = bank.model.glass
        components = 1 if glass else bank.model.cumulant_components
        rest = bank.betas, bank.lattice.boundary, bank.lattice.volume, glass
    ranges, per = block_ranges(n, parts), -(-chains // GROUPS)
    units = [Unit(group, 0, 0, ranges[-1][1]) for group in range(-(-chains // per))]
    nothing = np.zeros((per, parts, slots, len(COLUMNS)))
    found = evaluate(path, units, Gather(per, tuple(ranges)), nothing, max(1, chunk // (slots * e.copies)), compute)
    means = np.concatenate(found)[:chains] / (ranges[0][1] - ranges[0][0])
    return Samples(*head, components, *rest, means)


def values_of(samples: Samples, rows: Array, slot: int | slice) -> dict[str, Array]:
    """The observables that are shown from averages [..., column] at a slot, or at all of them."""
    m = np.moveaxis(rows, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        made = functions(samples.size, samples.volume, samples.components, float(np.mean(samples.betas[slot])))
        return {name: made[name]((m[0], m[0], *m[1:])) for name in SHOWN}


def measure(samples: Samples) -> Points:
    """All observables at the temperatures of the ladder, with the errors of the jackknife over samples; the
    autocorrelation times, which no error needs, are left open."""
    rows = values_of(samples, samples.rows, slice(None))
    values = {name: r[0] for name, r in rows.items()}
    errors = {name: np.array([jackknife_error(c) for c in r[1:].T]) for name, r in rows.items()}
    open_ = {name: np.full(len(samples.betas), np.nan) for name in rows}
    return Points(samples.id, samples.size, 1.0 / samples.betas, values, errors, open_, rows)


def splines(samples: Samples, beta: Array, every: int = 1) -> Curves:
    """The observables as cubic splines in beta through every slot, or through every second one and the ends, where they
    are defined."""
    kept = sorted({*range(0, len(samples.betas), every), len(samples.betas) - 1}, key=lambda k: samples.betas[k])
    rows = values_of(samples, samples.rows, slice(None))
    values, slopes = {}, {}
    for name, row in rows.items():
        good = [k for k in kept if np.isfinite(row[:, k]).all()]
        spline = interpolate.CubicSpline(samples.betas[good], row[:, good], axis=1, extrapolate=False)
        values[name], slopes[name] = spline(beta), spline(beta, 1)
    return Curves(samples.id, samples.size, beta, values, slopes)


def estimates(groups: Sequence[Samples], beta: Array, known: References) -> list[Estimate]:
    """By crossing, with the part `interpolation`, half the excess of what every second temperature alone gives. Raises
    InputError when the curves do not cross."""
    fine, coarse = (by_crossing(groups, [splines(s, beta, every) for s in groups], known) for every in (1, 2))
    found = []
    for a, b in zip(fine, coarse, strict=True):
        off = 0.5 * excess((a.value, a.replicas), (b.value, b.replicas))
        found.append(replace(a, systematic={**a.systematic, "interpolation": off}))
    return found


def equilibrium(groups: Sequence[Samples]) -> Note:
    """The tests of the module. Raises NotEquilibrated with the worst of every bank that fails."""
    failed, least, count = [], 1.0, 0
    for samples in groups:
        if len(samples.means) < FEWEST_SAMPLES:
            failed.append(
                f"{samples.label}: expected at least {FEWEST_SAMPLES} samples of the disorder to tell, "
                f"found {len(samples.means)}"
            )
            continue
        found = list(_tests(samples))
        worst = min(found, default=(1.0, ""))
        bad = sum(p < ALARM / len(found) for p, _ in found)
        least, count = min(least, worst[0]), count + len(found)
        if bad:
            failed.append(
                f"{samples.label}: {bad} of {len(found)} equilibration tests fail at false-alarm level {ALARM:g} a "
                f"bank; worst: {worst[1]}, p = {worst[0]:.1e}"
            )
    if failed:
        raise NotEquilibrated("\n".join([*failed, "expected samples that forgot their start; raise `thermalise`"]))
    return Note(
        "info",
        f"Equilibration: {count} tests over the samples of {len(groups)} banks pass at a false-alarm level of "
        f"{ALARM:g} a bank; the least p is {least:.1e}.",
    )


def _tests(samples: Samples) -> Iterator[tuple[float, str]]:
    """(p, what it is) of every test of one bank."""
    parts = samples.means.shape[1]
    for slot, beta in enumerate(samples.betas):
        for column in ("energy", "x2"):
            x = samples.means[:, :, slot, COLUMNS.index(column)]
            where = f"T = {1 / beta:.6g}: {column}"
            drift = x[:, 0] - x[:, parts // 2 :].mean(axis=1)
            if parts > 1 and drift.std() > 0:
                t = drift.mean() / (drift.std(ddof=1) / math.sqrt(len(drift)))
                yield (
                    float(2 * stats.t.sf(abs(t), len(drift) - 1)),
                    f"{where}, first part against last half, t = {t:.2f}",
                )
            whole = x.mean(axis=1)
            if whole.std() > 0:
                t, p = stats.ttest_ind(whole[0::2], whole[1::2], equal_var=False)
                yield float(p), f"{where}, random against ordered starts, t = {t:.2f}"
