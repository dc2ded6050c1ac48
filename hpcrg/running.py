"""A chain while it is being sampled: its walkers, exchanges between slots, measurements and the hash of its state.

One round is a non-reversible even-odd exchange between slots, then every update of the list on every walker. What a
chain does depends on the ensemble and the chain's number only: walkers carry their own random streams, exchanges are
decided by a counter hash that every rank computes alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.chainfile import ChainState
from hpcrg.comm import Comm
from hpcrg.ensemble import Ensemble
from hpcrg.ladder import swap
from hpcrg.measuring import Measurement, Measuring
from hpcrg.observables import initial
from hpcrg.rng import Purpose, generator, id_words, key_of, states
from hpcrg.rounds import make_energy, make_rounds
from hpcrg.updates import UPDATES


@dataclass(frozen=True)
class Kernels:
    """The compiled parts of one ensemble."""

    ensemble: Ensemble

    @cached_property
    def rounds(self) -> tuple[Callable[..., None], tuple[str, ...]]:
        """Any number of rounds, and the names of the series they leave."""
        e = self.ensemble
        steps = [(UPDATES[u.type].build(e.system, e.slots, e.copies), u.repeat) for u in e.updates]
        return make_rounds(e.system, e.layout, steps)

    @cached_property
    def energies(self) -> Callable[..., None]:
        """Energies of walkers, for exchanges between ranks."""
        return make_energy(self.ensemble.system, self.ensemble.layout)

    @cached_property
    def measuring(self) -> Measuring:
        """What is measured of walkers."""
        return Measuring(self.ensemble)


def start_state(ensemble: Ensemble, chain: int, walkers: range) -> ChainState:
    """The state before the first round: even lines (copies of chains in order) start at random, odd ones fully ordered,
    so that those which still remember their start disagree."""
    e, words = ensemble, (*id_words(ensemble.id), chain)
    disorder = e.system.disorder(generator(e.seed, Purpose.DISORDER, *words))
    rows, length = e.layout.rng(len(walkers))
    first = walkers.start if e.layout.divisible else 0
    spins = []
    for w in walkers:
        kind = "random" if (chain * e.copies + w // e.slots) % 2 == 0 else "ordered"
        own = states(e.seed, Purpose.INITIAL, 1, *words, w)
        spins.append(initial(e.system, kind, own, disorder.vacant))
    rng = np.array([states(e.seed, Purpose.WALKER, length // 4, *words, first + r) for r in range(rows)])
    slot_of = np.tile(np.arange(e.slots), (e.copies, 1))
    zero = np.zeros((e.copies, e.slots), np.int64)
    block = e.layout.pack(np.array(spins))
    return ChainState(0, slot_of, block, rng, zero, zero.copy(), {}, disorder.couplings, zero.copy())


@dataclass
class Running:
    """One chain while it is being sampled by this rank, which holds `walkers` of it."""

    kernels: Kernels
    key: np.uint64
    comm: Comm
    walkers: range
    state: ChainState

    def __post_init__(self) -> None:
        e, n = self.kernels.ensemble, len(self.walkers)
        self.tables = e.layout.prepare(self.state.couplings)
        self.info = np.zeros((n, max(1, len(self.kernels.rounds[1]))))
        self.energy = np.empty(n, e.system.energy_dtype)
        self.ladder = np.array(e.betas)
        if self.state.round == 0:
            self.state.hashes[0] = self.hash()

    def advance(self, count: int = 1) -> None:
        """`count` rounds, in place. Where walkers are divided over ranks, exchanges are made here, round by round; the
        numbers are the same."""
        whole = len(self.walkers) == self.kernels.ensemble.walkers
        if whole or not self.kernels.ensemble.exchange:
            self._rounds(count, whole)
        else:
            for _ in range(count):
                self._exchange()
                self._rounds(1, whole)
        if self.state.round & (self.state.round - 1) == 0:
            self.state.hashes[self.state.round] = self.hash()

    def _rounds(self, count: int, whole: bool) -> None:
        s, e = self.state, self.kernels.ensemble
        mine = slice(self.walkers.start, self.walkers.stop)
        slot_of = s.slot_of if whole else s.slot_of.reshape(1, -1)[:, mine].copy()
        self.kernels.rounds[0](
            s.block, s.rng, *self.tables, self.ladder, slot_of, self.key, s.round + 1, count, e.exchange and whole,
            self.energy, self.info, s.attempted, s.accepted, s.turns,
        )  # fmt: skip
        s.round += count

    def _exchange(self) -> None:
        s, e = self.state, self.kernels.ensemble
        self.kernels.energies(s.block, *self.tables, self.energy)
        energies = self.comm.allgather(self.energy, e.walkers)
        s.slot_of, tried, accepted, s.turns = swap(self.key, s.round + 1, s.slot_of, energies, self.ladder, s.turns)
        s.attempted, s.accepted = s.attempted + tried, s.accepted + accepted

    def hash(self) -> int:
        """The state hash. Collective."""
        return state_hash(
            self.state, self.kernels.ensemble.layout.unpack(self.state.block, len(self.walkers)), self.comm
        )

    def measure(self) -> Measurement:
        """A measurement of the state as it is."""
        names = self.kernels.rounds[1]
        updates = {name: self.info[:, k].copy() for k, name in enumerate(names)}
        return self.kernels.measuring.measure(
            self.state.block, self.tables, self.state.slot_of, updates, len(self.walkers)
        )  # fmt: skip

    def spins(self) -> NDArray[Any]:
        """The configurations of this rank's walkers [walker, ...]."""
        e = self.kernels.ensemble
        spins: NDArray[Any] = e.layout.unpack(self.state.block, len(self.walkers))
        if not e.layout.by_slot:
            return spins
        lanes = (np.arange(e.copies)[:, None] * e.slots + self.state.slot_of).ravel()
        return np.asarray(spins[lanes])

    def forget_exchanges(self) -> None:
        """Start counting exchanges anew."""
        self.state.attempted, self.state.accepted = (
            np.zeros_like(self.state.attempted),
            np.zeros_like(self.state.accepted),
        )


def start(kernels: Kernels, chain: int, comm: Comm, walkers: range, purpose: Purpose = Purpose.EXCHANGE) -> Running:
    """A chain before its first round."""
    e = kernels.ensemble
    key = key_of(e.seed, purpose, *id_words(e.id), chain)
    return Running(kernels, key, comm, walkers, start_state(e, chain, walkers))


def state_hash(state: ChainState, spins: NDArray[Any], comm: Comm) -> int:
    """64 bits of the sha256 of all walkers' configurations, random states and slots, and of the couplings; `spins` are
    those of this rank. What a layout keeps beside the spins is scratch and not looked at."""
    local = [hashlib.sha256(s.tobytes()).digest() for s in spins]
    rows = np.array([np.frombuffer(d, np.uint8) for d in local], np.uint8).reshape(-1, 32)
    streams = comm.gather(state.rng)
    digests = comm.allgather(rows, state.slot_of.size)
    random = comm.bcast(streams and hashlib.sha256(np.concatenate(streams).tobytes()).digest())
    whole = digests.tobytes() + random + state.slot_of.astype("<i8").tobytes() + state.couplings.tobytes()
    return int.from_bytes(hashlib.sha256(whole).digest()[:8], "little")
