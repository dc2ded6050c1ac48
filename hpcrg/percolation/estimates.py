"""p_c, nu and D_f of percolation from several sizes, with what is drawn and told of them.

In the plane the exact critical probability of wrapping along an axis fixes the level R*; elsewhere it is the value
where the two largest sizes cross. Exponents are taken where R = R*, so that no threshold enters. Systematic parts, set
beforehand: `size`, the excess of the change without the smallest size (without the largest pair for crossings), and
`correction`, that with corrections to scaling of another exponent (`hpcrg.straight.parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hpcrg.estimate import Estimate, Measured, Reference, combined_error, derive, excess
from hpcrg.figures import Curve, Figure, FigureData, Mark, Table
from hpcrg.percolation import known, scaling
from hpcrg.percolation.canonical import canonical
from hpcrg.producing import Produced
from hpcrg.straight import Fit, limit, parts, power

EVENT = "axis"
OMEGA = {2: 1.5, 3: 1.2}
"""Corrections to scaling decay as L^-omega (Aharony and Asikainen 2003; Wang et al. 2013)."""
Parts = dict[str, float]


def evaluate(results: Sequence[Produced]) -> tuple[list[Estimate], FigureData]:
    """Estimates and drawings, smallest size first in `results`."""
    crossings = [scaling.crossing(a, b, EVENT) for a, b in pairwise(results)]
    exact = known.level(scaling.spec(results[0]).lattice)
    found = [_threshold_by_crossing(results, crossings)]
    level = exact
    if level is None:
        rows = scaling.wrapping_rows(results[-1], EVENT)
        level = float(canonical(rows[0], crossings[-1][0]))
    else:
        found.insert(0, _threshold_by_level(results, level))
    found += _exponents(results, level)
    return found, FigureData(_figures(results, level, found[0]), [], [_table(results, level)])


def _estimate(
    results: Sequence[Produced], quantity: str, method: str, measured: Measured, systematic: Parts,
    reference: Reference | None, fit: Fit | None,
) -> Estimate:  # fmt: skip
    spec = scaling.spec(results[0])
    quality = {"chi2": fit.chi2, "freedom": fit.freedom, "quality": fit.quality} if fit else {}
    return Estimate(
        quantity, f"percolation/{method}", f"{spec.kind} percolation, {spec.lattice.kind}",
        tuple(r.size for r in results), measured[0], measured[1], systematic, tuple(measured[1]), reference,
        {"event": EVENT, "realisations": spec.realisations, "chains": [r.chains for r in results], **quality},
    )  # fmt: skip


def _p_c(results: Sequence[Produced]) -> Reference | None:
    spec = scaling.spec(results[0])
    return known.THRESHOLDS.get((spec.kind, spec.lattice.kind, spec.lattice.dimension))


def _threshold_by_level(results: Sequence[Produced], level: float) -> Estimate:
    points = [scaling.threshold(r, EVENT, level) for r in results]
    sizes = [float(r.size) for r in results]

    def fit(which: slice, decay: float | None) -> Fit:
        return limit(sizes[which], points[which], decay or scaling.PLANE_DECAY)

    # A decay of other than 11/4 is that of L^(-1/nu - omega) with omega = 3/2.
    systematic = parts(fit, len(results), scaling.PLANE_DECAY, 0.75 + OMEGA[2])
    whole = fit(slice(0, None), None)
    return _estimate(results, "p_c", "level", whole.measured, systematic, _p_c(results), whole)


def _threshold_by_crossing(results: Sequence[Produced], crossings: Sequence[Measured]) -> Estimate:
    last = crossings[-1]
    systematic = {"size": excess(last, crossings[-2])} if len(crossings) > 1 else {}
    return _estimate(results, "p_c", "crossing", last, systematic, _p_c(results), None)


def _exponents(results: Sequence[Produced], level: float) -> list[Estimate]:
    d = scaling.spec(results[0]).lattice.dimension

    def slope(which: slice, decay: float | None) -> Fit:
        return power(sizes[which], slopes[which], decay)

    def mass(which: slice, decay: float | None) -> Fit:
        return power(sizes[which], masses[which], decay)

    sizes = [float(r.size) for r in results]
    slopes = [scaling.slope_at(r, EVENT, level) for r in results]
    masses = [scaling.largest_at(r, EVENT, level) for r in results]
    omega = OMEGA.get(d, 1.0)
    y, s = slope(slice(0, None), None), mass(slice(0, None), None)
    nu = derive(lambda a: 1 / a, y.measured)
    nu_parts = {name: part * nu[0] ** 2 for name, part in parts(slope, len(results), None, omega).items()}
    fractal = derive(lambda a: a + d, s.measured)
    return [
        _estimate(results, "nu", "slope", nu, nu_parts, known.NU.get(d), y),
        _estimate(results, "D_f", "largest", fractal, parts(mass, len(results), None, omega), known.FRACTAL.get(d), s),
    ]


def _table(results: Sequence[Produced], level: float) -> Table:
    rows = []
    for r in results:
        numbers = (scaling.threshold(r, EVENT, level), scaling.slope_at(r, EVENT, level),
                   scaling.largest_at(r, EVENT, level))  # fmt: skip
        shown = [f"{value:.8g} +- {combined_error(replicas):.2g}" for value, replicas in numbers]
        rows.append([str(r.size), str(r.chains * scaling.spec(r).realisations), *shown])
    return Table(f"Where a cluster wraps along an axis with probability {level:.6f}",
                 ["L", "realisations", "p", "slope of R", "largest cluster per site"], rows)  # fmt: skip


def _figures(results: Sequence[Produced], level: float, best: Estimate) -> list[Figure]:
    curves = []
    for r in results:
        rows = scaling.wrapping_rows(r, EVENT)
        width = 0.5 / scaling.slope_at(results[0], EVENT, level)[0]
        p = np.linspace(best.value - width, best.value + width, 41)
        p = p[(p > 0) & (p < 1)]
        curves.append(Curve(f"L = {r.size}", p.tolist(), [float(canonical(rows[0], x)) for x in p], style="line"))
    name = scaling.spec(results[0]).kind
    known_p = best.reference.value if best.reference else best.value
    slopes = [scaling.slope_at(r, EVENT, level) for r in results]
    return [
        Figure(f"{name}-wrapping", "Clusters that wrap around an axis", f"{name} probability p", "R(p)", curves,
               "Curves of all sizes cross at the threshold.", reference=Mark("p_c", x=known_p)),
        Figure(f"{name}-slopes", "Slope of the wrapping probability", "L", "R'(p) at R = R*",
               [Curve("measured", [float(r.size) for r in results], [v for v, _ in slopes],
                      [combined_error(e) for _, e in slopes], "points")],
               "Grows as L^(1/nu).", "log", "log"),
    ]  # fmt: skip
