"""Multi-spin Metropolis: one update, two ways to fill the 64 bits of a word, chosen by the system and its ladder.

    lanes    64 walkers (copies x slots) of one chain in a word, each at its own temperature; Ising and +-J
    Edwards-Anderson strips   64 sites of one walker in a word; Ising alone

Lanes are taken where a chain has FEWEST to 64 walkers, else strips; never by the number of ranks. A system that neither
serves at full speed is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported
from hpcrg.jit import part
from hpcrg.lanes import bernoulli, block, measure
from hpcrg.layout import Layout
from hpcrg.observables import wave_power
from hpcrg.strips import block as strips
from hpcrg.strips import measure as strips_measure
from hpcrg.strips.margins import tables
from hpcrg.system import System
from hpcrg.updates import lanes as lanes_update
from hpcrg.updates import strips as strips_update
from hpcrg.updates.base import Sweep, UpdateType

U64 = np.uint64
FEWEST = 33
"""Walkers below which half of the lanes would idle."""


def refusal(system: System, slots: int, copies: int) -> str | None:
    """Why a system cannot be served, or None."""
    lattice, model = system.lattice, system.model
    glass = model.name == "edwards_anderson" and model.coupling == "integer"
    if (lattice.kind, lattice.boundary) != ("hypercubic", "periodic") or lattice.dimension not in (2, 3):
        found = f"{lattice.boundary} {lattice.kind} d = {lattice.dimension}"
        return f"expected the periodic square or cubic lattice, found {found}"
    if not glass and (model.name != "ising" or system.physics.site is not None or system.coupling != "none"):
        return f"expected the Ising model without field, or Edwards-Anderson with +-J, found {model.name}"
    walkers = slots * copies
    if FEWEST <= walkers <= block.LANES:
        even = all(extent % 2 == 0 and extent >= 4 for extent in lattice.shape)
        return None if even else f"expected even extents of at least 4, found {lattice.shape}"
    wanted = f"{FEWEST} to {block.LANES} walkers (copies x slots) to fill the lanes of a word, found {walkers}"
    if glass:
        return f"expected {wanted}"
    reason = strips.served(lattice.shape)
    return reason and f"expected {wanted}; or {reason.removeprefix('strips: expected ')}"


def by_lanes(system: System, slots: int, copies: int) -> bool:
    """Whether the walkers of a chain share words."""
    return slots * copies >= FEWEST and slots * copies <= block.LANES


def check(system: System, slots: int, copies: int) -> None:
    """Raises Unsupported with the reason."""
    reason = refusal(system, slots, copies)
    if reason:
        raise Unsupported(f"multispin: {reason}")


def make_exchange(dimension: int) -> Any:
    """exchange(block, swapped): swaps lanes p and p + 1 where swapped[p] is 1."""
    swap = measure.make_exchange(dimension)

    @part
    def exchange(block, swapped):  # type: ignore[no-untyped-def]
        pairs = U64(0)
        for p in range(swapped.size):
            pairs |= U64(swapped[p]) << U64(p)
        if pairs:
            swap(block, pairs)

    return exchange


def make_overlap(dimension: int, column: int) -> Any:
    """extra(block, neighbours, couplings, slot_of, out): the overlap of two copies per site (column 0) or bond (1)."""
    overlaps = measure.make_overlaps(dimension)

    @part
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        sums = np.empty((slot_of.shape[1], 2))
        overlaps(block, neighbours, sums)
        volume = 1.0
        for axis in range(dimension):
            volume *= neighbours[0, axis]
        for j in range(out.shape[0]):
            out[j, 0] = sums[j, column] / (volume * (dimension if column else 1))

    return extra


def make_overlap_structure(dimension: int) -> Any:
    """The squared overlap at the smallest wave vectors, averaged over axes, per site squared."""
    planes, header = measure.make_planes(dimension), U64(block.header_words(dimension))

    @part
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        slots, volume, extent = slot_of.shape[1], 1.0, 0
        for axis in range(dimension):
            volume *= neighbours[0, axis]
            extent = max(extent, neighbours[0, axis])
        other = np.zeros_like(block)
        for i in range(header, U64(block.shape[1])):
            other[0, i] = block[0, i] ^ (
                block[0, i] >> U64(slots)
            )  # equal spins give 0: the sign of q, which squares lose
        sums = np.zeros((slots, dimension, extent, 1), np.int64)
        planes(other, neighbours, sums[:, :, :, 0])
        for j in range(slots):
            power = 0.0
            for axis in range(dimension):
                power += wave_power(sums[j], axis, neighbours[0, axis], 1)
            out[j, 0] = power / (dimension * volume * volume)

    return extra


def lanes(system: System, copies: int) -> Layout:
    """64 walkers a word."""
    shape, d, coupled = system.lattice.shape, system.lattice.dimension, system.coupling != "none"
    overlaps = {
        "overlap": lambda: make_overlap(d, 0), "link_overlap": lambda: make_overlap(d, 1),
        "overlap_structure": lambda: make_overlap_structure(d),
    }  # fmt: skip

    def prepare(couplings: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        return np.array([shape], np.int32), block.prepare_couplings(couplings, shape) if coupled else couplings

    return Layout(
        "lanes", "uint64[:,::1]", "int8[:,::1]",
        pack=lambda spins: block.pack(spins, shape),
        unpack=lambda packed, walkers: block.unpack(packed, shape, walkers),
        prepare=prepare,
        rng=lambda walkers: (1, bernoulli.STATE_WORDS),
        make_energies=lambda: measure.make_energies(d, coupled),
        make_measure=lambda: measure.make_measure(d, coupled),
        make_exchange=lambda: make_exchange(d), divisible=False, extras=overlaps if copies == 2 else {},
    )  # fmt: skip


def in_strips(system: System) -> Layout:
    """64 sites of a walker in a word."""
    shape = system.lattice.shape
    cut = strips.cut_of(shape)
    table = tables(cut)
    return Layout(
        "strips", "uint64[:,::1]", "int8[:,::1]",
        pack=lambda spins: strips.pack_strips(spins, cut),
        unpack=lambda packed, walkers: strips.unpack_strips(packed, cut),
        prepare=lambda couplings: (table, couplings),
        rng=lambda walkers: (walkers, bernoulli.STATE_WORDS),
        make_energies=lambda: strips_measure.make_energies(len(shape)),
        make_measure=lambda: strips_measure.make_measure(len(shape)),
    )  # fmt: skip


def layout(system: System, slots: int, copies: int) -> Layout:
    """Lanes or strips."""
    return lanes(system, copies) if by_lanes(system, slots, copies) else in_strips(system)


def make(system: System, slots: int, copies: int) -> Sweep:
    """The sweep for one system."""
    if by_lanes(system, slots, copies):
        sweep: Sweep = lanes_update.make_sweep(system.lattice.dimension, system.coupling != "none")
        return sweep
    in_words: Sweep = strips_update.make_sweep(system.lattice.dimension)
    return in_words


def series(system: System, slots: int, copies: int) -> tuple[str, ...]:
    """Strips count accepted flips on the way."""
    return () if by_lanes(system, slots, copies) else ("acceptance",)


MULTISPIN = UpdateType("multispin", 2, check, make, series, layout)
