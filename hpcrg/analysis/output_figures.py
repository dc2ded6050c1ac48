"""What the scaling of network outputs shows: outputs over T, half-crossings against size, collapse,
comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hpcrg.analysis.collapse import Collapse
from hpcrg.analysis.corrections import OMEGA
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.output_curves import Half, SizeCurves
from hpcrg.analysis.output_features import squared
from hpcrg.analysis.output_fits import from_slopes
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Reference, combined_error, difference, format_error, jackknife_error
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table

TEMPERATURE = "temperature T (J/k_B)"


class Classifier(Protocol):
    """One method of one classifier (outputs.py)."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def peak(self) -> bool: ...
    @property
    def halves(self) -> Sequence[Half]: ...
    @property
    def collapse(self) -> Collapse | None: ...
    @property
    def estimates(self) -> Sequence[Estimate]: ...


def build(
    name: str,
    keys: Sequence[str],
    sizes: Sequence[SizeCurves],
    scaled: Sequence[Classifier],
    known: References,
    estimates: Sequence[Estimate],
) -> FigureData:
    """All figures, notes and tables; `keys` are the outputs by architecture and of the |m|
    classifier."""
    t_c, log = known.t_c, known.logs.thermal
    mark = Mark(f"T_c, {t_c.source}", x=t_c.value) if t_c else None
    figures = [_outputs(name, key, sizes, mark) for key in keys]
    figures += [_variance(name, s.name, sizes, mark) for s in scaled if s.peak]
    for peak in (False, True):
        some = [s for s in scaled if s.peak == peak]
        figures += [_halves(name, sizes, some, t_c, peak)] if some else []
    figures += [_collapse(name, s, sizes) for s in scaled if s.collapse is not None]
    tables = [
        _halves_table(sizes, scaled),
        _from_the_larger(sizes, scaled, log),
        parts(estimates),
        differences(estimates),
    ]
    return FigureData(figures, _notes(scaled), tables)


def _output(key: str) -> str:
    net = key.removesuffix("-decided")
    who = "the |m| classifier" if net == "p_abs_m" else net
    return f"fraction that {who} calls cold" if net != key else f"mean output of {who}, P (cold)"


def _variance(name: str, key: str, sizes: Sequence[SizeCurves], mark: Mark | None) -> Figure:
    curves = []
    for s in sizes:
        line, every = s.curves, slice(None, None, -4)
        y = line.values[squared(key)][0] - line.values[key][0] ** 2
        curves.append(Curve(f"L = {s.size}", (1.0 / line.beta[every]).tolist(), y[every].tolist(), None, "line"))
    title = f"Variance over draws of the {_output(key).removeprefix('mean ')}"
    caption = "Reweighted by energy between the temperatures whose histograms overlap; mean over seeds of each square."
    return Figure(f"{name}-variance-{key}", title, TEMPERATURE, "variance of P", curves, caption, reference=mark)


def _outputs(name: str, key: str, sizes: Sequence[SizeCurves], mark: Mark | None) -> Figure:
    curves = []
    for s in sizes:
        label, line = f"L = {s.size}", s.curves
        curves.append(Curve(label, s.temperatures.tolist(), s.outputs[key].tolist(), s.errors[key].tolist(), "points"))
        line = s.curves
        curves.append(Curve(label, (1.0 / line.beta[::-4]).tolist(), line.values[key][0, ::-4].tolist(), None, "line"))
    caption = (
        "Chains that the network never saw. Errors over blocks of chains and over training seeds. Lines: "
        "reweighted by energy between the temperatures whose histograms overlap."
    )
    title = _output(key)
    return Figure(f"{name}-output-{key}", title.capitalize(), TEMPERATURE, title, curves, caption, reference=mark)


def _halves(
    name: str, sizes: Sequence[SizeCurves], scaled: Sequence[Classifier], t_c: Reference | None, peak: bool
) -> Figure:
    curves = []
    for s in scaled:
        x = [1.0 / c.size for c in sizes]
        y = [float(h.t[0]) for h in s.halves]
        error = [float(np.hypot(jackknife_error(h.t[1:]), h.t_spread)) for h in s.halves]
        curves.append(Curve(s.method, x, y, error, "both"))
        best = s.estimates[0]
        curves.append(Curve(f"{s.method}, extrapolated: {best}", [0.0], [best.value], [best.error], "points"))
    mark = Mark(f"T_c, {t_c.source}", y=t_c.value) if t_c else None
    where = "at the peak of the variance" if peak else "at P = 1/2"
    return Figure(
        f"{name}-{'peak' if peak else 'half'}",
        f"Temperature {'at which the variance of the output peaks' if peak else 'at which the mean output is 1/2'}",
        "1/L",
        f"T {where} (J/k_B)",
        curves,
        "Error bars: blocks of chains and the full spread over training seeds.",
        reference=mark,
    )


def _collapse(name: str, s: Classifier, sizes: Sequence[SizeCurves]) -> Figure:
    fit = s.collapse
    assert fit is not None  # noqa: S101  (the caller chose)
    curves = []
    for c in sizes:
        d = c.near(s.name)
        x = (d.control - fit.theta[0]) * d.size ** fit.theta[1] * np.log(d.size) ** fit.log
        curves.append(Curve(f"L = {c.size}", x.tolist(), d.value.tolist(), d.error.tolist(), "points"))
    verdict = f"BAD: {fit.bad}" if fit.bad else "accepted"
    caption = (
        f"T_c = {fit.theta[0]:.5g}, nu = {1 / fit.theta[1]:.4g}; chi^2 = {fit.chi2:.1f} for "
        f"{fit.freedom:.1f} degrees of freedom; {verdict}. Corrections die as L^-{OMEGA:g}."
    )
    title = f"Collapse of the mean output, {s.method}"
    axis = "(T - T_c) L^(1/nu)" + (f" (ln L)^({fit.log:g})" if fit.log else "")
    return Figure(f"{name}-collapse-{s.name}", title, axis, _output(s.name), curves, caption)


def _halves_table(sizes: Sequence[SizeCurves], scaled: Sequence[Classifier]) -> Table:
    rows = []
    for s in scaled:
        for c, h in zip(sizes, s.halves, strict=True):
            rows.append(
                [
                    s.method,
                    str(c.size),
                    format_error(float(h.t[0]), jackknife_error(h.t[1:])),
                    f"{h.t_spread:.2g}",
                    str(h.seeds),
                    f"{abs(float(h.slope[0])):.4g}",
                ]
            )
    columns = ["method", "L", "T", "standard deviation over seeds", "seeds", "dP/dbeta there, or 1 / width in beta"]
    return Table("Where the mean output is 1/2, and where its variance peaks", columns, rows)


def _from_the_larger(sizes: Sequence[SizeCurves], scaled: Sequence[Classifier], log: float) -> Table:
    """nu from the sizes from each one upwards."""
    starts = range(len(sizes) - 1)
    rows = []
    for s in scaled:
        cells = []
        for start in starts:
            try:
                (nu, replicas), systematic = from_slopes(sizes[start:], s.halves[start:], log)
            except InputError:
                cells.append("none")
                continue
            cells.append(
                format_error(nu, float(np.hypot(combined_error(replicas), np.linalg.norm([*systematic.values()]))))
            )
        rows.append([s.method, *cells])
    columns = ["method", *(f"L >= {sizes[start].size}" for start in starts)]
    return Table("nu from the larger sizes only, with all errors but that of the threshold", columns, rows)


def parts(estimates: Sequence[Estimate]) -> Table:
    """The parts of the error of each estimate."""
    names = list(dict.fromkeys(part for e in estimates for part in e.systematic))
    rows = [
        [
            e.quantity,
            e.method,
            str(e),
            f"{e.statistical:.2g}",
            *(f"{e.systematic.get(n, 0.0):.2g}" for n in names),
        ]
        for e in estimates
    ]
    return Table("Parts of the errors", ["quantity", "method", "value", "statistical", *names], rows)


def differences(estimates: Sequence[Estimate]) -> Table:
    """Each method less the Binder cumulant of the same draws, by the joint jackknife."""
    rows = []
    by = {(e.quantity, e.method): e for e in estimates}
    for (quantity, method), e in by.items():
        base = by.get((quantity, "baseline/binder"))
        if base is None or base is e:
            continue
        value, error = difference(e, base)
        seed = e.systematic.get("seed", 0.0)
        known = [error, *e.systematic.values(), *base.systematic.values()]
        over = [f"{value / np.hypot(error, seed):+.2f}", f"{value / np.linalg.norm(known):+.2f}"]
        rows.append([quantity, method, format_error(value, error), f"{seed:.2g}", *over])
    columns = ["quantity", "method", "method - binder, joint jackknife", "seed spread", "over both errors",
               "over all errors of both"]  # fmt: skip
    return Table("Networks against the Binder cumulant on the very same draws", columns, rows)


def _notes(scaled: Sequence[Classifier]) -> list[Note]:
    notes = []
    for s in scaled:
        if s.collapse is not None and s.collapse.bad:
            notes.append(
                Note(
                    "warning",
                    f"{s.method}: the outputs of different sizes do not collapse: {s.collapse.bad}.",
                )
            )
        notes += of_seeds(s.method, s.halves)
    return notes


def of_seeds(method: str, halves: Sequence[Half]) -> list[Note]:
    """A warning where there is but one seed."""
    if min(h.seeds for h in halves) > 1:
        return []
    text = f"{method}: one training seed only; its spread over seeds is unknown and is missing from the error."
    return [Note("warning", text)]
