"""Crossings as estimates: T_c, nu, beta/nu, gamma/nu and the energy per site at T_c from reweighted curves, with their
systematic parts (see fss.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import crossing
from hpcrg.analysis.corrections import OMEGA, OMEGAS
from hpcrg.analysis.crossing import Fit
from hpcrg.analysis.reweight import Curves
from hpcrg.estimate import Estimate, Measured, Reference, excess
from hpcrg.models.base import NO_LOGS, Logs

Array = NDArray[np.float64]
NAMES = ("u4", "xi")


@dataclass(frozen=True)
class References:
    """What is known of the model, or None each."""

    t_c: Reference | None = None
    nu: Reference | None = None
    beta_nu: Reference | None = None
    gamma_nu: Reference | None = None
    energy: Reference | None = None
    logs: Logs = NO_LOGS


class Group(Protocol):
    """What crossings ask of the banks of one size beside their curves."""

    @property
    def id(self) -> str:
        """The ensemble's id."""
        ...

    @property
    def model_name(self) -> str:
        """The model."""
        ...

    @property
    def size(self) -> int:
        """The linear size."""
        ...

    @property
    def dimension(self) -> int:
        """The dimension of the lattice."""
        ...

    @property
    def boundary(self) -> str:
        """Its boundary."""
        ...


@dataclass(frozen=True)
class Crossings:
    """The critical point of some banks, `best` of the fits `by_omega`, with its systematic `parts`, and estimates made
    there."""

    sums: Sequence[Group]
    lines: Sequence[Curves]
    by_omega: Mapping[float, Fit]
    parts: Mapping[str, float]
    logs: Logs

    @property
    def best(self) -> Fit:
        """beta_c with the usual corrections."""
        return self.by_omega[OMEGA]

    def estimate(
        self, quantity: str, fit: Fit, f: Callable[[Array], Array], parts: Mapping[str, float],
        known: Reference | None, using: Sequence[str],
    ) -> Estimate:  # fmt: skip
        """f of a fitted number."""
        rows = f(fit.rows)
        settings = {"observables": list(using), "omega": list(OMEGAS), "amplitude": fit.amplitude, "chi2": fit.chi2,
                    "freedom": fit.freedom}  # fmt: skip
        return Estimate(
            quantity, "fss/crossing", self.sums[0].model_name, tuple(s.size for s in self.sums), float(rows[0]),
            crossing.replicas(self.lines, rows), parts, tuple(s.id for s in self.sums), known, settings,
        )  # fmt: skip

    def at_critical_point(
        self, quantity: str, at: Callable[[Array, float, float], Fit], log: float, f: Callable[[Array], Array],
        known: Reference | None, using: Sequence[str], more: Mapping[str, float] = MappingProxyType({}),
    ) -> Estimate:  # fmt: skip
        """f of a number fitted `at` (beta, omega, log), which moves with the critical point; `log` is the known power
        of ln L, `more` are further parts."""
        beta, shift = self.best.rows, self.best.value**2 * math.hypot(*self.parts.values())
        by_omega = {w: at(beta, w, log) for w in OMEGAS}
        own = _parts(self.lines, by_omega, None, f)
        moved = [float(f(at(beta + s, OMEGA, log).rows)[0]) for s in (-shift, shift)]
        own["critical point"] = 0.5 * abs(moved[1] - moved[0])
        if log:
            change = f(at(beta[:1], OMEGA, 0.0).rows) - f(by_omega[OMEGA].rows[:1])
            own["logarithms"] = 0.5 * abs(float(change[0]))
        return self.estimate(quantity, by_omega[OMEGA], f, _merged(own, more), known, using)

    def nu(self, known: Reference | None) -> Estimate:
        """From the slopes of both observables."""
        log = self.logs.thermal

        def at(beta: Array, omega: float, log: float) -> Fit:
            return crossing.inverse_nu(self.lines, NAMES, beta, omega, log)

        def inverse(x: Array) -> Array:
            return 1.0 / x

        def alone(banks: Sequence[Curves], names: Sequence[str]) -> Fit:
            beta = crossing.critical_beta(banks, NAMES, OMEGA, self.best.value).rows
            return crossing.inverse_nu(banks, names, beta, OMEGA, log)

        dropped = _dropped(self.lines, at(self.best.rows, OMEGA, log), alone, inverse)
        return self.at_critical_point("nu", at, log, inverse, known, NAMES, dropped)

    def exponent(
        self, quantity: str, name: str, log: float, f: Callable[[Array], Array], known: Reference | None
    ) -> Estimate:
        """f of the power with which an observable grows."""

        def at(beta: Array, omega: float, log: float) -> Fit:
            return crossing.exponent(self.lines, name, beta, omega, log)

        return self.at_critical_point(quantity, at, log, f, known, [name])

    def energy(self, nu: Estimate, known: Reference | None) -> Estimate:
        """The energy per site, whose corrections fall as L^-(d - 1/nu) where there is no surface."""
        power, spread = self.sums[0].dimension - 1.0 / nu.value, nu.error / nu.value**2
        log = self.logs.thermal

        def level(beta: Array, omega: float, log: float, power: float = power) -> Fit:
            return crossing.level(self.lines, "energy", beta, power, omega, log)

        ends = [level(self.best.rows[:1], OMEGA, log, power + s).value for s in (-spread, spread)]
        parts = {"nu": 0.5 * abs(ends[1] - ends[0])}
        return self.at_critical_point("e_c", level, log, lambda x: x, known, ["energy"], parts)

    def energy_at_known(self, nu: Estimate, known: References) -> list[Estimate]:
        """The energy per site at the critical point that is known, with the nu that is known and half the change with
        the nu that was measured as a part: a check of the sampling, not blind. Nothing where no such point is known, or
        the ladders do not reach it."""
        grid = self.lines[0].beta
        if known.t_c is None or known.nu is None or not grid[0] < 1.0 / known.t_c.value < grid[-1]:
            return []
        rows, shift = np.full(len(self.best.rows), 1.0 / known.t_c.value), known.t_c.error / known.t_c.value**2
        power, other = (self.sums[0].dimension - 1.0 / value for value in (known.nu.value, nu.value))

        def level(beta: Array, omega: float = OMEGA, power: float = power, log: float = self.logs.thermal) -> Fit:
            return crossing.level(self.lines, "energy", beta, power, omega, log)

        levels = {w: level(rows, w) for w in OMEGAS}
        parts = {
            **_parts(self.lines, levels, None, lambda x: x),
            "nu": 0.5 * abs(level(rows[:1], power=other).value - levels[OMEGA].value),
            "critical point": 0.5 * abs(level(rows[:1] + shift).value - level(rows[:1] - shift).value),
        }
        if self.logs.thermal:
            parts["logarithms"] = 0.5 * abs(level(rows[:1], log=0.0).value - levels[OMEGA].value)
        return [self.estimate("e(T_c)", levels[OMEGA], lambda x: x, parts, known.energy, ["energy"])]


def by_crossing(sums: Sequence[Group], lines: Sequence[Curves], known: References) -> list[Estimate]:
    """T_c, nu, beta/nu, gamma/nu and, without free boundaries, the energy at the T_c that is found and at the one that
    is known. Raises InputError when the curves do not cross."""
    d, fits = sums[0].dimension, {w: crossing.critical_beta(lines, NAMES, w) for w in OMEGAS}
    near = fits[OMEGA].value
    parts = _parts(lines, fits, lambda b, n: crossing.critical_beta(b, n, OMEGA, near), lambda beta: 1.0 / beta)
    found = Crossings(sums, lines, fits, parts, known.logs)
    magnetic = known.logs.magnetic
    nu = found.nu(known.nu)
    estimates = [
        found.estimate("T_c", found.best, lambda x: 1.0 / x, parts, known.t_c, NAMES),
        nu,
        found.exponent("beta/nu", "abs_m", magnetic, lambda x: -x, known.beta_nu),
        found.exponent("gamma/nu", "m2", 2.0 * magnetic, lambda x: d + x, known.gamma_nu),
    ]
    if sums[0].boundary == "free":
        return estimates
    return [*estimates, found.energy(nu, known.energy), *found.energy_at_known(nu, known)]


def _parts(
    lines: Sequence[Curves],
    fits: Mapping[float, Fit],
    refit: Callable[[Sequence[Curves], Sequence[str]], Fit] | None,
    f: Callable[[Array], Array],
) -> dict[str, float]:
    best = fits[OMEGA]
    values = [float(f(fit.rows)[0]) for fit in fits.values()]
    ends = f(np.array([best.value - best.prior, best.value + best.prior]))
    parts = {"size": 0.5 * abs(float(ends[1] - ends[0])), "ansatz": 0.5 * (max(values) - min(values))}
    return parts if refit is None else _merged(parts, _dropped(lines, best, refit, f))


def _merged(parts: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """Parts of the same name in quadrature."""
    names = dict.fromkeys([*parts, *more])
    return {name: math.hypot(parts.get(name, 0.0), more.get(name, 0.0)) for name in names}


def _dropped(
    lines: Sequence[Curves],
    best: Fit,
    refit: Callable[[Sequence[Curves], Sequence[str]], Fit],
    f: Callable[[Array], Array],
) -> dict[str, float]:
    """The parts `size` (smallest size left out) and `observable` (each alone)."""

    def number(banks: Sequence[Curves], fit: Fit) -> Measured:
        rows = f(fit.rows)
        return float(rows[0]), crossing.replicas(banks, rows)

    whole = number(lines, best)
    smallest = 0.0
    if len(lines) >= 4:
        fit = refit(lines[1:], NAMES)
        smallest = excess(whole, number(lines[1:], fit), fit.prior * _stretch(fit, f))
    alone = [refit(lines, (name,)) for name in NAMES]
    prior = math.hypot(*(fit.prior * _stretch(fit, f) for fit in alone))
    return {
        "size": smallest,
        "observable": 0.5 * excess(number(lines, alone[0]), number(lines, alone[1]), prior),
    }


def _stretch(fit: Fit, f: Callable[[Array], Array]) -> float:
    """|df/dx| at the estimate."""
    h = 1e-6 * abs(fit.value)
    ends = f(np.array([fit.value - h, fit.value + h]))
    return abs(float(ends[1] - ends[0])) / (2.0 * h)
