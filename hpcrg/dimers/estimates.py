"""What dimers on square tori say: the entropy from exact tori, and how correlations half a torus apart decay with L.

Systematic parts, fixed beforehand: `size`, the excess of the change without the smallest size, and `correction`, that
without corrections to scaling (`hpcrg.straight.parts`); of the entropy, what the next smaller tori would have said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpcrg.dimers import correlations
from hpcrg.dimers.exact import ENTROPY, entropy_per_site
from hpcrg.estimate import Estimate, Measured, Reference, combined_error, derive
from hpcrg.figures import Curve, Figure, FigureData, Table
from hpcrg.producing import Produced
from hpcrg.straight import Fit, parts, power

DECAY = 2.0
FISHER_STEPHENSON = "exact (Fisher and Stephenson 1963)"
KASTELEYN = "exact (Kasteleyn 1961)"


def evaluate(results: Sequence[Produced]) -> tuple[list[Estimate], FigureData]:
    """Estimates and drawings, smallest size first in `results`."""
    spec = correlations.spec(results[0])
    free = spec.coupling == 0.0
    dimers = [correlations.dimer_far(r) for r in results]
    found = [_exponent(results, "dimer exponent", dimers, Reference(2.0, source=FISHER_STEPHENSON) if free else None)]
    drawn = {"dimers": dimers}
    if spec.algorithm == "directed_loop":
        monomers = [correlations.monomer_monomer(r, r.size // 2 - 1, 0) for r in results]
        known = Reference(0.5, source=FISHER_STEPHENSON) if free else None
        found.append(_exponent(results, "monomer exponent", monomers, known))
        drawn["monomers"] = monomers
    if free:
        found.insert(0, _entropy(results))
    return found, FigureData([_figure(results, drawn)], [], [_table(results, drawn)])


def _exponent(
    results: Sequence[Produced], quantity: str, points: Sequence[Measured], reference: Reference | None
) -> Estimate:  # fmt: skip
    sizes, spec = [float(r.size) for r in results], correlations.spec(results[0])

    def fit(which: slice, decay: float | None) -> Fit:
        return power(sizes[which], points[which], decay)

    usual = DECAY if len(results) > 2 else None
    whole = fit(slice(0, None), usual)
    value, replicas = derive(lambda a: -a, whole.measured)
    return Estimate(
        quantity, f"dimers/{spec.algorithm}", _model(results), tuple(r.size for r in results), value, replicas,
        parts(fit, len(results), usual, None if usual else DECAY), tuple(replicas), reference,
        {"coupling": spec.coupling, "chains": [r.chains for r in results], "chi2": whole.chi2,
         "freedom": whole.freedom, "quality": whole.quality},
    )  # fmt: skip


def _entropy(results: Sequence[Produced]) -> Estimate:
    """From Kasteleyn's product on the tori of the campaign; no chance is in it."""
    side = results[-1].size
    value, smaller = entropy_per_site(side), entropy_per_site(max(4, side // 4 * 2))
    return Estimate(
        "entropy per site", "dimers/tori", _model(results), (side, 2 * side, 4 * side), value, {},
        {"extrapolation": abs(value - smaller)}, (), Reference(ENTROPY, source=KASTELEYN),
    )  # fmt: skip


def _model(results: Sequence[Produced]) -> str:
    return f"dimers, K = {correlations.spec(results[0]).coupling:g}"


def _table(results: Sequence[Produced], drawn: Mapping[str, Sequence[Measured]]) -> Table:
    rows = []
    for k, r in enumerate(results):
        numbers = [correlations.energy(r), *(points[k] for points in drawn.values())]
        rows.append([str(r.size), *(f"{value:.6g} +- {combined_error(e):.2g}" for value, e in numbers)])
    return Table("Dimers half a torus apart", ["L", "energy per site", *drawn], rows)


def _figure(results: Sequence[Produced], drawn: Mapping[str, Sequence[Measured]]) -> Figure:
    sizes = [float(r.size) for r in results]
    curves = [
        Curve(name, sizes, [v for v, _ in points], [combined_error(e) for _, e in points], "points")
        for name, points in drawn.items()
    ]
    return Figure("decay", "Correlations of dimers and of monomers half a torus apart", "L", "correlation at r = L/2",
                  curves, "Straight lines are power laws.", "log", "log")  # fmt: skip
