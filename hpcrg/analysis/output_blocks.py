"""What a series file holds of networks, made ready for scaling: outputs by architecture, and as they would be if
decided, or decided elsewhere; and what they know.

Values are [seed, chain, slot, draw], NaN where a seed did not hold the chain out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.output_curves import SizeCurves
from hpcrg.bank import SeriesBlock
from hpcrg.errors import InputError, expected
from hpcrg.figures import Table

P, P_ABS_M, BETA = "p", "p_abs_m", "beta"
Array = NDArray[np.float64]
DECISIONS = (-0.25 / math.sqrt(3.0), 0.25 / math.sqrt(3.0))
TINY = 1e-9
OBSERVABLES = {"abs_m": "|m|", "energy": "the energy", "structure": "S(k1)"}
"""What outputs may know, by the name in series files."""


def check(path: Path, blocks: Sequence[SeriesBlock], outputs: Sequence[str]) -> None:
    """Raises InputError for one size only, and for values that are missing, `outputs` among them."""
    if len({b.size for b in blocks}) < 2:
        raise InputError(expected(f"{path}: sizes", "at least two", [b.size for b in blocks]))
    needed = {*outputs, "m2", "m4", "energy"}
    for block in blocks:
        missing = needed - set(block.values)
        if missing:
            raise InputError(
                expected(
                    f"{path}: {block.label}: values",
                    ", ".join(sorted(needed)),
                    ", ".join(sorted(block.values)),
                )
            )


def by_architecture(path: Path, block: SeriesBlock, wanted: Sequence[str], output: str) -> SeriesBlock:
    """The block with rows [seed] instead of [network], and the values `output` under the names of the
    architectures `wanted`. Raises InputError where one of them is missing or was not given the same chains as the
    others."""
    rows = len(block.held_out)
    nets = block.attrs.get("nets", [wanted[0]] * rows)  # files of earlier versions have one and do not say which
    of = {net: [k for k in range(rows) if list(nets)[k : k + 1] == [net]] for net in wanted}
    first = of[wanted[0]]
    for net, mine in of.items():
        if not mine or len(mine) != len(first) or not np.array_equal(block.held_out[mine], block.held_out[first]):
            what = f"{path}: {block.label}: networks {net} of every seed, each with its chains"
            raise InputError(expected(what, f"{rows // len(of)} rows", f"{len(mine)} of {rows}"))
    values = {k: v[first] for k, v in block.values.items() if k != output}
    values |= {net: block.values[output][mine] for net, mine in of.items()}
    return replace(block, values=values, held_out=block.held_out[first])


def decided(key: str) -> str:
    """The name of an output that is 1 above 1/2 and else 0."""
    return f"{key}-decided"


def moved(key: str, decision: float) -> str:
    """The name of an output whose decision falls elsewhere."""
    return f"{key} moved {decision:+.3f}"


def with_decisions(block: SeriesBlock, keys: Sequence[str], cold: int, hot: int) -> SeriesBlock:
    """The block with each of the outputs `keys` also decided, 1 above 1/2 and else 0, and both also as they would be if
    the decision fell elsewhere between the two labelled classes: at their middle plus DECISIONS of the gap between
    their median log-odds."""
    more = {}
    for key in keys:
        odds = log_odds(block.values[key])
        more[decided(key)] = np.heaviside(odds, 0.0)
        first, last = np.nanmedian(odds[:, :, :cold]), np.nanmedian(odds[:, :, -hot:])
        for decision in DECISIONS:
            elsewhere = odds - 0.5 * (first + last) - decision * (first - last)
            more[moved(key, decision)] = 1.0 / (1.0 + np.exp(-elsewhere))
            more[moved(decided(key), decision)] = np.heaviside(elsewhere, 0.0)
    return replace(block, values={**block.values, **more})


def log_odds(p: Array) -> Array:
    """Of probabilities, those within TINY of 0 and 1 taken as if at that distance."""
    p = np.clip(p, TINY, 1.0 - TINY)
    odds: Array = np.log(p / (1.0 - p))
    return odds


def learned(
    blocks: Sequence[SeriesBlock], sizes: Sequence[SizeCurves], keys: Sequence[str], what: str,
    of: Callable[[Array], Array],
) -> Table:  # fmt: skip
    """What the outputs know: the share of the variance of `what` they say, a function `of` them, over all draws at the
    temperatures around the transition, that least squares on each observable and on all of them explain."""
    names = [name for name in OBSERVABLES if all(name in block.values for block in blocks)]
    by, weights = ([f"{word} {OBSERVABLES[n]}" for n in names] for word in ("by", "weight of"))
    rows = []
    for key in keys:
        for block, size in zip(blocks, sizes, strict=True):
            slots = np.abs(block.temperatures[:, None] - 1.0 / size.pool.betas).argmin(axis=0)
            table = [block.values[k][block.held_out][:, slots].ravel() for k in (key, *names)]
            table[0] = of(table[0])
            y, *each = ((v - v.mean()) / max(float(v.std()), TINY) for v in table)
            x = np.stack(each, axis=1)
            fitted, *_ = np.linalg.lstsq(x, y, rcond=None)
            rest = y - x @ fitted
            explained = [*((x.T @ y / len(y)) ** 2).tolist(), 1.0 - float(rest @ rest) / len(y)]
            rows.append([key, str(block.size), *(f"{e:.3f}" for e in explained), *(f"{w:+.2f}" for w in fitted)])
    title = f"What the outputs know: shares of the variance of their {what} near the transition, by least squares"
    return Table(f"{title} (weights in standard deviations)", ["output", "L", *by, "by all", *weights], rows)
