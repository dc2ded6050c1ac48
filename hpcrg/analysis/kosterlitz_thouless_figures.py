"""What the Kosterlitz-Thouless analysis shows: the helicity modulus over temperature, and its jump over size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpcrg.analysis.kosterlitz_thouless import Helicity, Solution, centre, next_form, polynomials
from hpcrg.estimate import Estimate, Reference, format_error
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table

UNLIKELY = 1e-3
"""Probability of chi^2 below which a fit is doubted."""


def build(
    name: str, data: Sequence[Helicity], best: Solution | None, known: Reference | None, notes: Sequence[Note],
    estimates: Sequence[Estimate],
) -> FigureData:  # fmt: skip
    """Figures, notes and tables; `best` is None where no transition was found."""
    figures = [_moduli(name, data, known)]
    doubts = list(notes)
    if best is not None:
        figures.append(_jump(name, data, best))
        if best.likely < UNLIKELY:
            text = f"fss/helicity: chi^2 = {best.chi2:.1f} on {best.freedom} degrees of freedom; leave small sizes out"
            doubts.append(Note("warning", text))
    return FigureData(figures, doubts, [_table(data), _parts(estimates)])


def _moduli(name: str, data: Sequence[Helicity], known: Reference | None) -> Figure:
    curves = [Curve(f"L = {h.size}", h.temperatures.tolist(), h.rows[0].tolist(), h.errors.tolist()) for h in data]
    ends = np.array([min(h.temperatures.min() for h in data), max(h.temperatures.max() for h in data)])
    curves.append(Curve("2 T / pi", ends.tolist(), (2 * ends / np.pi).tolist(), None, "line"))
    mark = Mark(f"T_c, {known.source}", x=known.value) if known else None
    return Figure(
        f"{name}-helicity", "Helicity modulus", "temperature T (J/k_B)", "Y (J)", curves,
        "In an infinite system it jumps to 0 where it meets the straight line; in a finite one it passes the line "
        "above the transition.", reference=mark,
    )  # fmt: skip


def _jump(name: str, data: Sequence[Helicity], best: Solution) -> Figure:
    coefficients, covariance = polynomials(data)
    powers = [(best.t_c - centre(data)) ** np.arange(c.shape[1]) for c in coefficients]
    x = [float(c[0] @ p) for c, p in zip(coefficients, powers, strict=True)]
    error = [float(np.sqrt(p @ v @ p)) for p, v in zip(powers, covariance, strict=True)]
    sizes = [float(h.size) for h in data]
    fine = np.geomspace(sizes[0], 4 * sizes[-1], 60)
    fit = next_form(np.log(fine), np.array(best.constant))
    curves = [Curve("measured", sizes, x, error, "points"), Curve("fit", fine.tolist(), fit.tolist(), None, "line")]
    return Figure(
        f"{name}-jump", f"The jump at T = {best.t_c:.5g}", "L", "pi Y / (2 T)", curves,
        f"1 + 1/(2 ln L + C + ln(ln L + C/2)) with C = {best.constant:.3g}; chi^2 = {best.chi2:.1f} on "
        f"{best.freedom} degrees of freedom. The limit 1 is reached logarithmically.",
        xscale="log", reference=Mark("universal jump", y=1.0),
    )  # fmt: skip


def _table(data: Sequence[Helicity]) -> Table:
    rows = [
        [str(h.size), f"{t:.6g}", format_error(float(y), float(e)), f"{np.pi * y / (2 * t):.5f}"]
        for h in data
        for t, y, e in zip(h.temperatures, h.rows[0], h.errors, strict=True)
    ]
    return Table("Helicity modulus", ["L", "T", "Y", "pi Y / (2 T)"], rows)


def _parts(estimates: Sequence[Estimate]) -> Table:
    names = list(dict.fromkeys(part for e in estimates for part in e.systematic))
    rows = [
        [e.quantity, e.method, str(e), f"{e.statistical:.2g}", *(f"{e.systematic.get(n, 0.0):.2g}" for n in names)]
        for e in estimates
    ]
    return Table("Parts of the errors", ["quantity", "method", "value", "statistical", *names], rows)
