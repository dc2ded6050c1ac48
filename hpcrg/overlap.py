"""Overlaps between copies of a chain: two configurations of spins -1 or +1, at one temperature and with one disorder.

    overlap            q   = sum over sites of s s' / N
    link overlap       q_l = mean over bonds that are there of (s_i s_j) (s'_i s'_j)
    structure factor   |sum over sites of exp(i k x) s s'|^2 / N^2, averaged over the smallest k along each axis

Every pair of copies a < b is a component, (0, 1), (0, 2), (1, 2), (0, 3), ... (Edwards and Anderson 1975; Palassini and
Caracciolo, Phys. Rev. Lett. 82, 5128 (1999)). Kernels serve the plain layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.system import System

U64 = np.uint64


def pairs(copies: int) -> int:
    """How many pairs of copies there are."""
    return copies * (copies - 1) // 2


def has_overlap(system: System, copies: int) -> bool:
    """Two copies or more of a disordered model of spins -1 and +1."""
    model = system.model
    return copies > 1 and model.disordered and model.states == 2


@part
def walkers_in(slot_of):  # type: ignore[no-untyped-def]
    """The walker in every slot, [copy, slot], numbered over all copies."""
    copies, slots = slot_of.shape
    found = np.empty((copies, slots), np.int64)
    for copy in range(copies):
        for j in range(slots):
            found[copy, slot_of[copy, j]] = copy * slots + j
    return found


def over_pairs(one: Any) -> Any:
    """extra(block, neighbours, couplings, slot_of, out): `one(a, b, neighbours, couplings)` for every slot and pair."""

    @part
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        walker = walkers_in(slot_of)
        for j in range(slot_of.shape[1]):
            column = 0
            for b in range(slot_of.shape[0]):
                for a in range(b):
                    out[j, column] = one(block[walker[a, j]], block[walker[b, j]], neighbours, couplings)
                    column += 1

    return extra


@part
def overlap(a, b, neighbours, couplings):  # type: ignore[no-untyped-def]
    """q of two walkers."""
    total = np.int64(0)
    for site in range(U64(a.size)):
        total += a[site] * b[site]
    return total / a.size


def make_overlap(system: System) -> Any:
    """The series of q."""
    return over_pairs(overlap)


def make_link_overlap(system: System) -> Any:
    """The series of q_l."""
    coupling, halved = make_near(system), system.halved
    first, last = U64(system.columns.start), U64(system.columns.stop)

    @part
    def link(a, b, neighbours, couplings):  # type: ignore[no-untyped-def]
        total, bonds = np.int64(0), np.int64(0)
        for site in range(U64(neighbours.shape[0] // 2 if halved else 0), U64(neighbours.shape[0])):
            here = a[site] * b[site]
            for k in range(first, last):
                near = U64(neighbours[site, k])
                there = here * a[near] * b[near] if coupling(couplings, site, k) != 0 else 0
                total += there
                bonds += there * there
        return total / bonds if bonds else 0.0

    return over_pairs(link)


def make_strides(system: System) -> Any:
    """strides(neighbours): the number of cells, and how far apart in memory neighbours along each axis are. A step from
    the first cell crosses no boundary, so one kernel serves all sizes."""
    dimension, halved = system.lattice.dimension, system.halved

    @part
    def strides(neighbours):  # type: ignore[no-untyped-def]
        found = np.empty(dimension + 1, np.int64)
        found[0] = neighbours.shape[0] // 2 if halved else neighbours.shape[0]
        for k in range(dimension):
            found[dimension - k] = neighbours[found[0], k + 1] if halved else neighbours[0, k]
        return found

    return strides


@part
def wave(sums):  # type: ignore[no-untyped-def]
    """|sum over x of exp(2 pi i x / L) sums[x]|^2."""
    real, imaginary = 0.0, 0.0
    for x in range(sums.size):
        angle = 2.0 * np.pi * x / sums.size
        real += sums[x] * np.cos(angle)
        imaginary += sums[x] * np.sin(angle)
    return real * real + imaginary * imaginary


def make_overlap_structure(system: System) -> Any:
    """The series of the structure factor of s s'; both sites of a honeycomb cell stand where the cell stands."""
    dimension, strides = system.lattice.dimension, make_strides(system)

    @part
    def structure(a, b, neighbours, couplings):  # type: ignore[no-untyped-def]
        stride, power = strides(neighbours), 0.0
        for axis in range(dimension):
            step, extent = U64(stride[axis + 1]), U64(stride[axis] // stride[axis + 1])
            sums = np.zeros(extent, np.int64)
            for site in range(U64(a.size)):
                sums[site // step % extent] += a[site] * b[site]
            power += wave(sums)
        return power / (dimension * float(a.size) * float(a.size))

    return over_pairs(structure)
