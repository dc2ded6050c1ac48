"""Wang-Landau: a walk that learns the logarithm of the density of states g(E) while it flattens its own histogram.

Every step adds f to ln g of the energy where it ends (Wang and Landau, Phys. Rev. Lett. 86, 2050 (2001)). f starts at 1
and is halved whenever every known level has been visited, until it falls below 1 / t, t being steps per known level;
from then on f = 1 / t, so that the error vanishes with time (Belardinelli and Pereyra, Phys. Rev. E 75, 046701 (2007)).
A level is known once it has been visited; it starts with the ln g of the level that it was entered from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.flat_histogram.landscape import Landscape
from hpcrg.producing import Place

CHUNK = 100
"""Sweeps between two looks at the histogram."""
STEPS, NEWEST, FINAL_STAGE = 1, 2, 3


@dataclass
class WangLandau:
    """The state of one walk: spins int8[site], rng uint64[4], ln_g float64[level], visits int64[level] since f was last
    reduced, known uint8[level], counters int64[4] (energy, steps, step of the newest level, whether f = 1 / t),
    f float64[1]. `vars` of it is what a checkpoint needs."""

    spins: NDArray[np.int8]
    rng: NDArray[np.uint64]
    ln_g: NDArray[np.float64]
    visits: NDArray[np.int64]
    known: NDArray[np.uint8]
    counters: NDArray[np.int64]
    f: NDArray[np.float64]


def start(land: Landscape, place: Place) -> WangLandau:
    """The walk of one chain before its first step."""
    spins, rng, energy = land.begin(place)
    n = land.levels.size
    known = np.zeros(n, np.uint8)
    known[energy - land.lowest] = 1
    return WangLandau(spins, rng, np.zeros(n), np.zeros(n, np.int64), known, np.array([energy, 0, 0, 0]), np.ones(1))


def step(land: Landscape, walk: WangLandau, sweeps: int) -> None:
    """Sweeps of N steps each at the present f (or at 1 / t), in place."""
    land.walk(
        walk.spins, walk.rng, land.system.neighbours, land.couplings, land.lowest, walk.ln_g, walk.visits, walk.known,
        walk.counters, walk.f, sweeps,
    )  # fmt: skip


def refine(walk: WangLandau) -> None:
    """Reduce f where the schedule says so. No reduction before half of the walk has passed without a new level."""
    steps, known = int(walk.counters[STEPS]), walk.known > 0
    if walk.counters[FINAL_STAGE] or walk.visits[known].min() == 0 or steps < 2 * walk.counters[NEWEST]:
        return
    walk.f[0] /= 2
    walk.visits[:] = 0
    if walk.f[0] <= known.sum() / steps:
        walk.counters[FINAL_STAGE] = 1


def advance(land: Landscape, walk: WangLandau, final: float) -> bool:
    """CHUNK sweeps and a look at the histogram, in place; whether f has fallen below `final`."""
    step(land, walk, CHUNK)
    refine(walk)
    return bool(walk.f[0] < final)


def combine(known: NDArray[np.bool_], ln_g: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln g[level] of several walks [walk, level]: the mean of those that know a level, linear between levels that none
    knows, constant beyond the outermost. Raises InputError when no level is known to all."""
    common, some = known.all(axis=0), known.any(axis=0)
    if not common.any():
        raise InputError(expected("wang_landau.combine", "walks that have a level in common", "none"))
    shifted: NDArray[Any] = ln_g - ln_g[:, common].mean(axis=1, keepdims=True)
    mean = np.where(known, shifted, 0.0).sum(axis=0)[some] / known.sum(axis=0)[some]
    levels = np.arange(some.size)
    return np.asarray(np.interp(levels, levels[some], mean), np.float64)
