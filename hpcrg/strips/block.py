"""Strips: 64 sites of one hypercubic lattice in a word. The lattice is cut into 64 equal blocks, and a word holds the
same place of every block: bit b for block b in C order, 1 for spin +1.

An axis is cut into a power of two of parts of even length, so that the checkerboard colour of a site is that of its
place. A walker is uint64[colour, place.., PAD + j + PAD]: the places along all axes but the last, each with one more at
either end, and the places j of one colour along a row. Around a block lies the next one, that is the words of the
opposite end with their bits turned by one block. These margins are written just before they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.lanes.bernoulli import BATCH

Words = NDArray[np.uint64]
PAD = 4
"""Words before and after a row: one is needed, four keep the rows aligned."""
SHORTEST, FULL = 16, 0.75
"""Words of a row, and share of the random decisions that are used, below which a lattice is refused."""


@dataclass(frozen=True)
class Strips:
    """How a lattice is cut: its shape and the number of blocks along each axis."""

    shape: tuple[int, ...]
    blocks: tuple[int, ...]

    @property
    def name(self) -> str:
        """Unique, for caches."""
        return f"{'x'.join(map(str, self.shape))}.{'x'.join(map(str, self.blocks))}"

    @property
    def bits(self) -> int:
        """Blocks, bits of a word that are used."""
        return prod(self.blocks)

    @property
    def places(self) -> tuple[int, ...]:
        """The shape of a block."""
        return tuple(n // b for n, b in zip(self.shape, self.blocks, strict=True))

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return prod(self.places[:-1])

    @property
    def half(self) -> int:
        """Words of one colour in a row."""
        return self.places[-1] // 2

    @property
    def padded(self) -> tuple[int, ...]:
        """The words of one colour of a walker, with margins."""
        return (*(n + 2 for n in self.places[:-1]), self.half + 2 * PAD)

    @property
    def inside(self) -> tuple[slice, ...]:
        """Those that stand for sites."""
        return (*(slice(1, n + 1) for n in self.places[:-1]), slice(PAD, PAD + self.half))

    @property
    def strides(self) -> tuple[int, ...]:
        """Words from a row to the next along each axis but the last."""
        return tuple(prod(self.padded[axis + 1 :]) for axis in range(len(self.shape) - 1))

    @property
    def words(self) -> int:
        """Words of a walker."""
        return 2 * prod(self.padded)

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Of each row, whether its places but the last add up to an odd number."""
        return np.asarray(np.indices(self.places[:-1]).reshape(len(self.shape) - 1, -1).sum(0) % 2 == 1)


def cut(shape: tuple[int, ...], bits: int = 64) -> Strips | None:
    """The cut into `bits` blocks, a power of two, that leaves the last axes as long as may be, if there is one."""
    blocks, left = [1] * len(shape), bits
    for axis, extent in enumerate(shape):
        while left > 1 and extent // blocks[axis] % 4 == 0:
            blocks[axis] *= 2
            left //= 2
    even = all(extent % 2 == 0 for extent in shape)
    return Strips(shape, tuple(blocks)) if left == 1 and even else None


def served(shape: tuple[int, ...]) -> str | None:
    """None where strips run at full speed on a periodic hypercubic lattice of this shape, else the reason why not."""
    if len(shape) not in (2, 3, 4):
        return expected("strips", "2 to 4 dimensions (checkerboard order is not ergodic in one)", shape)
    strips = cut(shape)
    if strips is None:
        return expected("strips", "extents that can be halved, six times in all, and stay even", shape)
    batches = 2 * strips.rows * strips.half / BATCH
    if batches < FULL * np.ceil(batches) or strips.half < SHORTEST:
        wanted = f"{64 * BATCH} sites or a multiple, or up to a quarter less, in blocks at least {2 * SHORTEST} long"
        return expected("strips", wanted, shape)
    return None


def cut_of(shape: tuple[int, ...]) -> Strips:
    """The cut of a shape that is served. Raises Unsupported for another."""
    strips, reason = cut(shape), served(shape)
    if strips is None or reason is not None:
        raise Unsupported(reason)
    return strips


def row_table(strips: Strips) -> Words:
    """For each row its first word in the first colour, and whether its places add up to an odd number."""
    places = np.indices(strips.places[:-1]).reshape(len(strips.shape) - 1, -1)
    first = PAD + (np.array(strips.strides) @ (places + 1))
    return np.ascontiguousarray(np.stack([first, strips.odd], axis=1).astype(np.uint64))


def near_text(dimension: int) -> list[str]:
    """The words of the neighbours of word own + i but the first, word other + i, as source; `stride<k>` is the step to
    the next row along axis k."""
    return ["side + i"] + [f"other + i {sign} stride{k}" for k in range(dimension - 1) for sign in "+-"]


def stride_names(dimension: int) -> str:
    """The names of the strides of `near_text`, as arguments."""
    return ", ".join(f"stride{k}" for k in range(dimension - 1))


def pack_strips(spins: NDArray[np.int8], strips: Strips) -> Words:
    """uint64[walker, word] of int8[walker, site]."""
    walkers, dimension = len(spins), len(strips.shape)
    split = (spins > 0).reshape(walkers, *(n for pair in zip(strips.blocks, strips.places, strict=True) for n in pair))
    axes = (0, *range(2, 2 * dimension + 1, 2), *range(1, 2 * dimension, 2))
    bits = split.transpose(axes).reshape(walkers, strips.rows, 2 * strips.half, strips.bits)
    octets = np.zeros((*bits.shape[:-1], 8), np.uint8)
    octets[..., : (strips.bits + 7) // 8] = np.packbits(bits, axis=-1, bitorder="little")
    words, odd = octets.view("<u8")[..., 0], strips.odd[:, None]
    block = np.zeros((walkers, 2, *strips.padded), np.uint64)
    for colour in (0, 1):
        chosen = np.where(odd, words[..., 1 - colour :: 2], words[..., colour::2])
        block[:, colour, *strips.inside] = chosen.reshape(walkers, *strips.places[:-1], strips.half)
    return block.reshape(walkers, strips.words)


def unpack_strips(block: Words, strips: Strips) -> NDArray[np.int8]:
    """int8[walker, site] of uint64[walker, word]: the inverse of pack."""
    walkers, dimension = len(block), len(strips.shape)
    coloured = block.reshape(walkers, 2, *strips.padded)[:, :, *strips.inside]
    coloured = coloured.reshape(walkers, 2, strips.rows, strips.half)
    words, odd = np.empty((walkers, strips.rows, 2 * strips.half), "<u8"), strips.odd[:, None]
    for colour in (0, 1):
        words[..., colour::2] = np.where(odd, coloured[:, 1 - colour], coloured[:, colour])
    bits = np.unpackbits(words.view(np.uint8).reshape(*words.shape, 8), axis=-1, count=strips.bits, bitorder="little")
    split = bits.reshape(walkers, *strips.places, *strips.blocks)
    order = (0, *(axis for a in range(dimension) for axis in (dimension + 1 + a, 1 + a)))
    spins = np.ascontiguousarray(split.transpose(order)).reshape(walkers, -1).view(np.int8)
    spins *= 2
    spins -= 1
    return spins


def pack(spins: NDArray[np.int8], shape: tuple[int, ...]) -> Words:
    """uint64[walker, word] of int8[walker, site] in C order. Raises Unsupported for a shape that is not served."""
    return pack_strips(spins, cut_of(shape))


def unpack(block: Words, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """int8[walker, site] of uint64[walker, word]. Raises Unsupported for a shape that is not served."""
    return unpack_strips(block, cut_of(shape))
