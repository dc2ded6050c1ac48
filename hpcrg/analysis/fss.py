"""Finite-size scaling of one group of banks: critical point and exponents with errors, blind.

Methods: `fss/crossing` (crossing.py on reweighted curves) and `fss/collapse` (collapse.py on the measured
points), both on U4 and xi_2nd/L; for planar spins in two dimensions `fss/helicity` alone (kosterlitz_thouless.py).
The statistical error is the jackknife over blocks of chains. Systematic parts, all fixed beforehand:

* size: corrections to scaling of unknown amplitude (corrections.py), and the excess of the change when the
  smallest size is left out
* ansatz: half the spread over the exponent of the corrections (for the collapse also over T or beta as the axis)
* observable: half the excess of the difference between U4 alone and xi_2nd/L alone
* critical point: what the systematic parts of T_c do to an exponent
* window: for the collapse, the excess of the change when the range of temperatures is halved

An excess is sqrt(max(0, difference^2 - 4 variance of it)): nothing while two results agree within 2 sigma. No
exponent, critical point or universal value of the model at hand enters, with two exceptions: the energy at the known
critical point, e(T_c), which is a check of the sampling, and the powers of ln L where a model is known to have a
marginal field (Potts with four states). No fit would find these; half of what they change is the part `logarithms`.
The prior on corrections was set with the 2D Ising model in view (corrections.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import fss_collapse, fss_figures, kosterlitz_thouless, kosterlitz_thouless_figures, quenched
from hpcrg.analysis.equilibration import equilibrium, unchecked
from hpcrg.analysis.fss_crossing import NAMES, References, by_crossing
from hpcrg.analysis.graph import Compute
from hpcrg.analysis.levels import BYTES_A_MEASUREMENT, BankSums, reduce_bank
from hpcrg.analysis.points import Points, measure_points
from hpcrg.analysis.quenched import Samples
from hpcrg.analysis.reweight import curves
from hpcrg.bank import open_bank
from hpcrg.campaign import ScaleSpec
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate, Reference
from hpcrg.figures import FigureData, Note
from hpcrg.models import Exact

Array = NDArray[np.float64]
GRID = 401
SHORT_BLOCK = 10.0


def run(
    paths: Sequence[Path], name: str, spec: ScaleSpec, compute: Compute, chunk: int
) -> tuple[list[Estimate], FigureData]:
    """Scale the banks of one group; `chunk` is the bytes of series that a task may hold.

    Raises InputError for banks that do not belong together, NotEquilibrated for banks that have not
    thermalised. A method that finds no answer (no crossing in the range, a bad collapse) leaves a note of
    level failure instead.
    """
    length = max(1, chunk // BYTES_A_MEASUREMENT)
    if all(quenched.applies(path) for path in paths):
        samples = sorted(
            (quenched.reduce_samples(p, spec.blocks, length, compute) for p in paths), key=lambda s: s.size
        )
        _belong_together(samples)
        notes = [quenched.equilibrium(samples) if spec.check_equilibration else unchecked()]
        return by_samples(samples, references(paths[0]), name, notes)
    sums = sorted((reduce_bank(p, spec.blocks, length, compute) for p in paths), key=lambda s: s.size)
    _belong_together(sums)
    notes = [equilibrium(sums) if spec.check_equilibration else unchecked()]
    known = references(paths[0])
    if not all(kosterlitz_thouless.applies(path) for path in paths):
        return analyse(sums, known, name, notes)
    data = kosterlitz_thouless.reduce_all(paths, spec.blocks, length, compute)
    notes += _short_blocks(sums, [measure_points(s) for s in sums])
    return by_helicity(data, known.t_c, name, notes)


def by_helicity(
    data: Sequence[kosterlitz_thouless.Helicity], known: Reference | None, name: str, notes: Sequence[Note] = ()
) -> tuple[list[Estimate], FigureData]:
    """Planar spins in two dimensions, where no other method of this page applies."""
    solutions: list[kosterlitz_thouless.Solution] = []

    def estimate() -> list[Estimate]:
        found, best = kosterlitz_thouless.by_helicity(data, known)
        solutions.append(best)
        return [found]

    found, more = _attempt(kosterlitz_thouless.METHOD, estimate)
    best = solutions[0] if solutions else None
    return found, kosterlitz_thouless_figures.build(name, data, best, known, [*notes, *more], found)


def by_samples(
    samples: Sequence[Samples], known: References, name: str, notes: Sequence[Note] = ()
) -> tuple[list[Estimate], FigureData]:
    """Quenched disorder, smallest size first: by crossing alone, since the points of a size share their samples."""
    beta = shared_grid(samples, 0.0)
    found, more = _attempt("fss/crossing", lambda: quenched.estimates(samples, beta, known))
    lines, points = [quenched.splines(s, beta) for s in samples], [quenched.measure(s) for s in samples]
    style = fss_figures.GLASS if samples[0].glass else fss_figures.SAMPLES
    data = fss_figures.build(name, lines, points, [], known.t_c, found, style)
    return found, FigureData(data.figures, [*notes, *more, *data.notes], data.tables)


def analyse(
    sums: Sequence[BankSums], known: References, name: str, notes: Sequence[Note] = ()
) -> tuple[list[Estimate], FigureData]:
    """Everything after the banks are reduced and checked, smallest size first."""
    heat = max(float(np.var(s.series[..., 0], axis=(1, 2)).max()) for s in sums)
    beta = shared_grid(sums, heat)
    lines = [curves(s, beta) for s in sums]
    points = [measure_points(s) for s in sums]
    found, more = _attempt("fss/crossing", lambda: by_crossing(sums, lines, known))
    start = next((e.value for e in found if e.quantity == "T_c"), None)
    collapse: list[fss_collapse.Result] = []
    scaled, also = _attempt("fss/collapse", lambda: _by_collapse(sums, points, known, start, collapse))
    data = fss_figures.build(name, lines, points, collapse, known.t_c, found + scaled)
    every = [*notes, *_short_blocks(sums, points), *more, *also]
    return found + scaled, FigureData(data.figures, every + data.notes, data.tables)


def references(path: Path) -> References:
    """T_c, nu and the exponent ratios of a bank's model from its exact or published answers."""
    with open_bank(path) as bank:
        return known_of(bank.model.exact(bank.lattice), bank.lattice.dimension)


def known_of(exact: Exact, d: int) -> References:
    """The references in the terms used here: beta/nu = d - y_h and gamma/nu = 2 y_h - d."""
    h = exact.y_h
    t_c = exact.beta_c and Reference(
        1.0 / exact.beta_c.value, exact.beta_c.error / exact.beta_c.value**2, exact.beta_c.source
    )
    return References(
        t_c,
        exact.nu,
        h and Reference(d - h.value, h.error, h.source),
        h and Reference(2.0 * h.value - d, 2.0 * h.error, h.source),
        exact.energy,
        exact.logs,
    )


def shared_grid(sums: Sequence[BankSums] | Sequence[Samples], heat: float) -> Array:
    """Inverse temperatures, evenly spaced, over the range that all ladders share, closer where the variance of the
    energy, at most `heat`, is large.

    Raises InputError when they share none.
    """
    low, high = max(s.betas.min() for s in sums), min(s.betas.max() for s in sums)
    if not low < high:
        ranges = ", ".join(f"{s.label}: {1 / s.betas.max():.5g} to {1 / s.betas.min():.5g}" for s in sums)
        raise InputError(f"scale: expected ladders that share a range of temperatures, found {ranges}")
    steps = int(np.clip((high - low) * math.sqrt(heat) * 20.0, GRID - 1, 10 * GRID))
    return np.linspace(low, high, steps + 1)


def _by_collapse(
    sums: Sequence[BankSums],
    points: Sequence[Points],
    known: References,
    start: float | None,
    keep: list[fss_collapse.Result],
) -> list[Estimate]:
    result = fss_collapse.collapse(points, NAMES, start, known.logs.thermal)
    keep.append(result)
    if result.fit.bad:
        raise InputError(f"{result.fit.bad}; no estimate is made")
    ids, sizes = tuple(s.id for s in sums), tuple(s.size for s in sums)
    return [
        Estimate(
            q,
            "fss/collapse",
            sums[0].model_name,
            sizes,
            number[0],
            number[1],
            parts,
            ids,
            ref,
            result.settings,
        )
        for q, number, parts, ref in (
            ("T_c", result.t_c, result.t_c_parts, known.t_c),
            ("nu", result.nu, result.nu_parts, known.nu),
        )
    ]


def _attempt(method: str, work: Callable[[], list[Estimate]]) -> tuple[list[Estimate], list[Note]]:
    try:
        return work(), []
    except InputError as error:
        return [], [Note("failure", f"{method}: {error}")]


def _belong_together(sums: Sequence[BankSums] | Sequence[Samples]) -> None:
    kinds = {(s.model_name, s.dimension, s.components) for s in sums}
    if len(kinds) > 1:
        raise InputError(expected("scale: banks", "one model and dimension", sorted(kinds)))
    sizes = [s.size for s in sums]
    if len(sizes) < 2 or len(set(sizes)) < len(sizes):
        raise InputError(expected("scale: banks", "at least two sizes, each once", sizes))


def _short_blocks(sums: Sequence[BankSums], points: Sequence[Points]) -> list[Note]:
    notes = []
    for s, p in zip(sums, points, strict=True):
        taus = [float(np.nanmax(t)) for t in p.taus.values() if np.isfinite(t).any()]
        if not taus:
            raise InputError(f"{s.label}: expected series of finite numbers, found none with an autocorrelation time")
        tau = max(taus)
        if s.counts < SHORT_BLOCK * 2.0 * tau:
            notes.append(
                Note(
                    "warning",
                    f"{s.label}: a jackknife block is {s.counts} measurements, only "
                    f"{s.counts / (2 * tau):.1f} times 2 tau; its errors may be too small.",
                )
            )
    return notes
