"""Finite-size scaling of a network's output, beside two baselines on the very same held-out draws.

For every size the mean output P_L(T) is reweighted in temperature by the energies of the draws (reweight.py).
Methods:

* cnn/classifier: T_c from where P_L = 1/2, extrapolated in L; nu from the slopes there, dP_L/dbeta ~ L^(1/nu)
* cnn/decision: the same of the fraction of draws with an output above 1/2. How soft an output is depends on how long
  its network was trained, and with networks of their own for every size the slopes of the mean carry that
* cnn/variance: T_c and nu from the peak over T of the variance of the output over draws, whose width is ~ L^(-1/nu)
* the same of every other architecture; networks/classifier and networks/decision: the mean over the architectures,
  weighted by the inverse squares of their errors, and their standard deviation as the part `architecture`
* baseline/abs_m, and baseline/abs_m decision, baseline/abs_m variance: the same for the one-parameter classifier of |m|
  trained on the same examples
* baseline/binder: the crossing of U4 on the same draws, no network

Widths are of Chertenkov, Burovski and Shchur, Phys. Rev. E 108, L032102 (2023), where a Gaussian is fitted; here they
are at half of the height.

P_L = 1/2 at t_half(L) = T_c + a L^-lambda with unknown a, |a| <= T_c or so as a Gaussian prior
(corrections.py has the reasoning), and lambda the 1/nu of the slopes, scanned from 3/4 to 4/3 of it. The
statistical error is over blocks of chains; the spread over training seeds (one standard deviation of what
another network would give, not divided by their number) is the part `seed`; where sizes scatter about the fit by more
than these errors, as those of networks trained apart may, the part `misfit` is what brings chi^2 to its degrees of
freedom; the prior's share is `size`; half the spread over lambda, and half the excess of the difference between the
extrapolation and a collapse of the curves P_L, is `ansatz`; where the model is known to have a marginal field
(Potts with four states), slopes have its power of ln L, and half of what that changes is `logarithms`.

Labels far from the transition do not say at which order in between a network should change its mind, and where it does
matters: a network that decides at a fixed value of |m| per site follows no t_half(L) = T_c + a L^-lambda with that T_c,
for its t_half converges to the temperature where the spontaneous magnetisation takes that value (2D Ising: 0.08 % below
T_c for 0.5, 0.34 % for 0.6), and only one that decides at a fixed value of the scaling variable m L^(beta/nu) converges
to T_c. Slopes change with it too, and so does the nu in them. Nothing here removes that bias; `threshold` allows for
it: it is the change of T_c, and of nu, for one standard deviation of a decision that lies anywhere in the middle half
of the gap, in log-odds, between the two labelled classes. Carrasquilla and Melko, Nature Physics 13, 431 (2017); Kim
and Kim, Phys. Rev. E 104, 044104 (2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import collapse as gp
from hpcrg.analysis import output_figures
from hpcrg.analysis.binder import binder, estimate, references
from hpcrg.analysis.corrections import OMEGAS
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.output_blocks import (
    DECISIONS,
    P_ABS_M,
    P,
    by_architecture,
    check,
    decided,
    learned,
    log_odds,
    moved,
    with_decisions,
)
from hpcrg.analysis.output_curves import Half, SizeCurves, size_curves
from hpcrg.analysis.output_fits import STRETCH, extrapolated, from_slopes
from hpcrg.bank import SeriesBlock, read_series
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, excess
from hpcrg.figures import FigureData, Note

Array = NDArray[np.float64]
BASELINE, BINDER = "baseline/abs_m", "baseline/binder"
KINDS = ("classifier", "decision", "variance")
POWERS = (0.4, 3.0)


Feature = Callable[[SizeCurves, str], Half]
"""What is looked for in the curve of an output."""


@dataclass(frozen=True)
class Scaled:
    """One method: its crossings or peaks by size, a collapse of its curves, and the estimates."""

    name: str
    method: str
    peak: bool
    halves: Sequence[Half]
    collapse: gp.Collapse | None
    estimates: Sequence[Estimate]


def run(path: Path, name: str, spec: TrainSpec) -> tuple[list[Estimate], FigureData]:
    """Scale the outputs in a series file. A method that finds no answer leaves a note of level failure.

    Raises InputError for a file of one size only, or whose values do not hold p, p_abs_m, m2, m4 and energy.
    """
    blocks = read_series(path)
    check(path, blocks, (P, P_ABS_M))
    known = references(blocks[0])
    blocks = [by_architecture(path, b, spec.net, P) for b in blocks]
    nets, keys = spec.net, (*spec.net, P_ABS_M)
    curves = (*keys, *map(decided, keys))
    names = (*curves, *(moved(key, decision) for key in curves for decision in DECISIONS))
    sizes = [size_curves(with_decisions(b, keys, spec.cold, spec.hot), spec.blocks, names) for b in blocks]
    notes: list[Note] = []
    scaled: list[Scaled] = []
    for key in keys:
        for kind in KINDS:
            method = _method(key, kind)
            curve = decided(key) if kind == "decision" else key
            feature = SizeCurves.peak if kind == "variance" else SizeCurves.half
            try:
                scaled.append(_scaled(sizes, blocks, curve, method, feature, known))
            except InputError as error:
                notes.append(Note("failure" if kind == "classifier" else "warning", f"{method}: {error}"))
    estimates = [e for s in scaled for e in s.estimates]
    for kind in KINDS[:2]:
        each = [e for e in estimates if e.method in {_method(net, kind) for net in nets}]
        estimates += together(each, f"networks/{kind}", len(nets))
    try:
        estimates += binder(sizes, blocks, known)
    except InputError as error:
        notes.append(Note("failure", f"{BINDER}: {error}"))
    data = output_figures.build(name, keys, sizes, scaled, known, estimates)
    return estimates, FigureData(
        data.figures, notes + data.notes, [*data.tables, learned(blocks, sizes, keys, "log-odds", log_odds)]
    )


def _method(key: str, kind: str) -> str:
    if key == P_ABS_M:
        return BASELINE if kind == "classifier" else f"{BASELINE} {kind}"
    return f"{key}/{kind}"


def _threshold(
    sizes: Sequence[SizeCurves], key: str, feature: Feature, power: float, found: tuple[float, float], log: float
) -> tuple[float, float]:
    """Root mean square change of T_c and nu from those that were `found` when the decision moves over DECISIONS; half
    the range of temperatures, and half of nu, where a moved output no longer has the feature."""
    changes = []
    try:
        for decision in DECISIONS:
            halves = [feature(s, moved(key, decision)) for s in sizes]
            t_c, nu = extrapolated(sizes, halves, power)[0][0], from_slopes(sizes, halves, log)[0][0]
            changes.append((t_c - found[0], nu - found[1]))
    except InputError:
        return 0.5 * float(np.ptp(sizes[0].temperatures)), 0.5 * found[1]
    of_t_c, of_nu = np.sqrt(np.mean(np.square(changes), axis=0))
    return float(of_t_c), float(of_nu)


def _scaled(
    sizes: Sequence[SizeCurves], blocks: Sequence[SeriesBlock], key: str, method: str, feature: Feature,
    known: References,
) -> Scaled:  # fmt: skip
    halves = [feature(s, key) for s in sizes]
    nu, nu_parts = from_slopes(sizes, halves, known.logs.thermal)
    power = float(np.clip(1.0 / nu[0], *POWERS))
    t_c, t_parts = extrapolated(sizes, halves, power)
    fit = _collapsed(sizes, key, t_c[0], known.logs.thermal) if feature is SizeCurves.half else None
    if fit is not None and not fit.bad:
        other = float(fit.theta[0])
        parts_error = math.hypot(t_parts["size"], t_parts["seed"])
        t_parts["ansatz"] = math.hypot(t_parts["ansatz"], 0.5 * excess(t_c, (other, {}), parts_error))
    change = _threshold(sizes, key, feature, power, (t_c[0], nu[0]), known.logs.thermal)
    t_parts["threshold"], nu_parts["threshold"] = change
    estimates = [
        estimate("T_c", method, blocks, t_c, t_parts, known.t_c, {"lambda": power, "scanned": list(STRETCH)}),
        estimate("nu", method, blocks, nu, nu_parts, known.nu, {"omega": list(OMEGAS)}),
    ]
    return Scaled(key, method, feature is SizeCurves.peak, halves, fit, estimates)


def _collapsed(sizes: Sequence[SizeCurves], key: str, guess: float, log: float) -> gp.Collapse | None:
    """A collapse of the mean outputs at the temperatures near the transition; None without enough of them."""
    points = [s.near(key) for s in sizes]
    if min(len(p.value) for p in points) < 3:
        return None
    size, control, value, error = (
        np.concatenate(part) for part in zip(*((p.size, p.control, p.value, p.error) for p in points), strict=True)
    )
    joined = gp.Data(key, size, control, value, error)
    inside = float(np.clip(guess, joined.control.min(), joined.control.max()))
    return gp.fit([joined], inside, log=log)


def together(estimates: Sequence[Estimate], method: str, architectures: int) -> list[Estimate]:
    """The mean over architectures of each quantity, weighted by the inverse squares of their errors, with their
    standard deviation, so weighted, as the part `architecture`; nothing where one is alone or failed."""
    out = []
    for quantity in dict.fromkeys(e.quantity for e in estimates):
        each = [e for e in estimates if e.quantity == quantity]
        if len(each) < max(2, architectures):
            continue
        weights = np.array([e.error**-2.0 for e in each])
        weights /= weights.sum()
        values = np.array([e.value for e in each])
        mean = float(weights @ values)
        spread = float(np.sqrt(weights @ (values - mean) ** 2 * len(each) / (len(each) - 1)))
        parts = {n: float(weights @ [e.systematic[n] for e in each]) for n in each[0].systematic}
        replicas = {bank: weights @ [e.replicas[bank] for e in each] for bank in each[0].replicas}
        out.append(replace(
            each[0], method=method, value=mean, replicas=replicas, systematic=parts | {"architecture": spread},
            settings={"weights": weights.tolist()},
        ))  # fmt: skip
    return out
