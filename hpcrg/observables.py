"""What is measured of every walker, and the configurations that chains start from.

A series is stored for every measurement, so what is a histogram or a function of series (energy histograms, specific
heat, cumulants, helicity modulus) is made from them by the analysis and not stored again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.interaction import make_near, make_site
from hpcrg.jit import kernel, part
from hpcrg.models.base import Physics
from hpcrg.overlap import has_overlap, make_link_overlap, make_overlap, make_overlap_structure, pairs
from hpcrg.rng import load, store
from hpcrg.stiffness import axes, has_vortices, is_planar, make_stiffness, make_vortices
from hpcrg.system import System

U64 = np.uint64


@dataclass(frozen=True)
class Observable:
    """A series beyond energy and order parameter. `applies(system, copies)` says which systems have it; `make(system)`
    builds a part extra(block, neighbours, couplings, slot_of, out[row, component]) of the plain layout, with a row for
    each walker; or, where it is taken `between_copies`, for each slot, with `components` for each pair of copies;
    `components` are for each of `per(system)` things, one unless said otherwise."""

    name: str
    long_name: str
    components: int
    applies: Callable[[System, int], bool]
    make: Callable[[System], Any]
    between_copies: bool = False
    per: Callable[[System], int] = lambda system: 1


OBSERVABLES: tuple[Observable, ...] = (
    Observable("overlap", "overlap of two copies per site", 1, has_overlap, make_overlap, True),
    Observable("link_overlap", "overlap of two copies on bonds", 1, has_overlap, make_link_overlap, True),
    Observable(
        "overlap_structure", "squared overlap at the smallest wave vectors per site squared", 1, has_overlap,
        make_overlap_structure, True,
    ),
    Observable(
        "stiffness", "sums over the bonds along each axis of cos and then of sin of the angle between spins", 2,
        is_planar, make_stiffness, per=axes,
    ),
    Observable("vortices", "vortices of either sign per plaquette", 1, has_vortices, make_vortices),
)  # fmt: skip


def observables_of(system: System, copies: int) -> tuple[Observable, ...]:
    """The observables that are measured of a system beside energy, order parameter and structure factor."""
    found = (o for o in OBSERVABLES if o.applies(system, copies))
    return tuple(
        replace(o, components=o.components * (pairs(copies) if o.between_copies else o.per(system))) for o in found
    )


def make_bulk(system: System) -> Any:
    """bulk(walker, neighbours, couplings, site): the share of the energy that is booked at a site; every term once."""
    physics = system.physics
    if physics.bulk is not None:
        return physics.bulk
    pair, read, coupling, site_energy = physics.pair, physics.read, make_near(system), make_site(system)
    first, last = U64(system.columns.start), U64(system.columns.stop)
    zero, halved = np.int64(0) if system.integer else 0.0, system.halved

    @part
    def bulk(walker, neighbours, couplings, site):  # type: ignore[no-untyped-def]
        spin, energy = read(walker, site), zero
        if not halved or site >= U64(neighbours.shape[0] // 2):
            for k in range(first, last):
                near = U64(neighbours[site, k])
                energy += coupling(couplings, site, k) * pair(spin, read(walker, near))
        return energy + site_energy(spin)

    return bulk


@part
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


def make_measure(system: System) -> Any:
    """measure(block, neighbours, couplings, shape, scale, energy, order, structure) of the plain layout: the total
    energy, the raw order parameter summed over sites, and the squared order parameter per site at the smallest wave
    vector, averaged over the lattice axes. Both sites of a honeycomb cell stand where the cell stands."""
    add_rows, dimension, components = make_rows(system), system.lattice.dimension, system.model.components
    kind = system.model.order_dtype.type

    @part
    def measure(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        sums = np.empty((dimension, shape.max(), components), kind)
        for w in range(block.shape[0]):
            sums[:] = 0
            energy[w] = add_rows(block[w], neighbours, couplings, shape, sums)
            for c in range(components):
                order[w, c] = sums[0, :, c].sum()
            power = 0.0
            for axis in range(dimension):
                power += wave_power(sums, axis, shape[axis], components)
            volume = float(neighbours.shape[0])
            structure[w] = scale * power / (dimension * volume * volume)

    return measure


def make_rows(system: System) -> Any:
    """rows(walker, neighbours, couplings, shape, sums) -> energy, and order parameter summed over the planes of every
    axis; a row is a line of sites along the last axis."""
    physics, dimension, components = system.physics, system.lattice.dimension, system.model.components
    bulk, read, book, last = make_bulk(system), physics.read, physics.book, dimension - 1
    kind, zero = system.model.order_dtype.type, np.int64(0) if system.integer else 0.0
    triangular = system.lattice.kind == "triangular"

    @part
    def rows(walker, neighbours, couplings, shape, sums):  # type: ignore[no-untyped-def]
        extent = U64(shape[last])
        row = np.empty(components, kind)
        energy = zero
        for r in range(U64(neighbours.shape[0]) // extent):
            row[:] = 0
            parity, rest = np.int64(0), np.int64(r)
            for axis in range(last - 1, -1, -1):
                parity |= (rest % shape[axis] & 1) << (last - axis)
                rest //= shape[axis]
            for x in range(extent):
                site = r * extent + x
                energy += bulk(walker, neighbours, couplings, site)
                spin, place = read(walker, site), parity | np.int64(x & U64(1))
                if triangular:
                    place |= ((np.int64(x) + 2 * np.int64(r)) % 3) << 4
                book(row, spin, place)
                book(sums[U64(last), x], spin, place)
            rest = np.int64(r)
            for axis in range(last - 1, -1, -1):
                for c in range(components):
                    sums[axis, rest % shape[axis], c] += row[c]
                rest //= shape[axis]
        return energy

    return rows


def make_fill(system: System) -> Any:
    """fill(rng, volume, walker): independent spins at infinite temperature; compiled or loaded when first needed."""
    return _fill(system.physics, "float64[:,::1]" if system.model.spin_components else "int8[::1]")


@cache
def _fill(physics: Physics, kind: str) -> Any:
    fresh, write = physics.fresh, physics.write

    @kernel(f"void(uint64[::1], int64, {kind})")
    def fill(rng, volume, walker):  # type: ignore[no-untyped-def]
        state = load(rng)
        for site in range(U64(volume)):
            state, spin = fresh(state)
            write(walker, site, spin)
        store(rng, state)

    return fill


def _random(system: System, rng: NDArray[np.uint64]) -> NDArray[Any]:
    components = system.model.spin_components
    walker = np.empty((components, system.volume) if components else system.volume, system.model.dtype)
    make_fill(system)(rng, system.volume, walker)
    return walker


def _ordered(system: System, rng: NDArray[np.uint64]) -> NDArray[Any]:
    return np.array(system.model.ordered(system.lattice), system.model.dtype)


STARTS = {"random": _random, "ordered": _ordered}


def initial(
    system: System, start: str, rng: NDArray[np.uint64], vacant: NDArray[np.uint8] | None = None
) -> NDArray[Any]:
    """A configuration [site] ([component, site]) to start from: "random" (infinite temperature; advances `rng` in
    place) or "ordered", with 0 on vacant sites. Raises InputError for another name."""
    if start not in STARTS:
        raise InputError(expected("start", f"one of {', '.join(STARTS)}", start, STARTS))
    spins = STARTS[start](system, rng)
    if vacant is not None:
        spins[..., vacant > 0] = 0
    return spins
