"""Finite-size scaling of networks that were trained to tell the temperature, beside the energy of the same draws.

The probability of a temperature given a configuration depends on its energy alone, and a network that has learned what
can be learned reads it: its mean output follows 1/T and has no feature at the transition. What has one is how sharply
it reads. By the information I_f on beta in an output f (output_features.py), a draw tells beta to within 1 / sqrt(I_f),
and I_f <= var E = N C / beta^2, with C the specific heat. So

* cnn/information: T_c from the temperatures at which the output of the architecture, here the CNN, has most
  information, extrapolated in L as in outputs.py, with lambda the 1/nu of the Binder cumulant on the same draws
* networks/information: the mean over the architectures, as in outputs.py
* baseline/energy: the same of var E, which no network is needed for
* baseline/binder: T_c and nu from the crossing of U4

The maxima grow as L^(2/nu) beside a background of L^d that dies as slowly as the specific heat diverges, and with
logarithms where alpha = 0. An exponent fitted to them would be wrong at every size that can be reached (for the square
Ising lattice nu = 0.90 at L = 64), so they are shown between pairs of sizes and are no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.binder import binder, estimate, references
from hpcrg.analysis.output_blocks import BETA, by_architecture, check, learned
from hpcrg.analysis.output_curves import Half, SizeCurves, size_curves
from hpcrg.analysis.output_features import HEAT, information, information_peak
from hpcrg.analysis.output_figures import TEMPERATURE, differences, of_seeds, parts
from hpcrg.analysis.output_fits import STRETCH, extrapolated
from hpcrg.analysis.outputs import POWERS, together
from hpcrg.bank import read_series
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Reference, format_error, jackknife_error
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Table

Array = NDArray[np.float64]
ENERGY = "baseline/energy"
NAME = "the energy"


def run(path: Path, name: str, spec: TrainSpec) -> tuple[list[Estimate], FigureData]:
    """Scale the readings in a series file. A method that finds no answer leaves a note of level failure.

    Raises InputError for a file of one size only, or whose values do not hold beta, m2, m4 and energy, and where the
    Binder cumulants, whose nu is needed, do not cross.
    """
    blocks = read_series(path)
    check(path, blocks, (BETA,))
    known = references(blocks[0])
    blocks = [by_architecture(path, b, spec.net, BETA) for b in blocks]
    sizes = [size_curves(b, spec.blocks, spec.net, heat=True) for b in blocks]
    base = binder(sizes, blocks, known)
    power = float(np.clip(1.0 / next(e.value for e in base if e.quantity == "nu"), *POWERS))
    notes: list[Note] = []
    estimates: list[Estimate] = []
    peaks: dict[str, list[Half]] = {}
    for key in (*spec.net, HEAT):
        method = ENERGY if key == HEAT else f"{key}/information"
        try:
            peaks[key] = [_peak(s, key) for s in sizes]
        except InputError as error:
            notes.append(Note("failure", f"{method}: {error}"))
            continue
        notes += of_seeds(method, peaks[key]) if key != HEAT else []
        t_c, systematic = extrapolated(sizes, peaks[key], power)
        settings = {"lambda": power, "scanned": list(STRETCH)}
        estimates.append(estimate("T_c", method, blocks, t_c, systematic, known.t_c, settings))
    by_nets = [e for e in estimates if e.method != ENERGY]
    estimates += [*together(by_nets, "networks/information", len(spec.net)), *base]
    mark = Mark(f"T_c, {known.t_c.source}", x=known.t_c.value) if known.t_c else None
    figures = [_readings(name, key, sizes) for key in spec.net]
    figures += [_information(name, key, sizes, mark) for key in spec.net]
    figures += [_peaks(name, sizes, peaks, estimates, known.t_c)] if peaks else []
    tables = [_shares(sizes, peaks), _growth(sizes, peaks, known.nu), parts(estimates), differences(estimates),
              learned(blocks, sizes, spec.net, "readings", lambda reading: reading)]  # fmt: skip
    return estimates, FigureData(figures, notes, tables)


def _peak(size: SizeCurves, key: str) -> Half:
    if key != HEAT:
        return size.everywhere(information_peak, key, "a peak of the information on the temperature")
    beta, height = information_peak(size.curves, key, size.size)
    return Half(1.0 / beta, height, 0.0, 0.0, 1)


def _title(key: str) -> str:
    return NAME if key == HEAT else key


def _readings(name: str, key: str, sizes: Sequence[SizeCurves]) -> Figure:
    t = sizes[0].temperatures
    curves = [Curve("1/T", t.tolist(), (1.0 / t).tolist(), None, "line")]
    for s in sizes:
        y, error = s.outputs[key].tolist(), s.errors[key].tolist()
        curves.append(Curve(f"L = {s.size}", s.temperatures.tolist(), y, error, "points"))
    caption = "Mean over chains that the network never saw. Errors over blocks of chains and over training seeds."
    return Figure(
        f"{name}-reading-{key}", f"What {key} reads", TEMPERATURE, "mean reading of 1/T (k_B/J)", curves, caption
    )  # fmt: skip


def _information(name: str, key: str, sizes: Sequence[SizeCurves], mark: Mark | None) -> Figure:
    curves = []
    for s in sizes:
        every, volume = slice(None, None, -4), s.size**s.dimension
        x = (1.0 / s.curves.beta[every]).tolist()
        held, read = (information(s.curves, what)[0, every] / volume for what in (HEAT, key))
        curves.append(Curve(f"L = {s.size}, {NAME}", x, held.tolist(), None, "line"))
        curves.append(Curve(f"L = {s.size}, {key}", x, read.tolist(), None, "points"))
    caption = (
        "(d<f>/dbeta)^2 / var f of the reading f of a draw, by site; the line is what its energy holds, and "
        "nothing can hold more. Reweighted by energy between the temperatures whose histograms overlap."
    )
    return Figure(
        f"{name}-information-{key}", f"Information on the temperature that {key} reads", TEMPERATURE,
        "information on beta by site (J^2)", curves, caption, reference=mark,
    )  # fmt: skip


def _peaks(
    name: str, sizes: Sequence[SizeCurves], peaks: Mapping[str, Sequence[Half]], estimates: Sequence[Estimate],
    t_c: Reference | None,
) -> Figure:  # fmt: skip
    curves = []
    for key, found in peaks.items():
        method = ENERGY if key == HEAT else f"{key}/information"
        y = [float(h.t[0]) for h in found]
        error = [float(np.hypot(jackknife_error(h.t[1:]), h.t_spread)) for h in found]
        curves.append(Curve(method, [1.0 / s.size for s in sizes], y, error, "both"))
        best = next(e for e in estimates if e.method == method)
        curves.append(Curve(f"{method}, extrapolated: {best}", [0.0], [best.value], [best.error], "points"))
    mark = Mark(f"T_c, {t_c.source}", y=t_c.value) if t_c else None
    return Figure(
        f"{name}-peak", "Temperature at which a reading is sharpest", "1/L", "T of most information (J/k_B)", curves,
        "Error bars: blocks of chains and the full spread over training seeds.", reference=mark,
    )  # fmt: skip


def _shares(sizes: Sequence[SizeCurves], peaks: Mapping[str, Sequence[Half]]) -> Table:
    """Where each reading is sharpest, how sharp, and which share of what the energy holds it has there."""
    rows = []
    for key, found in peaks.items():
        for s, h in zip(sizes, found, strict=True):
            at = int(np.argmin(np.abs(s.curves.beta - 1.0 / h.t[0])))
            share = information(s.curves, key)[:, at] / information(s.curves, HEAT)[:, at]
            known = "1" if key == HEAT else format_error(float(share[0]), jackknife_error(share[1:]))
            rows.append([
                _title(key), str(s.size), format_error(float(h.t[0]), jackknife_error(h.t[1:])), f"{h.t_spread:.2g}",
                f"{h.slope[0] ** -0.5:.3g}", known,
            ])  # fmt: skip
    columns = ["reading", "L", "T of most information", "standard deviation over seeds",
               "standard deviation of beta read off one draw there", "share of the energy's information"]  # fmt: skip
    return Table("How sharply the temperature is read", columns, rows)


def _growth(sizes: Sequence[SizeCurves], peaks: Mapping[str, Sequence[Half]], nu: Reference | None) -> Table:
    """nu between consecutive sizes, as if the maxima were a power of L."""
    rows = []
    for key, found in peaks.items():
        for (a, x), (b, y) in pairwise(zip(sizes, found, strict=True)):
            ratio, growth = float(np.log(b.size / a.size)), float(np.log(y.slope[0] / x.slope[0]))
            if growth <= 0.0:
                rows.append([_title(key), f"{a.size} to {b.size}", "none"])
                continue
            value = 2.0 * ratio / growth
            errors = [jackknife_error(np.log(h.slope[1:])) for h in (x, y)]
            errors += [h.slope_spread / np.sqrt(h.seeds) for h in (x, y)]
            error = value**2 / (2.0 * ratio) * float(np.linalg.norm(errors))
            rows.append([_title(key), f"{a.size} to {b.size}", format_error(value, error)])
    exact = f" (nu = {nu.value:.4g}, {nu.source})" if nu else ""
    title = f"Effective nu from the growth of the most information as L^(2/nu): not an estimate{exact}"
    return Table(title, ["reading", "L", "effective nu"], rows)
