"""Has a bank thermalised? First part against last part, and chain against chain.

Even chains start from random configurations (hot) and odd chains from ordered ones (cold), so two groups of
chains come to equilibrium from opposite sides. For every temperature, for the energy and the squared order
parameter:

* drift:  in each group, the mean over the first tenth of the chain against the mean over its last half;
* start:  the hot chains against the cold chains;
* spread: chi^2 of the chain means about their mean;
* length: the chains must hold at least SHORTEST measurements and be SHORT autocorrelation times long, or nothing
  can be said, and a bank of which nothing can be said is stopped.

Errors come from the autocorrelation inside the last halves of the chains (gamma_within), so that neither
chains which disagree nor a transient can excuse themselves by the noise they make; significances use
Student's t and F with the effective number of measurements. A test fails below ALARM / (number of tests), so
a thermalised bank is stopped with probability at most ALARM. Passing is not proof. Geweke, in Bayesian
Statistics 4 (1992); Gelman and Rubin, Statist. Sci. 7, 457 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hpcrg.analysis.autocorrelation import GammaResult, gamma_within
from hpcrg.analysis.levels import SERIES, BankSums
from hpcrg.errors import NotEquilibrated
from hpcrg.figures import Note

Array = NDArray[np.float64]
ALARM = 1e-4
"""The probability that a bank in equilibrium is stopped, over all of its tests."""
WATCHED = ("energy", "order2")
FIRST, LAST = 0.1, 0.5
SHORTEST = 40
SHORT = 10.0


@dataclass(frozen=True)
class Check:
    """One test: `score` is a z for drift and start, a chi^2 per degree of freedom for spread, and what was found of
    a length; `p` its significance, 0 for a chain too short; `tau` is NaN where it cannot be told."""

    label: str
    temperature: float
    quantity: str
    test: str
    score: float
    p: float
    tau: float

    def __str__(self) -> str:
        return (
            f"{self.label}, T = {self.temperature:.6g}: {self.quantity}, {self.test}: "
            f"score {self.score:.2f}, p = {self.p:.1e}, tau = {self.tau:.3g} measurements"
        )


def checks(sums: BankSums) -> list[Check]:
    """Every test of one bank."""
    return [check for slot in range(len(sums.betas)) for name in WATCHED for check in _slot(sums, slot, name)]


def require_equilibrium(banks: list[BankSums]) -> list[Check]:
    """The checks of all banks. Raises NotEquilibrated with the numbers of every bank that fails."""
    every: list[Check] = []
    failed: list[str] = []
    for bank in banks:
        found = checks(bank)
        every += found
        bad = sorted((c for c in found if c.p < ALARM / len(found)), key=lambda c: c.p)
        if bad:
            failed.append(
                f"{bank.label}: {len(bad)} of {len(found)} equilibration tests fail at false-alarm level "
                f"{ALARM:g} a bank; worst: {bad[0]}"
            )
    if failed:
        raise NotEquilibrated(
            "\n".join(
                [
                    *failed,
                    "expected chains that forgot their start; raise `thermalise` (`draws` where chains are "
                    "short), or use an update with shorter autocorrelation",
                ]
            )
        )
    return every


def equilibrium(banks: Sequence[BankSums]) -> Note:
    """`require_equilibrium` as a sentence for the report."""
    found = require_equilibrium(list(banks))
    if not found:
        return Note("warning", f"Equilibration: every series of {len(banks)} banks is constant, nothing was tested.")
    return Note(
        "info",
        f"Equilibration: {len(found)} tests of {len(banks)} banks pass at a false-alarm level of {ALARM:g} a "
        f"bank; the least p is {min(c.p for c in found):.1e}.",
    )


def unchecked() -> Note:
    """What the report says where the campaign switched the check off."""
    return Note("warning", "Equilibration was not checked: the campaign says `check_equilibration: false`.")


def _slot(sums: BankSums, slot: int, name: str) -> Iterator[Check]:
    series = sums.series[slot, :, :, SERIES.index(name)]
    temperature, n = float(sums.temperatures[slot]), series.shape[1]
    if n < SHORTEST:
        yield Check(sums.label, temperature, name, f"at least {SHORTEST} measurements a chain", n, 0.0, math.nan)
        return
    if np.ptp(series) == 0.0:
        return
    inside = gamma_within(series[:, n // 2 :])
    tau = inside.tau * sums.bin_length

    def check(test: str, score: float, p: float) -> Check:
        return Check(sums.label, temperature, name, test, score, p, tau)

    if n < SHORT * inside.tau:
        yield check("length of a chain in autocorrelation times", n / inside.tau, 0.0)
    groups = {"hot start": series[0::2], "cold start": series[1::2]}
    for start, group in groups.items():
        if len(group):
            z, p = _drift(group, inside)
            yield check(f"first tenth against last half ({start})", z, p)
    if len(series) > 1:
        z, p = _difference(groups["hot start"], groups["cold start"], inside)
        yield check("hot against cold starts", z, p)
        ratio, p = _spread(series, inside)
        yield check("chain against chain", ratio, p)


def _drift(chains: Array, inside: GammaResult) -> tuple[float, float]:
    n = chains.shape[1]
    return _difference(chains[:, : max(1, int(FIRST * n))], chains[:, n - int(LAST * n) :], inside)


def _difference(a: Array, b: Array, inside: GammaResult) -> tuple[float, float]:
    error = math.sqrt(2.0 * inside.tau * inside.variance * (1.0 / a.size + 1.0 / b.size))
    z = float(a.mean() - b.mean()) / error if error > 0.0 else 0.0
    return z, float(2.0 * stats.t.sf(abs(z), _freedom(inside)))


def _spread(chains: Array, inside: GammaResult) -> tuple[float, float]:
    error2 = 2.0 * inside.tau * inside.variance / chains.shape[1]
    free = len(chains) - 1
    ratio = float(chains.mean(axis=1).var(ddof=1)) / error2 if error2 > 0.0 else 1.0
    return ratio, float(stats.f.sf(ratio, free, _freedom(inside)))


def _freedom(inside: GammaResult) -> float:
    """Degrees of freedom of the error itself: its relative error is sqrt((2 W + 1)/(2 n))."""
    return max(inside.samples / (2.0 * inside.window + 1.0), 1.0)
