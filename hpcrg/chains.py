"""Chains of a series on disk: one file for a complete chain, one for the checkpoint of a running one.

A file names the series, the stage and the chain that it belongs to. Complete files are never written again, so more
chains extend a series and a kill loses at most what was done since the last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcrg import checkpoint
from hpcrg.comm import Alone, Comm
from hpcrg.errors import CorruptFile, Interrupted, expected
from hpcrg.producing import Producer, Series, State, Stop, stacked

STAGES = ("pilot", "chain")


@dataclass(frozen=True)
class ChainStore:
    """Where the chains of one stage of a series are kept."""

    series: Series
    stage: int
    directory: Path

    def complete(self, chain: int) -> Path:
        """The file of a complete chain."""
        return self.directory / f"{STAGES[self.stage]}-{chain:05d}.npz"

    def running(self, chain: int) -> Path:
        """The checkpoint of a running chain."""
        return self.directory / f"{STAGES[self.stage]}-{chain:05d}.running.npz"

    def save(self, path: Path, chain: int, state: State) -> None:
        """Write arrays with what they belong to."""
        told = json.dumps([self.series.id, self.stage, chain]).encode()
        checkpoint.save(path, {**state, "owner": np.frombuffer(told, np.uint8)})

    def load(self, path: Path, chain: int) -> State:
        """Read arrays. Raises CorruptFile for an altered file and for one of another series or chain."""
        arrays = checkpoint.load(path)
        owner = arrays.pop("owner", np.zeros(0, np.uint8)).tobytes().decode(errors="replace")
        wanted = json.dumps([self.series.id, self.stage, chain])
        if owner != wanted:
            raise CorruptFile(expected(f"{path}: [series, stage, chain]", wanted, owner))
        return arrays

    def records(self, chains: int) -> State:
        """The records of the first chains, stacked. Raises CorruptFile for one unlike the first."""
        found = [self.load(self.complete(chain), chain) for chain in range(chains)]
        for chain, record in enumerate(found):
            wanted, told = (
                ", ".join(f"{k} {a.dtype}{a.shape}" for k, a in sorted(r.items())) for r in (found[0], record)
            )
            if told != wanted:
                raise CorruptFile(expected(f"{self.complete(chain)}", f"the arrays of chain 0: {wanted}", told))
        return stacked(found)


def produce(
    series: Series, directory: Path, comm: Comm, stop: Stop, interval: float, progress: Callable[[float], None]
) -> tuple[State, State]:  # fmt: skip
    """Complete every chain of every stage that `directory` lacks; the records of the chains proper, and of what came
    first, on every rank. Collective. Raises Interrupted, with everything kept, when a rank is asked to stop."""
    given: State = {}
    for stage, producer, chains in series.stages:
        store = ChainStore(series, stage, directory)
        stopped = _share(store, producer, chains, given, comm, stop, interval, progress)
        if comm.allgather(np.array([stopped], np.uint8), comm.size).any():
            raise Interrupted(f"{series.label}: stopped in {directory}; the same command goes on from there")
        done, earlier = store.records(chains), given
        given = done
    return done, earlier


def _share(
    store: ChainStore, producer: Producer, chains: int, given: State, comm: Comm, stop: Stop, interval: float,
    progress: Callable[[float], None],
) -> bool:  # fmt: skip
    """This rank's chains of one stage; True when it was asked to stop. Ranks beyond the chains share the walkers of a
    chain, or rest where a chain cannot be divided."""
    groups = min(comm.size, chains)
    mine = comm.rank * groups // comm.size if producer.divisible else min(comm.rank, chains)
    group = comm.split(mine) if comm.size > 1 else Alone()
    wanted = range(mine, chains, groups)
    for k, chain in enumerate(wanted):
        if _chain(store, producer, chain, given, group, stop, interval):
            return True
        progress((k + 1) / len(wanted))
    return False


def _chain(
    store: ChainStore, producer: Producer, chain: int, given: State, comm: Comm, stop: Stop, interval: float
) -> bool:  # fmt: skip
    """One chain to its end, from its checkpoint if there is one; True when stopped before."""
    if comm.bcast(store.complete(chain).exists()):
        return False
    place, saved = store.series.place(store.stage, chain), time.monotonic()
    resumed = comm.bcast(store.running(chain).exists())
    state = store.load(store.running(chain), chain) if resumed else producer.start(place, given)
    complete = False
    while not complete:
        asked = bool(comm.allgather(np.array([stop()], np.uint8), comm.size).any())
        if comm.rank == 0 and (asked or time.monotonic() - saved > interval):
            store.save(store.running(chain), chain, state)
            saved = time.monotonic()
        if asked:
            return True
        complete = producer.advance(place, given, state, comm)
    if comm.rank == 0:
        store.save(store.complete(chain), chain, producer.record(state))
        store.running(chain).unlink(missing_ok=True)
    return False
