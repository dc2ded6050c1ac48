"""Mean outputs of classifiers as functions of temperature, from per-draw values [seed, chain, slot, draw].

Outputs are averaged over the seeds that held a draw's chain out, then summed per energy level and jackknife
block like any observable (levels.py), and reweighted over the rungs of the ladder whose energy histograms
overlap around the transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.collapse import Data
from hpcrg.analysis.graph import block_ranges
from hpcrg.analysis.levels import Levels
from hpcrg.analysis.output_features import HEAT, Finder, half_crossing, seed_crossing, squared, variance_peak
from hpcrg.analysis.reweight import Curves, Pool, pool, reweighted
from hpcrg.bank import SeriesBlock
from hpcrg.errors import InputError
from hpcrg.models import make_model

Array = NDArray[np.float64]
OVERLAP = 1.5
STEPS = 400
FAR = (0.05, 0.95)


@dataclass(frozen=True)
class Half:
    """Where the mean output is 1/2, and its beta slope; or where the variance of the output peaks, and one over the
    peak's width in beta: temperatures and slopes [1 + blocks], their standard deviations over
    seeds (of T, and of ln |slope|), `seeds` seeds."""

    t: Array
    slope: Array
    t_spread: float
    slope_spread: float
    seeds: int


@dataclass(frozen=True)
class SizeCurves:
    """One size: reweighted `curves` of the outputs, of their squares and of U4 over the connected rungs; `by_seed` the
    same outputs of each seed alone (no jackknife rows); mean outputs at every rung [slot] with their errors over
    blocks and seeds."""

    size: int
    dimension: int
    pool: Pool
    means: Array
    names: tuple[str, ...]
    components: int
    id: str
    curves: Curves
    by_seed: Sequence[Curves]
    temperatures: Array
    outputs: dict[str, Array]
    errors: dict[str, Array]

    def at(self, beta: Array) -> Curves:
        """The same curves at other inverse temperatures inside the range."""
        return _curves(self, beta)

    def half(self, name: str) -> Half:
        """The half-crossing of one output. Raises InputError when the output does not pass 1/2 in the
        range."""
        each = [seed_crossing(c, name, self.size) for c in self.by_seed]
        return self._with_spread(half_crossing(self.curves, name, self.size), each)

    def peak(self, name: str) -> Half:
        """The peak of the variance of one output. Raises InputError when less than its upper half is in the range."""
        return self.everywhere(variance_peak, name, "a peak of the variance")

    def everywhere(self, find: Finder, name: str, what: str) -> Half:
        """What `find` finds in the curves of one output, and its spread over seeds. Raises InputError where that of
        some seed is not found."""
        found = find(self.curves, name, self.size)
        each = []
        for curves in self.by_seed:
            try:
                each.append(find(curves, name, self.size))
            except InputError:
                continue
        if len(each) < len(self.by_seed):
            raise InputError(f"L = {self.size}: expected {what}, within the temperatures whose "
                             f"histograms overlap, for all {len(self.by_seed)} seeds, found {len(each)}")  # fmt: skip
        return self._with_spread(found, each)

    def _with_spread(self, found: tuple[Array, Array], each: Sequence[tuple[Array, Array]]) -> Half:
        beta, slope = found
        t = np.array([1.0 / b[0] for b, _ in each])
        log_slope = np.array([np.log(abs(s[0])) for _, s in each])
        spread = (float(t.std(ddof=1)), float(log_slope.std(ddof=1))) if len(each) > 1 else (0.0, 0.0)
        return Half(1.0 / beta, slope, *spread, len(each))

    def near(self, name: str) -> Data:
        """The measured mean outputs on the slope of the transition, for a collapse."""
        value, error = self.outputs[name], self.errors[name]
        keep = (value > FAR[0]) & (value < FAR[1])
        t = self.temperatures[keep]
        return Data(name, np.full(len(t), float(self.size)), t, value[keep], error[keep])


def size_curves(block: SeriesBlock, blocks: int, names: tuple[str, ...], heat: bool = False) -> SizeCurves:
    """The curves of one size, at the temperatures around that where the first output is 1/2, or, with `heat`, around
    that of the largest variance of the energy. Raises InputError when no chain was held out, or no histograms
    overlap."""
    held: NDArray[np.bool_] = np.asarray(block.held_out.any(axis=0), dtype=np.bool_)
    if not held.any():
        raise InputError(f"{block.label}: expected held-out chains, found none")
    ranges = block_ranges(block.values["energy"].shape[-1], blocks)
    mean = {k: _over_seeds(block.values[k], block.held_out) for k in (*names, "m2", "m4", "energy")}
    energy = mean["energy"][held]
    far = -energy.var(axis=(0, 2)) if heat else np.abs(mean[names[0]][held].mean(axis=(0, 2)) - 0.5)
    rungs = connected(energy, int(np.argmin(far)))
    betas = 1.0 / block.temperatures[rungs]
    squares = {k: _over_seeds(block.values[k] ** 2, block.held_out) for k in names}
    columns = [*(mean[k] for k in names), *squares.values(), mean["m2"], mean["m4"]]
    data = pool(_levels(mean["energy"], columns, held, rungs, ranges), betas)
    energy_means = np.array([mean["energy"][held, s].mean() for s in rungs])
    outputs = {k: _slot_means(mean[k], held, ranges) for k in names}
    seeds = [_seed_pool(block, s, names, rungs, betas) for s in range(len(block.held_out))]
    found = SizeCurves(
        block.size,
        block.dimension,
        data,
        energy_means,
        names,
        make_model(dict(block.model)).cumulant_components,
        block.ensemble_id,
        _empty(block),
        [],
        block.temperatures,
        {k: v[0] for k, v in outputs.items()},
        {k: _total_error(v[1], block, k) for k, v in outputs.items()},
    )
    beta = np.linspace(betas.min(), betas.max(), STEPS + 1)
    by_seed = [_outputs_only(block, reweighted(p, energy_means, beta), names, beta) for p in seeds if p is not None]
    return SizeCurves(**{**vars(found), "curves": _curves(found, beta), "by_seed": by_seed})


def connected(energy: Array, middle: int) -> NDArray[np.int64]:
    """The rungs around a `middle` one whose energies [chain, slot, draw] overlap from one to the next. Raises
    InputError when there is no other."""
    mean, width = energy.mean(axis=(0, 2)), energy.std(axis=(0, 2))
    linked = np.diff(mean) < OVERLAP * (width[1:] + width[:-1])
    first = last = middle
    while first > 0 and linked[first - 1]:
        first -= 1
    while last < len(mean) - 1 and linked[last]:
        last += 1
    if first == last:
        raise InputError("expected temperatures near the transition whose energy histograms overlap, found none")
    return np.arange(first, last + 1)


def _over_seeds(values: Array, held: NDArray[np.bool_]) -> Array:
    """[chain, slot, draw]: the mean over seeds that held the chain out, NaN where none did."""
    count = held.sum(axis=0)[:, None, None]
    total = np.where(held[:, :, None, None], values, 0.0).sum(axis=0)
    mean: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _levels(
    energy: Array,
    columns: Sequence[Array],
    held: NDArray[np.bool_],
    rungs: NDArray[np.int64],
    ranges: Sequence[tuple[int, int]],
) -> list[list[Levels]]:
    """Levels [slot][block] of the held-out chains; a chain that nobody held out gives empty blocks."""
    out = []
    for slot in rungs:
        row = []
        for chain in range(len(energy)):
            for a, b in ranges:
                values = [c[chain, slot, a:b] for c in columns]
                row.append(_level(energy[chain, slot, a:b], values) if held[chain] else _no_level(len(columns)))
        out.append(row)
    return out


def _level(energy: Array, values: Sequence[Array]) -> Levels:
    levels, index = np.unique(np.round(energy).astype(np.int64), return_inverse=True)
    sums = [np.bincount(index).astype(np.float64), *(np.bincount(index, v) for v in values)]
    return Levels(levels, np.stack(sums, axis=1))


def _no_level(columns: int) -> Levels:
    return Levels(sums=np.zeros((0, 1 + columns)))


def _seed_pool(
    block: SeriesBlock, seed: int, names: tuple[str, ...], rungs: NDArray[np.int64], betas: Array
) -> Pool | None:
    held = block.held_out[seed]
    if not held.any():
        return None
    columns = [*(block.values[k][seed] for k in names), *(block.values[k][seed] ** 2 for k in names)]
    energy = block.values["energy"][seed]
    rows = [[_level(energy[held, s].ravel(), [c[held, s].ravel() for c in columns])] for s in rungs]
    found = pool(rows, betas)
    return Pool(found.energy, found.centre, found.total, found.blocks[:0], betas, found.counts)


def _curves(size: SizeCurves, beta: Array) -> Curves:
    moments = reweighted(size.pool, size.means, beta)
    values, slopes = _by_name(moments, size.names)
    k = 2 + 4 * len(size.names)
    m2, d2, m4, d4 = moments[k], -moments[k + 1], moments[k + 2], -moments[k + 3]
    ratio = size.components / (size.components + 2.0) * m4 / m2**2
    values[HEAT] = moments[1] - moments[0] ** 2
    values["u4"], slopes["u4"] = 1.0 - ratio, -ratio * (d4 / m4 - 2.0 * d2 / m2)
    return Curves(size.id, size.size, beta, values, slopes)


def _outputs_only(block: SeriesBlock, moments: Array, names: tuple[str, ...], beta: Array) -> Curves:
    return Curves(block.ensemble_id, block.size, beta, *_by_name(moments, names))


def _by_name(moments: Array, names: Sequence[str]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs and their squares, and the beta derivatives of both."""
    keys = [*names, *map(squared, names)]
    return ({key: moments[2 + 2 * i] for i, key in enumerate(keys)},
            {key: -moments[3 + 2 * i] for i, key in enumerate(keys)})  # fmt: skip


def _empty(block: SeriesBlock) -> Curves:
    return Curves(block.ensemble_id, block.size, np.zeros(0), {}, {})


def _slot_means(values: Array, held: NDArray[np.bool_], ranges: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
    """Means [slot] and their errors over blocks of held-out chains."""
    blocks = np.array([values[c, :, a:b].mean(axis=1) for c in np.flatnonzero(held) for a, b in ranges])
    error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else np.zeros(values.shape[1])
    return blocks.mean(axis=0), error


def _total_error(statistical: Array, block: SeriesBlock, name: str) -> Array:
    """With the spread between networks: each seed's mean over its own held-out chains."""
    each = np.array([block.values[name][s][h].mean(axis=(0, 2)) for s, h in enumerate(block.held_out) if h.any()])
    between = each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0
    total: Array = np.maximum(np.hypot(statistical, between), 1e-4)
    return total
