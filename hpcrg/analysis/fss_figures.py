"""What finite-size scaling shows: observables over T for all sizes, crossings against size, the collapse, and
tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import crossing
from hpcrg.analysis.fss_collapse import Result
from hpcrg.analysis.points import OBSERVABLES, Points
from hpcrg.analysis.reweight import Curves
from hpcrg.estimate import Estimate, Reference, combined_error, format_error
from hpcrg.figures import Curve, Figure, Mark, Note, Table

Array = NDArray[np.float64]
TEMPERATURE = "temperature T (J/k_B)"
LINE_POINTS = 121
SYMBOLS = {"u4": "U4", "xi": "xi_2nd/L"}
LABELS = {
    "energy": ("Energy", "energy per site e (J)"),
    "heat": ("Specific heat", "specific heat per site c (k_B)"),
    "abs_m": ("Order parameter", "<|m|> per site"),
    "chi": ("Susceptibility", "chi = beta N (<m^2> - <|m|>^2) (1/J)"),
    "u4": ("Binder cumulant", "U4"),
    "xi": ("Correlation length", "xi_2nd / L"),
}


@dataclass(frozen=True)
class Style:
    """What is shown, with title and label of the ordinate, and what points and lines are."""

    labels: Mapping[str, tuple[str, str]]
    caption: str


CLEAN = Style(
    LABELS,
    "Points: measured at the simulated temperatures, errors with autocorrelation. Lines: multi-histogram "
    "reweighting of all temperatures of a size.",
)
SAMPLES = Style(
    {key: LABELS[key] for key in ("energy", "abs_m", "u4", "xi")},
    "Averages over samples of the disorder. Points: measured at the simulated temperatures, errors over samples. "
    "Lines: cubic splines through them.",
)
GLASS = Style(
    {**SAMPLES.labels, "abs_m": ("Overlap", "[<|q|>] per site"), "u4": ("Binder cumulant of the overlap", "U4"),
     "xi": ("Correlation length of the overlap", "xi_2nd / L")},
    SAMPLES.caption,
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """Figures, notes and tables."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class PairCrossing:
    """Where R of two sizes is equal: T and 1/nu by the quotient of slopes there, each (value, error)."""

    name: str
    small: int
    large: int
    temperature: tuple[float, float]
    level: float
    inverse_nu: tuple[float, float]


def build(
    name: str,
    lines: Sequence[Curves],
    points: Sequence[Points],
    collapses: Sequence[Result],
    t_c: Reference | None,
    estimates: Sequence[Estimate],
    style: Style = CLEAN,
) -> Shown:
    """All figures and tables of one scaling analysis."""
    mark = Mark(f"T_c, {t_c.source}", x=t_c.value) if t_c else None
    pairs = list(pair_crossings(lines))
    figures = [_observable(name, key, lines, points, mark, style) for key in style.labels]
    figures += [_crossings(name, pairs, t_c, estimates)] if pairs else []
    figures += [_collapsed(name, result, i) for result in collapses for i in range(len(result.data))]
    return Shown(figures, [], [_pair_table(pairs), _parts_table(estimates), _point_table(points, style)])


def pair_crossings(lines: Sequence[Curves]) -> Iterator[PairCrossing]:
    """The crossing of every pair of sizes whose ratio is at least 1.25, for each observable."""
    for key in SYMBOLS:
        for a, b in combinations(lines, 2):
            beta = crossing.pair_crossing(a, b, key) if b.size >= 1.25 * a.size else None
            if beta is None:
                continue
            table = crossing.row_table([a, b])
            slopes = crossing.slopes_at([a, b], (key,), table, beta)
            rows = np.log(np.abs(slopes[1] / slopes[0])) / np.log(b.size / a.size)
            level = float(crossing.hermite(a, key, table[0, :1], beta[:1])[0][0])
            t = 1.0 / beta
            yield PairCrossing(
                key,
                a.size,
                b.size,
                (float(t[0]), _error([a, b], t)),
                level,
                (float(rows[0]), _error([a, b], rows)),
            )


def _error(banks: Sequence[Curves], rows: Array) -> float:
    return combined_error(crossing.replicas(banks, rows))


def _observable(
    name: str, key: str, lines: Sequence[Curves], points: Sequence[Points], mark: Mark | None, style: Style
) -> Figure:
    curves = []
    for line, whole in zip(lines, points, strict=True):
        point = whole.defined((key,))
        curves.append(
            Curve(
                f"L = {point.size}",
                point.temperatures.tolist(),
                point.values[key].tolist(),
                point.errors[key].tolist(),
                "points",
            )
        )
        step = max(1, (len(line.beta) - 1) // (LINE_POINTS - 1))
        t, y = 1.0 / line.beta[::step], line.values[key][0, ::step]
        curves.append(Curve(f"L = {point.size}", t[::-1].tolist(), y[::-1].tolist(), None, "line"))
    title, ylabel = style.labels[key]
    return Figure(f"{name}-{key}", title, TEMPERATURE, ylabel, curves, style.caption, reference=mark)


def _crossings(
    name: str, pairs: Sequence[PairCrossing], t_c: Reference | None, estimates: Sequence[Estimate]
) -> Figure:
    curves = []
    for key, symbol in SYMBOLS.items():
        mine = sorted((p for p in pairs if p.name == key), key=lambda p: p.small * p.large)
        curves.append(
            Curve(
                symbol,
                [float(np.sqrt(p.small * p.large)) for p in mine],
                [p.temperature[0] for p in mine],
                [p.temperature[1] for p in mine],
                "points",
            )
        )
    for e in estimates:
        if e.quantity == "T_c" and pairs:
            reach = [float(np.sqrt(p.small * p.large)) for p in pairs]
            curves.append(Curve(f"{e.method}: {e}", [max(reach) * 1.1], [e.value], [e.error], "points"))
    mark = Mark(f"T_c, {t_c.source}", y=t_c.value) if t_c else None
    return Figure(
        f"{name}-crossings",
        "Crossings of pairs of sizes",
        "sqrt(L1 L2)",
        "temperature of the crossing (J/k_B)",
        curves,
        "Where U4 or xi_2nd/L of two sizes is equal. Corrections to scaling die with the size; "
        "the estimates at the right allow for them.",
        xscale="log",
        reference=mark,
    )


def _collapsed(name: str, result: Result, index: int) -> Figure:
    data = result.data[index]
    t_c, y_t = result.t_c[0], float(result.fit.theta[1])
    curves = []
    for size in np.unique(data.size):
        mine = data.size == size
        x = (data.control[mine] - np.log(t_c)) * size**y_t * np.log(size) ** result.fit.log
        order = np.argsort(x)
        curves.append(
            Curve(
                f"L = {size:.0f}",
                x[order].tolist(),
                data.value[mine][order].tolist(),
                data.error[mine][order].tolist(),
                "points",
            )
        )
    verdict = f"BAD: {result.fit.bad}" if result.fit.bad else "accepted"
    caption = (
        f"T_c = {t_c:.6g}, nu = {1 / y_t:.4g}; chi^2 = {result.fit.chi2:.1f} for {result.fit.freedom:.1f} "
        f"degrees of freedom, both observables together; overlap {result.fit.overlap:.0%}; {verdict}."
    )
    symbol = SYMBOLS.get(data.name, data.name)
    axis = "ln(T/T_c) L^(1/nu)" + (f" (ln L)^({result.fit.log:g})" if result.fit.log else "")
    return Figure(f"{name}-collapse-{data.name}", f"Collapse of {symbol}", axis, symbol, curves, caption)


def _pair_table(pairs: Sequence[PairCrossing]) -> Table:
    rows = [
        [
            SYMBOLS[p.name],
            str(p.small),
            str(p.large),
            format_error(*p.temperature),
            f"{p.level:.5f}",
            format_error(*p.inverse_nu),
        ]
        for p in pairs
    ]
    return Table(
        "Crossings of pairs of sizes (no correction to scaling applied)",
        ["observable", "L1", "L2", "T of crossing", "value there", "1/nu by quotient of slopes"],
        rows,
    )


def _parts_table(estimates: Sequence[Estimate]) -> Table:
    names = list(dict.fromkeys(part for e in estimates for part in e.systematic))
    rows = [
        [
            e.quantity,
            e.method,
            str(e),
            f"{e.statistical:.2g}",
            *(f"{e.systematic.get(n, 0.0):.2g}" for n in names),
            f"{float(e.settings['chi2']):.1f} / {float(e.settings['freedom']):.1f}",
        ]
        for e in estimates
    ]
    columns = ["quantity", "method", "value", "statistical", *names, "chi^2 / freedom"]
    return Table("Parts of the errors of finite-size scaling", columns, rows)


def _cell(value: float, error: float) -> str:
    return format_error(value, error) if np.isfinite(value) else "-"


def _point_table(points: Sequence[Points], style: Style) -> Table:
    shown = [k for k in OBSERVABLES if k in style.labels]
    rows = []
    for p in points:
        for k, t in enumerate(p.temperatures):
            cells = [_cell(float(p.values[o][k]), float(p.errors[o][k])) for o in shown]
            taus = [_time(float(p.taus[o][k])) for o in ("energy", "m2")]
            rows.append([str(p.size), f"{t:.6g}", *cells, *taus])
    columns = ["L", "T", *(style.labels[k][1] for k in shown), "tau of energy", "tau of m^2"]
    return Table("Measured observables; tau in measurements, tau = 1/2 + sum", columns, rows)


def _time(tau: float) -> str:
    return f"{tau:.2f}" if np.isfinite(tau) else "-"
