"""A first-order transition from flat histograms of several sizes: T_c, latent heat and interface tension.

    barrier(L) = 2 sigma L + c,    latent(L) = latent + a exp(-2 sigma L),    beta(L) = beta_t + b exp(-2 sigma L)

The positions of two interfaces give L^2 mixed configurations, the capillary waves of both L^-1, which spread over L^2
energies as a peak over L: the barrier has no logarithm in the plane. Without the plateau of mixed configurations
(hpcrg/flat_histogram/first_order.py) what is left are corrections of the pure phases, exp(-L / xi), and 2 sigma is
1 / xi of the disordered one where the interface is wet (Borgs and Janke, J. Phys. I 2, 2011 (1992)); the 2 sigma
measured here is used. Systematic parts, fixed beforehand: `size`, the excess of the change without the smallest size;
`correction`, that with a further term 1/L of the barrier, exp(-4 sigma L) of the others; `tension`, what the error of
2 sigma does to the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

from hpcrg.estimate import Estimate, Measured, Reference, combined_error, derive, excess
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table
from hpcrg.flat_histogram import first_order, known
from hpcrg.flat_histogram.results import Histograms, histograms
from hpcrg.flat_histogram.run import FlatHistogram
from hpcrg.producing import Produced
from hpcrg.straight import Fit, linear

FEW_TRIPS = 2.0
"""Fewer round trips than this in a jackknife block leave blocks that depend on each other."""
Terms = Callable[[float], Sequence[float]]


def flat(produced: Produced) -> FlatHistogram:
    """What was asked for."""
    return cast(FlatHistogram, produced.series.producer)


def evaluate(results: Sequence[Produced]) -> tuple[list[Estimate], FigureData]:
    """Estimates and drawings, smallest size first in `results`. Raises InputError where P(E) has not two peaks."""
    system = flat(results[0]).walk.system
    q = system.physics.states
    data = [histograms(r, flat(r).land.levels) for r in results]
    exact = system.model.exact(system.lattice).beta_c
    guesses = [exact.value if exact else _guess(h, flat(r)) for h, r in zip(data, results, strict=True)]
    found = [
        first_order.analyse(h, flat(r).walk.system.volume, q, guess)
        for h, r, guess in zip(data, results, guesses, strict=True)
    ]
    known_t = Reference(1 / exact.value, exact.error / exact.value**2, exact.source) if exact else None
    facts = known.references(system)
    tension, tension_parts = _fit(results, [f["barrier"] for f in found], 1, _line, _line_and_inverse)
    kappa = max(1e-6, tension.value)

    spread = math.hypot(tension.error, *tension_parts.values())
    latent, latent_parts = _pure(results, [f["latent"] for f in found], kappa, spread)
    beta, beta_parts = _pure(results, [f["beta"] for f in found], kappa, spread)
    estimates = [
        _estimate(results, "T_c", "coexistence", beta, beta_parts, known_t, lambda b: 1 / b),
        _estimate(results, "latent heat", "coexistence", latent, latent_parts, facts.get("latent"), _same),
        _estimate(results, "2 sigma", "barrier", tension, tension_parts, facts.get("tension"), _same),
    ]
    tables = [_table(results, found)]
    notes = _notes(results)
    return estimates, FigureData(_figures(results, data, found, facts), notes, tables)


def _guess(h: Histograms, producer: FlatHistogram) -> float:
    """The temperature where the middle between the turns is the mean energy."""
    middle, spectrum = sum(producer.plan.turns) / 2, h.spectrum()
    low, high = 1e-3, 10.0
    for _ in range(60):
        beta = math.sqrt(low * high)
        low, high = (beta, high) if spectrum.energy(beta) > middle else (low, beta)
    return math.sqrt(low * high)


def _same(value: float) -> float:
    return value


def _line(size: float) -> tuple[float, ...]:
    return 1.0, size


def _line_and_inverse(size: float) -> tuple[float, ...]:
    return 1.0, size, 1 / size


def _pure(
    results: Sequence[Produced], points: Sequence[Measured], kappa: float, spread: float
) -> tuple[Fit, dict[str, float]]:  # fmt: skip
    """The limit of y + a exp(-kappa L), `spread` being the error of kappa."""

    def decay(rate: float, order: int) -> Terms:
        return lambda size: [math.exp(-k * rate * size) for k in range(order + 1)]

    fit, systematic = _fit(results, points, 0, decay(kappa, 1), decay(kappa, 2))
    rates = (kappa + spread, max(kappa / 2, kappa - spread))
    high, low = (_fit(results, points, 0, decay(rate, 1), decay(rate, 2))[0].value for rate in rates)
    return fit, {**systematic, "tension": abs(high - low) / 2}


def _fit(
    results: Sequence[Produced], points: Sequence[Measured], term: int, terms: Terms, other: Terms
) -> tuple[Fit, dict[str, float]]:  # fmt: skip
    sizes = [float(r.size) for r in results]

    def fit(which: slice, columns: Terms) -> Fit:
        return linear(list(zip(*map(columns, sizes[which]), strict=True)), points[which], term)

    whole, systematic = fit(slice(0, None), terms), {}
    if len(sizes) > 2:
        systematic["size"] = excess(whole.measured, fit(slice(1, None), terms).measured)
        systematic["correction"] = excess(whole.measured, fit(slice(0, None), other).measured)
    return whole, systematic


def _estimate(
    results: Sequence[Produced], quantity: str, method: str, fit: Fit, systematic: dict[str, float],
    reference: Reference | None, to: Callable[[float], float],
) -> Estimate:  # fmt: skip
    value, replicas = derive(to, fit.measured)
    scale = abs(value / fit.value) if to is not _same else 1.0
    return Estimate(
        quantity, f"flat_histogram/{method}", flat(results[0]).walk.system.model.name,
        tuple(r.size for r in results), value, replicas, {name: part * scale for name, part in systematic.items()},
        tuple(replicas), reference,
        {"chains": [r.chains for r in results], "chi2": fit.chi2, "freedom": fit.freedom, "quality": fit.quality},
    )  # fmt: skip


def _trips(r: Produced) -> float:
    return float(r["half_trips"].sum()) / 2


def _notes(results: Sequence[Produced]) -> list[Note]:
    counts = [(r.size, _trips(r), r.chains * flat(r).plan.blocks) for r in results]
    return [
        Note(
            "warning", f"flat_histogram, L = {size}: {trips:g} round trips in {blocks} blocks; errors may be too small"
        )
        for size, trips, blocks in counts
        if trips < FEW_TRIPS * blocks
    ]


def _table(results: Sequence[Produced], found: Sequence[dict[str, Measured]]) -> Table:
    names = ["beta", "beta_equal_weight", "beta_equal_height", "latent", "barrier"]
    rows = [
        [str(r.size), f"{_trips(r):g}", *(f"{f[n][0]:.7g} +- {combined_error(f[n][1]):.2g}" for n in names)]
        for r, f in zip(results, found, strict=True)
    ]
    return Table("Two phases", ["L", "round trips", *(n.replace("_", " ") for n in names)], rows)


def _figures(
    results: Sequence[Produced], data: Sequence[Histograms], found: Sequence[dict[str, Measured]],
    facts: dict[str, Reference],
) -> list[Figure]:  # fmt: skip
    curves = []
    for r, h, f in zip(results, data, found, strict=True):
        spectrum, n = h.spectrum(), flat(r).walk.system.volume
        ln_p = spectrum.ln_p(f["beta_equal_height"][0])
        step = max(1, len(ln_p) // 400)
        curves.append(Curve(f"L = {r.size}", (spectrum.levels[::step] / n).tolist(),
                            (ln_p - ln_p.max())[::step].tolist(), style="line"))  # fmt: skip
    latent = Curve("coexistence", [1 / r.size for r in results], [f["latent"][0] for f in found],
                   [combined_error(f["latent"][1]) for f in found], "points")  # fmt: skip
    mark = Mark("exact", y=facts["latent"].value) if "latent" in facts else None
    return [
        Figure("peaks", "Energy distribution at equal heights", "energy per site", "ln P (top = 0)", curves,
               "The valley between the phases deepens as exp(-2 sigma L)."),
        Figure("latent", "Latent heat", "1/L", "latent heat per site", [latent],
               "Difference of the mean energies of the phases.", reference=mark),
    ]  # fmt: skip
