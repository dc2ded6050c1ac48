"""Training data from a bank: split by chain, streamed in runs of draws, in an order that no number of
processes changes.

Chains, not draws, are divided into training, validation and test, since draws of one chain are correlated. An
epoch's order follows from (seed, epoch) alone: runs are dealt to LANES lanes, each lane shuffles its draws
within a window, and batch b takes its share of every lane. A process reads only the runs of its own lanes,
one window at a time. Spins of two states stay eight to a byte, as the bank has them, until they are on the device that
computes with them (`codes_on`). Arrays: stored [example, *lattice, of bytes where packed], codes [example, *lattice],
slot [example].
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpcrg.bank import open_bank, packed, stored_shape
from hpcrg.comm import share
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError, expected
from hpcrg.learning_specs import LANES
from hpcrg.rng import Purpose, stream

RUN_BYTES = 1 << 20
WINDOW = 8
FEWEST_CHAINS = 3


@dataclass(frozen=True)
class Source:
    """A bank as training sees it: where it is and what it holds. The file is opened where and when it is
    read."""

    path: Path
    ensemble: Ensemble

    @cached_property
    def volume(self) -> int:
        """Sites of the lattice."""
        return self.ensemble.geometry.volume

    @cached_property
    def width(self) -> int | None:
        """Sites of the last axis where stored configurations have eight to a byte, else None."""
        e = self.ensemble
        return e.geometry.array_shape[-1] if packed(e.physics) else None

    @cached_property
    def run_length(self) -> int:
        """Draws of one chain and slot that are read at a time."""
        return max(1, min(self.ensemble.draws, RUN_BYTES // self.volume))


@dataclass(frozen=True)
class Split:
    """Chains for training, for choosing the epoch, and for testing; no chain has two uses."""

    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """Consecutive draws [start, stop) of one chain and slot."""

    chain: int
    slot: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Batch:
    """This process's examples of a global batch of `total`: `stored`, with the `width` of their source, and `slot`
    [example]; `real` is 0 for the single stand-in of a process that has no example, 1 elsewhere."""

    stored: NDArray[np.uint8]
    slot: NDArray[np.int64]
    real: NDArray[np.float32]
    total: int
    width: int | None

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The codes [example, *lattice]."""
        return unpacked(self.stored, self.width)


def unpacked(stored: NDArray[np.uint8], width: int | None) -> NDArray[np.uint8]:
    """The codes of stored examples."""
    return stored if width is None else np.unpackbits(stored, axis=-1, count=width)


def codes_on(device: torch.device, stored: NDArray[np.uint8], width: int | None) -> Tensor:
    """The codes of stored examples, unpacked where they are needed."""
    there = on(device, stored)
    if width is None:
        return there
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
    return ((there[..., None] >> shifts) & 1).flatten(-2)[..., :width]


def on(device: torch.device, values: NDArray[Any]) -> Tensor:
    """The values on a device; on their way to a GPU nobody waits for them."""
    here = torch.from_numpy(values)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def source(path: Path) -> Source:
    """Look at a bank once. Raises InputError when it is not one."""
    with open_bank(path) as bank:
        return Source(path, bank.ensemble)


def sources(banks: Sequence[Path], where: str) -> list[Source]:
    """Several banks, smallest size first. Raises InputError for an ensemble that is there twice."""
    found = sorted((source(path) for path in banks), key=lambda s: s.ensemble.size)
    labels = [s.ensemble.label for s in found]
    if len(set(labels)) != len(labels):
        raise InputError(expected(f"{where}: banks", "each ensemble once", labels))
    return found


def split(where: str, chains: int, seeds: int, seed: int) -> Split:
    """The division of chains for training seed `seed` of `seeds`: chain c is in fold c modulo the number of
    folds, and seed k tests fold k, so that with as many seeds as folds every chain is tested. Raises
    InputError for fewer than three chains."""
    if chains < FEWEST_CHAINS:
        raise InputError(f"{where}: expected at least {FEWEST_CHAINS} chains to split into training, "
                         f"validation and test, found {chains}")  # fmt: skip
    folds = min(chains, max(seeds, FEWEST_CHAINS))
    tested = tuple(c for c in range(chains) if c % folds == seed % folds)
    validation = (seed + 1) % folds
    rest = tuple(c for c in range(chains) if c not in tested and c != validation)
    return Split(rest, (validation,), tested)


def runs(of: Source, chains: Sequence[int], slots: Sequence[int], at_least: int = 1) -> list[Run]:
    """The draws of these chains and slots as runs, `at_least` so many where there are as many draws."""
    pieces = -(-at_least // max(1, len(chains) * len(slots)))
    length = max(1, min(of.run_length, of.ensemble.draws // pieces))
    return [
        Run(c, s, start, min(start + length, of.ensemble.draws))
        for c in chains
        for s in slots
        for start in range(0, of.ensemble.draws, length)
    ]


def read(of: Source, wanted: Sequence[Run]) -> Iterator[NDArray[np.uint8]]:
    """The stored draws of each run, with codes in place of spins that are not packed; the file is open while this is
    iterated, in this process only."""
    with open_bank(of.path) as bank:
        for run in wanted:
            place = run.chain, run.slot, run.start, run.stop
            yield bank.stored("spins", *place) if of.width else bank.model.codes(bank.spins(*place))


def codes(of: Source, wanted: Sequence[Run]) -> Iterator[NDArray[np.uint8]]:
    """The codes of each run, [draw, *lattice], read in the same way."""
    for stored in read(of, wanted):
        yield unpacked(stored, of.width)


def batches(
    of: Source, wanted: Sequence[Run], size: int, seed: int, address: Sequence[int], rank: int, world: int
) -> Generator[Batch]:
    """One epoch for process `rank` of `world`: every draw of `wanted` once, in global batches of about
    `size`. The order follows from `seed` and `address`, which holds the epoch."""
    lanes = _lanes(wanted, seed, address)
    lengths = [sum(map(len, lane)) for lane in lanes]
    count = max(1, sum(lengths) // size)
    mine = [_Shuffled(of, lanes[i], seed, (*address, i)) for i in share(LANES, world, rank)]
    for b in range(count):
        takes = [n * (b + 1) // count - n * b // count for n in lengths]
        pieces = [lane.take(takes[i]) for i, lane in zip(share(LANES, world, rank), mine, strict=True)]
        yield _join(of, pieces, sum(takes))


def steps(wanted: Sequence[Run], size: int) -> int:
    """Batches in an epoch."""
    return max(1, sum(map(len, wanted)) // size)


def _lanes(wanted: Sequence[Run], seed: int, address: Sequence[int]) -> list[list[Run]]:
    order = _generator(seed, (*address, LANES)).permutation(len(wanted))
    return [[wanted[i] for i in order[lane::LANES]] for lane in range(LANES)]


def _generator(seed: int, address: Sequence[int]) -> np.random.Generator:
    return np.random.default_rng(stream(seed, Purpose.TRAINING, *address))


class _Shuffled:
    """The shuffled examples of one lane, a window of runs in memory at a time."""

    def __init__(self, of: Source, lane: Sequence[Run], seed: int, address: Sequence[int]) -> None:
        self._windows = self._read(of, lane, _generator(seed, address))
        self._stored = np.empty((0, *_shape(of)), np.uint8)
        self._slot = np.empty(0, np.int64)

    def take(self, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The next n examples, stored, and their slots."""
        while len(self._slot) < n:
            stored, slot = next(self._windows)
            self._stored = np.concatenate([self._stored, stored])
            self._slot = np.concatenate([self._slot, slot])
        taken = self._stored[:n], self._slot[:n]
        self._stored, self._slot = self._stored[n:], self._slot[n:]
        return taken

    @staticmethod
    def _read(
        of: Source, lane: Sequence[Run], rng: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        for start in range(0, len(lane), WINDOW):
            window = lane[start : start + WINDOW]
            stored = np.concatenate(list(read(of, window)))
            slot = np.repeat([r.slot for r in window], [len(r) for r in window])
            order = rng.permutation(len(slot))
            yield stored[order], slot[order]


def _join(of: Source, pieces: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]], total: int) -> Batch:
    stored = np.concatenate([s for s, _ in pieces])
    slot = np.concatenate([s for _, s in pieces]).astype(np.int64)
    if len(slot):
        return Batch(stored, slot, np.ones(len(slot), np.float32), total, of.width)
    blank = np.zeros((1, *_shape(of)), np.uint8)
    return Batch(blank, np.zeros(1, np.int64), np.zeros(1, np.float32), total, of.width)


def _shape(of: Source) -> tuple[int, ...]:
    return stored_shape(of.ensemble.physics, of.ensemble.geometry)
