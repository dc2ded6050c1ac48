"""Producers: methods that make series of numbers by independent chains, where an ensemble makes configurations.

A producer is a value that says all that determines the numbers of a chain. `start` gives the state of a chain as plain
arrays, `advance` does a piece of work on them in place, `record` keeps what is worth keeping; so one mechanism stops,
resumes, divides over ranks and merges them all. A chain's random streams have the address (id of the series, stage,
chain): a chain is the same on every machine, in every division of work and with any number of other chains.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpcrg.comm import Alone, Comm
from hpcrg.errors import InputError, expected
from hpcrg.rng import Purpose, id_words, key_of, stream
from hpcrg.system import System

State = dict[str, NDArray[Any]]
PILOT, MAIN = 0, 1
"""The stages of a series."""


@dataclass(frozen=True)
class Place:
    """Where a chain stands, which is all that its random numbers depend on."""

    seed: int
    words: tuple[int, ...]
    chain: int

    def stream(self, purpose: Purpose, *more: int) -> NDArray[np.uint64]:
        """The state of a random stream of this chain, uint64[4]."""
        return stream(self.seed, purpose, *self.words, self.chain, *more)

    def key(self, purpose: Purpose) -> np.uint64:
        """The key of a counter hash of this chain."""
        return key_of(self.seed, purpose, *self.words, self.chain)


class Producer(Protocol):
    """See the module. `pilot` is a producer whose `chains` come first and whose records, stacked by chain, are `given`
    to the chains proper; None where nothing comes first. The walkers of a `divisible` producer are shared by ranks that
    call `advance` together and all hold the whole state. `axes` names the axes of every recorded array after chain."""

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Names of axes."""
        ...

    @property
    def pilot(self) -> tuple[Producer, int] | None:
        """What comes first, and how many chains of it."""
        ...

    @property
    def divisible(self) -> bool:
        """Whether ranks may share a chain."""
        ...

    @property
    def work(self) -> float:
        """Elementary steps of one chain, of which all take about the same time; for the plan."""
        ...

    def trial(self) -> tuple[Producer, State]:
        """A short chain of the same kind, to time, and what is given to it."""
        ...

    def identity(self) -> dict[str, Any]:
        """All that determines the numbers of a chain but the seed, as plain JSON values."""
        ...

    def start(self, place: Place, given: State) -> State:
        """A chain before its first step."""
        ...

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """A piece of work, in place; True when the chain is complete."""
        ...

    def record(self, state: State) -> State:
        """What is kept of a complete chain, the same shapes for every chain."""
        ...


@dataclass(frozen=True)
class Series:
    """What a campaign asks of a producer at one lattice size: so many `chains` of it. How many is not part of the id:
    more chains extend what is there."""

    group: str
    size: int
    producer: Producer
    seed: int
    chains: int

    @property
    def label(self) -> str:
        """The name of its files: group and size."""
        return f"{self.group}-L{self.size}"

    def identity(self) -> dict[str, Any]:
        """What the id hashes."""
        first = self.producer.pilot
        pilot = {"pilot": {**first[0].identity(), "chains": first[1]}} if first else {}
        return {**self.producer.identity(), **pilot, "seed": self.seed}

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits of the sha256 of the identity."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def request(self) -> str:
        """Everything as canonical JSON: what a workflow engine compares to decide on a rerun."""
        return json.dumps({**self.identity(), "label": self.label, "chains": self.chains}, sort_keys=True)

    @property
    def stages(self) -> list[tuple[int, Producer, int]]:
        """Stage, producer and number of chains, in order."""
        first = [(PILOT, *self.producer.pilot)] if self.producer.pilot else []
        return [*first, (MAIN, self.producer, self.chains)]

    def place(self, stage: int, chain: int) -> Place:
        """Where a chain of a stage stands."""
        return Place(self.seed, (*id_words(self.id), stage), chain)


@dataclass(frozen=True, eq=False)
class Produced:
    """The records of a series: `arrays` [chain, ...] and, of what came first, `given` [pilot chain, ...]."""

    series: Series
    arrays: State
    given: State

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    @property
    def source(self) -> str:
        """The id, which names it among the replicas of an estimate."""
        return self.series.id

    @property
    def size(self) -> int:
        """The linear size."""
        return self.series.size

    @property
    def chains(self) -> int:
        """The number of chains."""
        return len(next(iter(self.arrays.values())))


def describe(system: System) -> dict[str, Any]:
    """What determines the physics of a system, for an identity."""
    model, lattice = system.model, system.lattice
    return {
        "model": {"type": model.name, **model.params, "version": model.version},
        "lattice": {"type": lattice.kind, "shape": list(lattice.shape), "boundary": lattice.boundary},
    }  # fmt: skip


def stacked(records: list[State]) -> State:
    """Records of several chains as arrays [chain, ...]."""
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def run_chain(
    series: Series, stage: int, producer: Producer, chain: int, given: State, comm: Comm | None = None
) -> State:  # fmt: skip
    """One chain from its first step to its last, in memory."""
    place = series.place(stage, chain)
    state = producer.start(place, given)
    while not producer.advance(place, given, state, comm or Alone()):
        pass
    return producer.record(state)


def run(series: Series) -> Produced:
    """All chains one after the other, in memory: what `produce` gives on any number of ranks."""
    given: State = {}
    for stage, producer, chains in series.stages:
        done = stacked([run_chain(series, stage, producer, chain, given) for chain in range(chains)])
        given, earlier = done, given
    return Produced(series, done, earlier)


def left_out(produced: Produced, rows: NDArray[np.float64]) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """The mean of one number a chain, with its jackknife replicas. Raises InputError for a single chain."""
    n = len(rows)
    if n < 2:
        raise InputError(expected(f"{produced.series.label}: chains", "at least 2 for an error", n))
    return float(rows.mean()), {produced.source: (rows.sum() - rows) / (n - 1)}


Stop = Callable[[], bool]
