"""What is measured of 64 walkers in the bits of words: energies, order parameters, structure factors and overlaps; and
the exchange of neighbouring lanes.

A bond is counted at its site of odd parity: E = 2 (unsatisfied bonds) - d N, as all couplings are +-1.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH
from hpcrg.lanes.block import LANES, class_of, header_words, make_collect, make_geometry, work_start
from hpcrg.lanes.counters import make_list_bonds, make_settle
from hpcrg.observables import wave_power

U64 = np.uint64


@cache
def make_unsatisfied(dimension: int, coupled: bool) -> Any:
    """unsatisfied(box, neighbours, couplings, counts): the number of unsatisfied bonds of every lane, uint64[64]."""
    collect, geometry, settle = make_collect(dimension), make_geometry(dimension), make_settle(dimension, 3)
    list_bonds = make_list_bonds(dimension, coupled)

    @part
    def unsatisfied(box, neighbours, couplings, counts):  # type: ignore[no-untyped-def]
        extents, start = geometry(neighbours[0])
        n, held, lists = extents[0] * extents[1] * extents[2], U64(0), U64(0)
        counts[:] = 0
        for step in range(U64(1 << (dimension - 1)), U64(1 << dimension)):
            kind, first = class_of(step, U64(dimension)), U64(0)
            while first < n:
                count = min(n - first, U64(BATCH) - held)
                own, near0, near1, near2 = collect(box, extents, start, kind, first, count)
                list_bonds(box, couplings, own, near0, near1, near2, kind * n + first, held, count)
                first += count
                held += count
                if held == U64(BATCH):
                    lists = settle(box, counts, held, lists)
                    held = U64(0)
        settle(box, counts, held, lists)

    return unsatisfied


@cache
def make_energies(dimension: int, coupled: bool) -> Any:
    """energies(block, neighbours, couplings, energy[walker]): the total energy of every walker."""
    unsatisfied, geometry = make_unsatisfied(dimension, coupled), make_geometry(dimension)

    @part
    def energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
        counts = np.empty(LANES, np.uint64)
        unsatisfied(block[0], neighbours, couplings, counts)
        (hx, hy, hz), _ = geometry(neighbours[0])
        bonds = np.int64(hx * hy * hz * U64(dimension << dimension))
        for w in range(energy.shape[0]):
            energy[w] = 2 * np.int64(counts[w]) - bonds

    return energies


@cache
def make_tally(dimension: int) -> Any:
    """(held, lists) = tally(box, counts, first, last, held, lists): list the words first .. last - 1 of a box for
    `settle`, which is called whenever a batch is full."""
    settle, work = make_settle(dimension, 1), U64(work_start(dimension))

    @part
    def tally(box, counts, first, last, held, lists):  # type: ignore[no-untyped-def]
        for i in range(first, last):
            box[work + held] = box[i]
            held += U64(1)
            if held == U64(BATCH):
                lists = settle(box, counts, held, lists)
                held = U64(0)
        return held, lists

    return tally


@cache
def make_ones(dimension: int) -> Any:
    """ones(box, neighbours, counts): the number of bits 1 of every lane, uint64[64]."""
    geometry, settle, tally = make_geometry(dimension), make_settle(dimension, 1), make_tally(dimension)

    @part
    def ones(box, neighbours, counts):  # type: ignore[no-untyped-def]
        (hx, hy, hz), start = geometry(neighbours[0])
        counts[:] = 0
        held, lists = tally(box, counts, start, start + (hx * hy * hz << U64(dimension)), U64(0), U64(0))
        settle(box, counts, held, lists)

    return ones


@cache
def make_planes(dimension: int) -> Any:
    """planes(block, neighbours, sums[walker, axis, x]): the spins summed over every plane of every axis, axis 0 being
    the slowest."""
    geometry, settle, tally = make_geometry(dimension), make_settle(dimension, 1), make_tally(dimension)

    @part
    def plane(box, counts, begin, n, axis, stride, span):  # type: ignore[no-untyped-def]
        """The number of bits 1 in a plane: every second class from `begin` on, a run of `stride` words every `span`."""
        counts[:] = 0
        held, lists, low = U64(0), U64(0), (U64(1) << axis) - U64(1)
        for k in range(U64(1 << (dimension - 1))):
            kind = ((k & ~low) << U64(1)) | (k & low)
            for run in range(begin + kind * n, begin + (kind + U64(1)) * n, span):
                held, lists = tally(box, counts, run, run + stride, held, lists)
        settle(box, counts, held, lists)

    @part
    def planes(block, neighbours, sums):  # type: ignore[no-untyped-def]
        box, counts = block[0], np.empty(LANES, np.uint64)
        extents, start = geometry(neighbours[0])
        n, stride = extents[0] * extents[1] * extents[2], U64(1)
        for axis in range(U64(dimension)):
            span = stride * extents[axis]
            area = np.int64((n << U64(dimension)) // (U64(2) * extents[axis]))
            for x in range(U64(2) * extents[axis]):
                begin = start + ((x & U64(1)) << axis) * n + (x >> U64(1)) * stride
                plane(box, counts, begin, n, axis, stride, span)
                for w in range(sums.shape[0]):
                    sums[w, dimension - 1 - np.int64(axis), x] = 2 * np.int64(counts[w]) - area
            stride = span

    return planes


@cache
def make_measure(dimension: int, coupled: bool) -> Any:
    """measure(block, neighbours, couplings, shape, scale, energy[walker], order[walker, 1], structure[walker]): see
    hpcrg.observables."""
    energies, planes = make_energies(dimension, coupled), make_planes(dimension)

    @part
    def measure(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        energies(block, neighbours, couplings, energy)
        sums = np.zeros((energy.shape[0], dimension, shape.max(), 1), np.int64)
        planes(block, neighbours, sums[:, :, :, 0])
        volume = float(shape.prod())
        for w in range(energy.shape[0]):
            order[w, 0] = sums[w, 0].sum()
            power = 0.0
            for axis in range(dimension):
                power += wave_power(sums[w], axis, shape[axis], 1)
            structure[w] = scale * power / (dimension * volume * volume)

    return measure


@cache
def make_overlaps(dimension: int) -> Any:
    """overlaps(block, neighbours, out[slot, 2]): the sums over sites of s_a s_b and over bonds <ij> of s_ai s_bi s_aj
    s_bj, with copy a of a slot in lane `slot` and copy b in lane slots + slot."""
    unsatisfied, ones, geometry = make_unsatisfied(dimension, False), make_ones(dimension), make_geometry(dimension)

    @part
    def overlaps(block, neighbours, out):  # type: ignore[no-untyped-def]
        slots = U64(out.shape[0])
        other, counts, none = np.zeros(block.shape[1], np.uint64), np.empty(LANES, np.uint64), np.zeros((1, 1), np.int8)
        (hx, hy, hz), start = geometry(neighbours[0])
        volume = hx * hy * hz << U64(dimension)
        for i in range(start, start + volume):
            other[i] = block[0, i] ^ (block[0, i] >> slots)
        ones(other, neighbours, counts)
        for j in range(slots):
            out[j, 0] = np.int64(volume) - 2 * np.int64(counts[j])
        unsatisfied(other, neighbours, none, counts)
        for j in range(slots):
            out[j, 1] = np.int64(volume * U64(dimension)) - 2 * np.int64(counts[j])

    return overlaps


@cache
def make_exchange(dimension: int) -> Any:
    """exchange(block, pairs): swap lanes l and l + 1 wherever bit l of the word `pairs` is set; no two pairs may
    meet."""
    header = U64(header_words(dimension))

    @part
    def exchange(block, pairs):  # type: ignore[no-untyped-def]
        box = block[0]
        for i in range(header, U64(box.size)):
            word = box[i]
            swapped = (word ^ (word >> U64(1))) & pairs
            box[i] = word ^ (swapped | (swapped << U64(1)))

    return exchange
