"""The collapse of U4 and xi_2nd/L as an estimate: the fit of collapse.py with its jackknife rows and systematic
parts (fss.py says which).

The axis is x = ln(T/T_c) L^(1/nu): the logarithm prefers neither T nor beta, and what preferring one of them would
change counts as a part of `ansatz`. Where a power of ln L is known to multiply x, half of what it changes is the part
`logarithms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import collapse as gp
from hpcrg.analysis.corrections import OMEGA, OMEGAS
from hpcrg.analysis.points import Points
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Measured, excess

Array = NDArray[np.float64]
FEWEST = 3


@dataclass(frozen=True)
class Result:
    """A collapse with its errors. `fit.theta` is (ln T_c, 1/nu); the control parameter of `data` is ln T."""

    fit: gp.Collapse
    data: Sequence[gp.Data]
    t_c: Measured
    nu: Measured
    t_c_parts: Mapping[str, float]
    nu_parts: Mapping[str, float]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A control parameter as a function of T, and T as a function of it."""

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]


LOG = Axis(np.log, np.exp)
AXES = (Axis(lambda t: t, lambda t: t), Axis(lambda t: 1.0 / t, lambda beta: 1.0 / beta))


def collapse(points: Sequence[Points], names: Sequence[str], start: float | None, log: float = 0.0) -> Result:
    """Collapse the named observables of all sizes on common T_c and nu; `start` is a first guess of T_c, `log` a known
    power of ln L in x.

    Temperatures at which one of them is not defined (points.py) are left out. A fit that is `bad` has no systematic
    parts. Raises InputError with fewer than 2 sizes, or FEWEST temperatures of any size.
    """
    points = [_enough(p.defined(names), names) for p in points]
    data = gather(points, names, LOG.forward)
    fit = gp.fit(data, None if start is None else LOG.forward(start), log=log)
    t_c, nu = numbers(fit, points, names, LOG)
    settings = {
        "observables": list(names),
        "omega": list(OMEGAS),
        "chi2": fit.chi2,
        "freedom": fit.freedom,
        "quality": fit.quality,
        "overlap": fit.overlap,
    }
    if fit.bad:
        return Result(fit, data, t_c, nu, {}, {}, settings)
    others = _variants(points, names, t_c[0], log)
    return Result(fit, data, t_c, nu, _parts(0, fit, (t_c, nu), others), _parts(1, fit, (t_c, nu), others), settings)


def _enough(points: Points, names: Sequence[str]) -> Points:
    if len(points.temperatures) < FEWEST:
        wanted = f"at least {FEWEST} temperatures where {' and '.join(names)} are defined"
        raise InputError(expected(f"L = {points.size}", wanted, len(points.temperatures)))
    return points


def gather(points: Sequence[Points], names: Sequence[str], forward: Callable[[Any], Any]) -> list[gp.Data]:
    """The measured points of each observable over `forward`(T); errors from the jackknife rows."""
    sizes = np.concatenate([np.full(len(p.temperatures), float(p.size)) for p in points])
    control = forward(np.concatenate([p.temperatures for p in points]))
    out = []
    for name in names:
        value = np.concatenate([p.rows[name][0] for p in points])
        error = np.concatenate([_errors(p.rows[name][1:]) for p in points])
        out.append(gp.Data(name, sizes, control, value, error))
    return out


def numbers(fit: gp.Collapse, points: Sequence[Points], names: Sequence[str], axis: Axis) -> tuple[Measured, Measured]:
    """(T_c, replicas) and (nu, replicas), by the fit's linear response to each left-out block."""
    t_rows: dict[str, Array] = {}
    nu_rows: dict[str, Array] = {}
    slots = [len(p.temperatures) for p in points]
    starts = np.concatenate([[0], np.cumsum(slots)])
    for p, first in zip(points, starts, strict=False):
        change = np.zeros((len(p.rows[names[0]]) - 1, fit.gain.shape[1]))
        for i, name in enumerate(names):
            at = i * starts[-1] + first
            change[:, at : at + len(p.temperatures)] = p.rows[name][1:] - p.rows[name][0]
        theta = fit.theta + change @ fit.gain.T
        t_rows[p.id], nu_rows[p.id] = axis.inverse(theta[:, 0]), 1.0 / theta[:, 1]
    return (float(axis.inverse(fit.theta[0])), t_rows), (float(1.0 / fit.theta[1]), nu_rows)


@dataclass(frozen=True)
class _Variant:
    part: str
    fit: gp.Collapse
    t_c: Measured
    nu: Measured


def _variants(points: Sequence[Points], names: Sequence[str], t_c: float, log: float) -> list[_Variant]:
    def make(
        part: str, chosen: Sequence[Points], using: Sequence[str], omega: float, axis: Axis, log: float = log
    ) -> _Variant:
        other = gp.fit(gather(chosen, using, axis.forward), float(axis.forward(t_c)), omega, log)
        return _Variant(part, other, *numbers(other, chosen, using, axis))

    found = [make("omega", points, names, w, LOG) for w in OMEGAS if w != OMEGA]
    found += [make("axis", points, names, OMEGA, axis) for axis in AXES]
    if len(points) >= 4:
        found.append(make("size", points[1:], names, OMEGA, LOG))
    found += [make("observable", points, (name,), OMEGA, LOG) for name in names]
    if log:
        found.append(make("logarithms", points, names, OMEGA, LOG, 0.0))
    narrow = _narrow(points, t_c)
    if narrow is not None:
        found.append(make("window", narrow, names, OMEGA, LOG))
    return found


def _narrow(points: Sequence[Points], t_c: float) -> list[Points] | None:
    """The points in the inner half of the range on each side of T_c; None when a size keeps fewer than
    FEWEST."""
    every = np.concatenate([p.temperatures for p in points])
    low, high = t_c - 0.5 * (t_c - every.min()), t_c + 0.5 * (every.max() - t_c)
    out = []
    for p in points:
        keep = (p.temperatures >= low) & (p.temperatures <= high)
        if keep.sum() < FEWEST:
            return None
        out.append(p.at(keep))
    return out


def _parts(
    index: int, fit: gp.Collapse, whole: tuple[Measured, Measured], others: Sequence[_Variant]
) -> dict[str, float]:
    """Systematic parts of T_c (index 0) or nu (index 1)."""

    def to_unit(c: gp.Collapse) -> float:
        return float((c.prior[0] * whole[0][0], c.prior[1] / c.theta[1] ** 2)[index])

    def number(v: _Variant) -> Measured:
        return (v.t_c, v.nu)[index]

    def half_spread(part: str) -> float:
        values = [whole[index][0], *(number(v)[0] for v in others if v.part == part)]
        return 0.5 * (max(values) - min(values))

    parts = {"size": to_unit(fit), "ansatz": math.hypot(half_spread("omega"), half_spread("axis"))}
    if any(v.part == "logarithms" for v in others):
        parts["logarithms"] = half_spread("logarithms")
    alone = [v for v in others if v.part == "observable"]
    if len(alone) == 2:
        prior = math.hypot(to_unit(alone[0].fit), to_unit(alone[1].fit))
        parts["observable"] = 0.5 * excess(number(alone[0]), number(alone[1]), prior)
    for v in others:
        if v.part in ("size", "window"):
            more = excess(whole[index], number(v), to_unit(v.fit))
            parts[v.part] = math.hypot(parts.get(v.part, 0.0), more)
    return parts


def _errors(rows: Array) -> Array:
    n = len(rows)
    errors = np.sqrt((n - 1.0) / n * np.sum((rows - rows.mean(axis=0)) ** 2, axis=0))
    bounded: Array = np.maximum(errors, 1e-12 + 1e-6 * np.abs(rows).max())
    return bounded
