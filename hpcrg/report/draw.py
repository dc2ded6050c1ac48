"""Drawings: figure data and estimates as SVG, readable without colour and by colour-blind people.

Labels that differ by a number only (sizes, levels, operators) get a sequence of the viridis map, dark to light in the
order given; other curves the eight colours of Okabe and Ito (2008), and viridis beyond eight. Every family of curves
has its own marker; what follows a comma in a label (", training") is a member of the family and shares its look. The
legend stands beside the axes and never covers data. Equal data give equal bytes.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation, Transform

from hpcrg.figures import Curve, Figure, Mark, Panels
from hpcrg.report.labels import drawn
from hpcrg.report.rows import Row

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")
MARKERS = "osD^vP*X<>"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "path", "svg.hashsalt": "hpcrg", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "legend.frameon": False, "lines.linewidth": 1.3, "lines.markersize": 4.5,
    "axes.formatter.useoffset": False,
}  # fmt: skip
REFERENCE: Mapping[str, Any] = {"color": "#333333", "linestyle": "--", "linewidth": 1.1, "zorder": 1.5}
CROWDED = 8
"""More families than this get thinner lines and smaller markers."""
DODGE = 5.0
"""Points of type between families of points that are measured at the same places."""


@dataclass(frozen=True)
class Look:
    """The colour and the marker of a family of curves, and how far it is moved aside, in points of type."""

    colour: str
    marker: str
    aside: float = 0.0


def figure_svg(figure: Figure) -> bytes:
    """One figure without its title: curves with error bars, the reference as a line, both axes labelled."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(6.6, 3.7), layout="constrained")
        axes = canvas.add_subplot()
        looks = _looks(figure.curves)
        _frame(axes, figure)
        for curve in figure.curves:
            _draw(axes, curve, looks[_family(curve.label)], crowded=len(looks) > CROWDED)
        entries = _entries(figure.curves, looks)
        if figure.reference is not None:
            entries.append(_mark(axes, figure.reference))
        _legend(canvas, entries)
        return _bytes(canvas)


def panels_svg(panels: Panels) -> bytes:
    """Rows of small pictures, each row with its label; colours of one weight are one shade in every picture."""
    columns = max(map(len, panels.rows), default=1)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        canvas = Canvas(figsize=(6.6, 6.2 * len(panels.rows) / (columns + 1) + 0.2), layout="constrained")
        axes = canvas.subplots(len(panels.rows), columns, squeeze=False)
        for label, row, places in zip(panels.labels, panels.rows, axes, strict=True):
            for place in places:
                place.set_axis_off()
            for place, picture in zip(places, row, strict=False):
                place.imshow(picture, cmap="RdBu_r", vmin=-127, vmax=127, interpolation="nearest")
            places[0].text(-0.12, 0.5, drawn(label), transform=places[0].transAxes, ha="right", va="center", fontsize=8)
        return _bytes(canvas)


def comparison_svg(rows: Sequence[Row]) -> bytes:
    """A panel for each quantity: every method's value, statistical error thick, total error thin, reference a line."""
    quantities = list(dict.fromkeys(r.estimate.quantity for r in rows))
    groups = [[r for r in rows if r.estimate.quantity == q] for q in quantities]
    columns = min(2, len(groups))
    lines = [groups[i : i + columns] for i in range(0, len(groups), columns)]
    heights = [1.6 + max(map(len, line)) for line in lines]
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(5.2 * columns, 0.28 * sum(heights) + 0.2), layout="constrained")
        panels = canvas.subplots(len(lines), columns, squeeze=False, height_ratios=heights).ravel()
        for axes, quantity, group in zip(panels, quantities, groups, strict=False):
            _panel(axes, quantity, group)
        for axes in panels[len(groups) :]:
            axes.remove()
        return _bytes(canvas)


def _panel(axes: Axes, quantity: str, group: Sequence[Row]) -> None:
    for place, row in enumerate(group):
        e, bad = row.estimate, row.kind in ("disagrees", "fails")
        colour = OKABE_ITO[1] if bad else OKABE_ITO[0]
        axes.errorbar(e.value, place, xerr=e.statistical, color=colour, elinewidth=4.0, alpha=0.45)
        axes.errorbar(e.value, place, xerr=e.error, color=colour, marker="X" if bad else "o", capsize=2.5)
    for value in {r.estimate.reference.value for r in group if r.estimate.reference is not None}:
        axes.axvline(value, **REFERENCE)
    axes.set_yticks(range(len(group)), [drawn(f"{r.estimate.method}  {r.estimate}") for r in group])
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_title(drawn(quantity), loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _family(label: str) -> str:
    return label.partition(", ")[0]


def _looks(curves: Sequence[Curve]) -> dict[str, Look]:
    families = list(dict.fromkeys(_family(c.label) for c in curves))
    n = len(families)
    # Numbers and a plural s aside, "1 operator" and "2 operators" are one pattern.
    ordered = n > 1 and len({re.sub(r"\d+", "#", re.sub(r"s\b", "", f)) for f in families}) == 1
    shades = [mpl.colors.to_hex(shade) for shade in mpl.colormaps["viridis"](np.linspace(0.0, 0.88, n))]
    colours = shades if ordered or n > len(OKABE_ITO) else list(OKABE_ITO)
    apart = DODGE if not ordered and _same_places(curves) else 0.0
    return {f: Look(colours[i], MARKERS[i % len(MARKERS)], apart * (i - (n - 1) / 2)) for i, f in enumerate(families)}


def _same_places(curves: Sequence[Curve]) -> bool:
    """Whether there are points only, and several curves stand at the same x and would hide each other."""
    places = [tuple(c.x) for c in curves if c.style == "points"]
    return len(places) == len(curves) and len(set(places)) < len(places)


def _draw(axes: Axes, curve: Curve, look: Look, crowded: bool) -> None:
    # Points lie above lines, so that a line through them does not hide their errors.
    axes.errorbar(
        curve.x, curve.y, curve.yerr, color=look.colour, linestyle="none" if curve.style == "points" else "-",
        marker="none" if curve.style == "line" else look.marker, markersize=3.0 if crowded else 4.5,
        linewidth=0.9 if crowded else 1.3, elinewidth=1.0, capsize=2.0, zorder=2.0 if curve.style == "line" else 3.0,
        transform=_moved(axes, look.aside),
    )  # fmt: skip
    if look.aside:  # what is moved does not count for the limits of the axes by itself
        x, y = np.asarray(curve.x), np.asarray(curve.y)
        error = np.asarray(curve.yerr) if curve.yerr is not None else np.zeros_like(y)
        axes.update_datalim(np.column_stack([np.tile(x, 2), np.concatenate([y - error, y + error])]))
        axes.autoscale_view()


def _moved(axes: Axes, points: float) -> Transform:
    canvas = axes.get_figure(root=True)
    if not points or canvas is None:
        return axes.transData
    return axes.transData + ScaledTranslation(points / 72, 0.0, canvas.dpi_scale_trans)


def _frame(axes: Axes, figure: Figure) -> None:
    axes.set_xlabel(drawn(figure.xlabel))
    axes.set_ylabel(drawn("\n".join(textwrap.wrap(figure.ylabel, 42))))
    axes.set(xscale=figure.xscale, yscale=figure.yscale)
    xs = sorted({x for c in figure.curves for x in c.x})
    if not xs:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="#a31515")
    elif figure.xscale == "linear" and len(xs) <= 8 and all(float(x).is_integer() for x in xs):
        axes.set_xticks(xs)
    if figure.xscale == "log":
        _plain_ticks(axes.xaxis, xs)
    if figure.yscale == "log":
        _plain_ticks(axes.yaxis, [y for c in figure.curves for y in c.y])


def _plain_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Plain numbers as ticks on a logarithmic axis that spans less than three decades."""
    positive = [v for v in values if v > 0]
    if not positive or max(positive) > 1000 * min(positive):
        return
    dense = max(positive) < 30 * min(positive)
    axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if dense else (1.0, 3.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _entries(curves: Sequence[Curve], looks: Mapping[str, Look]) -> list[Line2D]:
    entries = []
    for label in dict.fromkeys(c.label for c in curves):
        styles = {c.style for c in curves if c.label == label}
        look = looks[_family(label)]
        marker = "none" if styles == {"line"} else look.marker
        entry = Line2D([], [], color=look.colour, marker=marker, label=_wrapped(label))
        entry.set_linestyle("none" if styles == {"points"} else "-")
        entries.append(entry)
    return entries


def _mark(axes: Axes, mark: Mark) -> Line2D:
    if mark.x is not None:
        axes.axvline(mark.x, **REFERENCE)
    if mark.y is not None:
        axes.axhline(mark.y, **REFERENCE)
    return Line2D([], [], **REFERENCE, label=_wrapped(mark.label))


def _legend(canvas: Canvas, entries: Sequence[Line2D]) -> None:
    if entries:
        many = len(entries) > 12
        canvas.legend(
            handles=list(entries), loc="outside right upper", ncols=1 + (len(entries) - 1) // 18,
            fontsize=7 if many else 8, labelspacing=0.3 if many else 0.5,
        )  # fmt: skip


def _wrapped(label: str) -> str:
    return drawn("\n".join(textwrap.wrap(label, 24)))


def _bytes(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
