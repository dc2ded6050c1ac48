"""What is measured of every walker, and the configurations that chains start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.jit import helper, kernel, part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Model, Physics
from hpcrg.rng import choose, load, store

U64 = np.uint64
SIGNATURE = "void(int8[:,::1], int32[:,::1], int64[::1], float64, int64[::1], int64[:,::1], float64[::1])"


@dataclass(frozen=True)
class Measure:
    """measure(spins[walker, site], neighbours, energy[walker], order[walker, component], structure[walker])
    fills the last three: the total energy, the raw order parameter summed over sites, and the squared
    order parameter per site at the smallest wave vector, averaged over the lattice axes."""

    kernel: Callable[..., None]
    shape: NDArray[np.int64]
    scale: float

    def __call__(
        self, spins: NDArray[np.int8], neighbours: NDArray[np.int32], energy: NDArray[np.int64],
        order: NDArray[np.int64], structure: NDArray[np.float64],
    ) -> None:  # fmt: skip
        self.kernel(spins, neighbours, self.shape, self.scale, energy, order, structure)


def build_measure(model: Model, lattice: Lattice) -> Measure:
    """The measurement for one model and lattice."""
    compiled = make_measure(model.physics, lattice.dimension, model.components)
    return Measure(compiled, np.array(lattice.shape, np.int64), model.structure_scale)


@helper
def wave_power(sums, axis, extent, components):  # type: ignore[no-untyped-def]
    """sum over components of |sum_x exp(2 pi i x / extent) sums[axis, x]|^2, the sums being over planes."""
    power = 0.0
    for c in range(components):
        real, imaginary = 0.0, 0.0
        for x in range(extent):
            angle = 2.0 * np.pi * x / extent
            real += sums[axis, x, c] * np.cos(angle)
            imaginary += sums[axis, x, c] * np.sin(angle)
        power += real * real + imaginary * imaginary
    return power


def make_measure(physics: Physics, dimension: int, components: int) -> Callable[..., None]:
    """The kernel; row = a line of sites along the last axis."""
    add_rows = make_rows(physics, dimension, components)

    @kernel(SIGNATURE, f"{physics.name}-{dimension}d")
    def measure(spins, neighbours, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        sums = np.empty((dimension, shape.max(), components), np.int64)
        for w in range(spins.shape[0]):
            sums[:] = 0
            energy[w] = add_rows(spins[w], neighbours, shape, sums)
            for c in range(components):
                order[w, c] = sums[0, :, c].sum()
            power = 0.0
            for axis in range(dimension):
                power += wave_power(sums, axis, shape[axis], components)
            volume = float(spins.shape[1])
            structure[w] = scale * power / (dimension * volume * volume)

    return measure


def make_rows(physics: Physics, dimension: int, components: int) -> Any:
    """rows(spins, neighbours, shape, sums) -> energy, and order parameter summed over the planes of every
    axis."""
    pair, channel, weight, last = physics.pair, physics.channel, physics.weight, dimension - 1

    @part(f"rows.{physics.name}.{dimension}.{components}")
    def rows(spins, neighbours, shape, sums):  # type: ignore[no-untyped-def]
        extent = U64(shape[last])
        row = np.empty(components, np.int64)
        energy = np.int64(0)
        for r in range(U64(spins.size) // extent):
            row[:] = 0
            for x in range(extent):
                site = r * extent + x
                spin = spins[site]
                for k in range(dimension):
                    energy += pair(spin, spins[U64(neighbours[site, k])])
                row[U64(channel(spin))] += weight(spin)
                sums[U64(last), x, U64(channel(spin))] += weight(spin)
            rest = np.int64(r)
            for axis in range(last - 1, -1, -1):
                for c in range(components):
                    sums[axis, rest % shape[axis], c] += row[c]
                rest //= shape[axis]
        return energy

    return rows


@cache
def make_fill() -> Callable[..., None]:
    """fill(rng, states, codes): independent uniform codes; compiled or loaded when first needed."""

    @kernel("void(uint64[::1], int64, uint8[::1])")
    def fill(rng, states, codes):  # type: ignore[no-untyped-def]
        state = load(rng)
        for site in range(codes.size):
            state, codes[site] = choose(state, states)
        store(rng, state)

    return fill


def _random(model: Model, lattice: Lattice, rng: NDArray[np.uint64]) -> NDArray[np.int8]:
    codes = np.empty(lattice.volume, np.uint8)
    make_fill()(rng, model.states, codes)
    return model.from_codes(codes)


def _ordered(model: Model, lattice: Lattice, rng: NDArray[np.uint64]) -> NDArray[np.int8]:
    return model.from_codes(np.full(lattice.volume, model.states - 1, np.uint8))


STARTS = {"random": _random, "ordered": _ordered}


def initial(model: Model, lattice: Lattice, start: str, rng: NDArray[np.uint64]) -> NDArray[np.int8]:
    """A configuration int8[site] to start from: "random" (infinite temperature; advances `rng` in place) or
    "ordered" (every site in the last state). Raises InputError for another name."""
    if start not in STARTS:
        raise InputError(expected("start", f"one of {', '.join(STARTS)}", start, STARTS))
    return STARTS[start](model, lattice, rng)
