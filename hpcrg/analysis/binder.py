"""The crossing of the Binder cumulant on the draws of a series file: what networks are compared with, on the very same
draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hpcrg.analysis import crossing
from hpcrg.analysis.corrections import OMEGA, OMEGAS
from hpcrg.analysis.fss import known_of
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.output_curves import SizeCurves
from hpcrg.analysis.reweight import Curves
from hpcrg.bank import SeriesBlock
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Measured, Reference
from hpcrg.lattice import Lattice
from hpcrg.models import make_model

BINDER = "baseline/binder"


def references(block: SeriesBlock) -> References:
    """What is known of the model of a series file."""
    shape, told = (block.size,) * block.dimension, block.attrs.get("lattice", {})  # earlier files say nothing
    lattice = Lattice(shape, told.get("type", "hypercubic"), told.get("boundary", "periodic"))
    return known_of(make_model(dict(block.model)).exact(lattice), block.dimension)


def binder(sizes: Sequence[SizeCurves], blocks: Sequence[SeriesBlock], known: References) -> list[Estimate]:
    """T_c and nu. Raises InputError where the cumulants do not cross."""
    lines = _common(sizes)
    fits = {w: crossing.critical_beta(lines, ("u4",), w) for w in OMEGAS}
    best = fits[OMEGA]
    log = known.logs.thermal
    slopes = {w: crossing.inverse_nu(lines, ("u4",), best.rows, w, log) for w in OMEGAS}
    out = []
    for quantity, by, ref in (("T_c", fits, known.t_c), ("nu", slopes, known.nu)):
        rows = 1.0 / by[OMEGA].rows
        values = [1.0 / f.value for f in by.values()]
        parts = {"size": by[OMEGA].prior / by[OMEGA].value ** 2, "ansatz": 0.5 * (max(values) - min(values))}
        if quantity == "nu" and log:
            without = crossing.inverse_nu(lines, ("u4",), best.rows[:1], OMEGA).value
            parts["logarithms"] = 0.5 * abs(1.0 / without - float(rows[0]))
        number = (float(rows[0]), crossing.replicas(lines, rows))
        out.append(estimate(quantity, BINDER, blocks, number, parts, ref, {"omega": list(OMEGAS)}))
    return out


def _common(sizes: Sequence[SizeCurves]) -> list[Curves]:
    """The curves on the part of the grid that all sizes share."""
    low = max(s.curves.beta[0] for s in sizes)
    high = min(s.curves.beta[-1] for s in sizes)
    if not low < high:
        raise InputError("expected sizes whose temperatures near the transition overlap, found none shared")
    beta = np.linspace(low, high, len(sizes[0].curves.beta))
    return [s.at(beta) for s in sizes]


def estimate(
    quantity: str,
    method: str,
    blocks: Sequence[SeriesBlock],
    number: Measured,
    parts: Mapping[str, float],
    reference: Reference | None,
    settings: Mapping[str, object],
) -> Estimate:
    """A number from all sizes of a series file."""
    name = make_model(dict(blocks[0].model)).name
    return Estimate(
        quantity,
        method,
        name,
        tuple(b.size for b in blocks),
        number[0],
        number[1],
        dict(parts),
        tuple(b.ensemble_id for b in blocks),
        reference,
        dict(settings),
    )
