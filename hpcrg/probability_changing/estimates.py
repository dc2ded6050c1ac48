"""T_c by probability-changing clusters: the weighted mean over sizes of the self-dual rule, which has no size shift;
the limit of beta(L) = beta_c + a L^(-1/nu) of the half rule.

Systematic parts, fixed beforehand: `size`, the excess of the change without the smallest size; `step`, what steps of
finite length leave (`Finder.unsettled`); for the half rule `correction`, the excess with terms L^(-1/nu - 1) as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate, Measured, Reference, combined_error, derive, excess
from hpcrg.figures import Curve, Figure, FigureData, Mark, Table
from hpcrg.probability_changing.run import SELF_DUAL, Finder
from hpcrg.producing import Produced
from hpcrg.straight import Fit, limit, linear


def finder(produced: Produced) -> Finder:
    """What was asked for."""
    return cast(Finder, produced.series.producer)


def evaluate(results: Sequence[Produced], nu: float | None) -> tuple[list[Estimate], FigureData]:
    """The critical temperature, smallest size first in `results`; `nu` replaces the model's own."""
    points = [finder(r).answer(r) for r in results]
    asked = finder(results[0])
    exact = asked.system.model.exact(asked.system.lattice)
    if asked.rule == SELF_DUAL:
        fit, systematic, told = *_constant(points), {}
    else:
        used = nu or (exact.nu.value if exact.nu else None)
        if used is None:
            raise InputError(expected("probability_changing: nu", f"a value, since {asked.system.model.name} has none",
                                      None))  # fmt: skip
        fit, systematic, told = *_shifted([float(r.size) for r in results], points, used), {"nu": used}
    systematic["step"] = asked.unsettled
    t_c = derive(lambda beta: 1 / beta, fit.measured)
    known = exact.beta_c and Reference(
        1 / exact.beta_c.value, exact.beta_c.error / exact.beta_c.value**2, exact.beta_c.source
    )
    estimate = Estimate(
        "T_c", f"probability_changing/{asked.rule}", asked.system.model.name, tuple(r.size for r in results), t_c[0],
        t_c[1], {name: part * t_c[0] ** 2 for name, part in systematic.items()}, tuple(t_c[1]), known,
        {"sweeps": asked.sweeps, "chains": [r.chains for r in results], "chi2": fit.chi2, "freedom": fit.freedom,
         "quality": fit.quality, **told},
    )  # fmt: skip
    temperatures = [derive(lambda beta: 1 / beta, point) for point in points]
    return [estimate], FigureData([_figure(results, temperatures, known)], [], [_table(results, temperatures)])


def _constant(points: Sequence[Measured]) -> tuple[Fit, dict[str, float]]:
    fit = linear([[1.0] * len(points)], points, 0)
    if len(points) < 2:
        return fit, {}
    return fit, {"size": excess(fit.measured, linear([[1.0] * (len(points) - 1)], points[1:], 0).measured)}


def _shifted(sizes: Sequence[float], points: Sequence[Measured], nu: float) -> tuple[Fit, dict[str, float]]:
    fit, systematic = limit(sizes, points, 1 / nu), {}
    if len(sizes) > 2:
        systematic["size"] = excess(fit.measured, limit(sizes[1:], points[1:], 1 / nu).measured)
        columns = [[1.0] * len(sizes), [n ** (-1 / nu) for n in sizes], [n ** (-1 / nu - 1) for n in sizes]]
        systematic["correction"] = excess(fit.measured, linear(columns, points, 0).measured)
    return fit, systematic


def _table(results: Sequence[Produced], points: Sequence[Measured]) -> Table:
    rows = [[str(r.size), f"{t:.7g} +- {combined_error(e):.2g}"] for r, (t, e) in zip(results, points, strict=True)]
    return Table("Where clusters settle", ["L", "T(L)"], rows)


def _figure(results: Sequence[Produced], points: Sequence[Measured], known: Reference | None) -> Figure:
    curve = Curve("measured", [1.0 / r.size for r in results], [t for t, _ in points],
                  [combined_error(e) for _, e in points], "points")  # fmt: skip
    mark = Mark("T_c", y=known.value) if known else None
    return Figure("settled", "Temperature at which clusters settle", "1/L", "T(L) (J/k_B)", [curve],
                  "Without a size shift for the self-dual rule.", reference=mark)  # fmt: skip
