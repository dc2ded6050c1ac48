"""Multicanonical production: a Markov chain with fixed weights w(E) = 1 / g(E), by which all energies of a window are
visited alike (Berg and Neuhaus, Phys. Lett. B 267, 249 (1991); Phys. Rev. Lett. 68, 9 (1992)).

The weights do not change while data are taken, so averages reweighted from them are exact for any ln g; how good the
estimate of ln g was shows in the errors and in the number of round trips between the phases alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.flat_histogram.kernels import LARGEST_EXPONENT
from hpcrg.flat_histogram.landscape import Landscape
from hpcrg.producing import Place


@dataclass(frozen=True)
class Plan:
    """How long one chain is: `thermalise` sweeps, then `blocks` of `rows` measurements, one every `stride` sweeps.
    Round trips are counted between the energies `turns`."""

    blocks: int
    rows: int
    stride: int
    thermalise: int
    turns: tuple[int, int]


@dataclass
class Production:
    """The state and the data of one chain: spins int8[site], rng uint64[4], ln_w float64[level] (the weights), counters
    int64[3] (energy, direction, half round trips), done int64[1] (blocks), histogram int64[block, level] of every step,
    energies int64[block, row], order int64[block, row, component]. `vars` of it is what a checkpoint needs."""

    spins: NDArray[np.int8]
    rng: NDArray[np.uint64]
    ln_w: NDArray[np.float64]
    counters: NDArray[np.int64]
    done: NDArray[np.int64]
    histogram: NDArray[np.int64]
    energies: NDArray[np.int64]
    order: NDArray[np.int64]


def weight_table(ln_w: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """w(E + d) / w(E) for d = -span .. span, float64[level, change]; 0 outside the window."""
    padded = np.pad(ln_w, span, constant_values=-np.inf)
    moved = np.lib.stride_tricks.sliding_window_view(padded, 2 * span + 1)
    return np.ascontiguousarray(np.exp(np.minimum(moved - ln_w[:, None], LARGEST_EXPONENT)))


def start(land: Landscape, plan: Plan, ln_g: NDArray[np.float64], place: Place) -> Production:
    """A chain before its first sweep, with weights 1 / g."""
    spins, rng, energy = land.begin(place)
    shape, components = (plan.blocks, plan.rows), land.system.model.components
    return Production(
        spins, rng, -ln_g, np.array([energy, 1, 0]), np.zeros(1, np.int64),
        np.zeros((plan.blocks, ln_g.size), np.int64), np.zeros(shape, np.int64),
        np.zeros((*shape, components), np.int64),
    )  # fmt: skip


def advance(land: Landscape, plan: Plan, chain: Production) -> bool:
    """One block, after thermalisation if it is the first, in place; whether it was the last."""
    table = weight_table(chain.ln_w, land.system.local_span)
    if chain.done[0] == 0:
        _thermalise(land, plan, chain, table)
    b = chain.done[0]
    _advance(land, plan, chain, table, chain.histogram[b], chain.energies[b], chain.order[b], plan.stride)
    chain.done += 1
    return bool(chain.done[0] == plan.blocks)


def _thermalise(land: Landscape, plan: Plan, chain: Production, table: NDArray[np.float64]) -> None:
    if plan.thermalise:
        order = np.zeros((1, chain.order.shape[-1]), np.int64)
        unused = np.zeros(chain.ln_w.size, np.int64), np.zeros(1, np.int64), order
        _advance(land, plan, chain, table, *unused, plan.thermalise)
        chain.counters[2] = 0


def _advance(
    land: Landscape, plan: Plan, chain: Production, table: NDArray[np.float64], histogram: NDArray[np.int64],
    energies: NDArray[np.int64], order: NDArray[np.int64], stride: int,
) -> None:  # fmt: skip
    land.produce(
        chain.spins, chain.rng, land.system.neighbours, land.couplings, land.lowest, table, land.parity,
        np.array(plan.turns), chain.counters, histogram, energies, order, stride,
    )  # fmt: skip
