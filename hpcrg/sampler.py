"""The sampling loop: chains of walkers on a ladder, identical on any number of ranks.

One round is a non-reversible even-odd exchange between slots, then every update of the list on every walker. What a
chain does depends on the ensemble and the chain's number only: walkers carry their own random streams, exchanges are
decided by a counter hash that every rank computes alike. Whole chains are divided over ranks first, the walkers of a
chain only when there are more ranks than chains and their layout allows it.

The checkpoint is the commit record: a segment file counts once the checkpoint that names it has been written.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.segment import Segment, write_segment
from hpcrg.bank.write import assemble
from hpcrg.chainfile import ChainFile, ChainState
from hpcrg.comm import Alone, Comm, share
from hpcrg.ensemble import Ensemble
from hpcrg.errors import Interrupted
from hpcrg.ladder import swap
from hpcrg.measuring import Measurement, Measuring
from hpcrg.observables import initial
from hpcrg.rng import Purpose, generator, id_words, key_of, states
from hpcrg.rounds import make_energy, make_rounds
from hpcrg.segmentbuffer import Buffer
from hpcrg.updates import UPDATES

THERMALISATION_STRIDE = 64
Progress = Callable[[int, int, int], None]
"""Called with chain, rounds done and rounds in all."""


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


def _next_stop(e: Ensemble, done: int, boundary: int) -> int:
    """The round up to which nothing has to be looked at: the next power of two, measurement or boundary."""
    power = 1 << done.bit_length()
    since = done - e.thermalise
    look = e.thermalise + (since // e.measure + 1) * e.measure if since >= 0 else boundary
    return min(boundary, power, look)


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


@dataclass(frozen=True)
class Limits:
    """When to commit and when to stop. A chain is committed at the first draw after `interval` seconds, so a kill loses
    that and at most the rounds between two draws; `stop` says that a signal or the time limit asks for the end, and is
    heard when any rank of a group hears it (signals must reach every group)."""

    interval: float = 30.0
    stop: Callable[[], bool] = lambda: False


def sample_chain(kernels: Kernels, chain: int, directory: Path, comm: Comm, limits: Limits, progress: Progress) -> None:
    """Bring one chain to the ensemble's draws, from its checkpoint if there is one.

    Raises Interrupted after a commit when `limits.stop` says so, CorruptFile when the checkpoint is altered.
    """
    e = kernels.ensemble
    walkers = share(e.walkers, comm.size, comm.rank)
    record = ChainFile(directory, e.id, chain)
    state, segments = record.resume(e, comm, walkers) or (start_state(e, chain, walkers), [])
    running = Running(kernels, key_of(e.seed, Purpose.EXCHANGE, *id_words(e.id), chain), comm, walkers, state)
    buffer, committed, done = Buffer(e, len(walkers)), time.monotonic(), sum(s.draws for s in segments)
    for boundary in _boundaries(e, state.round):
        _run_to(boundary, running, buffer)
        full = buffer.draws == buffer.capacity or boundary == e.rounds
        asked = bool(comm.allgather(np.array([limits.stop()], np.int64), comm.size).any())
        late = comm.bcast(time.monotonic() - committed > limits.interval)
        progress(chain, state.round, e.rounds)
        if full or late or asked:
            segments = _commit(record, state, segments, buffer, done, comm)
            done += buffer.draws
            buffer.clear()
            committed = time.monotonic()
        if asked and boundary < e.rounds:
            raise Interrupted(f"{e.label}: chain {chain} stopped at round {state.round} of {e.rounds}; "
                              "the same command goes on from there")  # fmt: skip


def _boundaries(e: Ensemble, done: int) -> Iterator[int]:
    """Rounds at which a chain may be committed: strides of the thermalisation, then every draw."""
    for boundary in [*range(THERMALISATION_STRIDE, e.thermalise, THERMALISATION_STRIDE), e.thermalise]:
        if boundary > done:
            yield boundary
    yield from range(max(e.thermalise, done) + e.keep, e.rounds + 1, e.keep)


def _run_to(boundary: int, running: Running, buffer: Buffer) -> None:
    e, state = running.kernels.ensemble, running.state
    while state.round < boundary:
        running.advance(_next_stop(e, state.round, boundary) - state.round)
        since = state.round - e.thermalise
        if since > 0 and since % e.measure == 0:
            buffer.measurement(running.measure(), state)
        if since <= 0 or since % e.measure == 0:
            running.forget_exchanges()
        if since > 0 and since % e.keep == 0:
            buffer.draw(running.spins())


def _commit(
    record: ChainFile, state: ChainState, segments: list[Segment], buffer: Buffer, done: int, comm: Comm
) -> list[Segment]:
    rows = buffer.by_slot(comm) if buffer.draws else None
    if rows is not None:
        segments = [*segments, write_segment(record.directory, buffer.ensemble, record.chain, done, *rows)]
    segments = comm.bcast(segments)
    record.save(state, segments, comm)
    return segments


def sample(ensemble: Ensemble, output: Path, state: Path, comm: Comm, limits: Limits, progress: Progress) -> None:
    """Sample every chain of an ensemble and assemble its bank at `output`. Segments and checkpoints live under
    `state`; a bank refers to them. Collective over `comm`."""
    e = ensemble
    kernels = _compile_once(e, comm)
    groups = min(comm.size, e.chains)
    # Ranks beyond the chains share the walkers of a chain, or rest where a chain cannot be divided.
    mine = comm.rank * groups // comm.size if e.layout.divisible else min(comm.rank, e.chains)
    group = comm.split(mine)
    problem: Interrupted | None = None
    for chain in range(mine, e.chains, groups):
        try:
            sample_chain(kernels, chain, chain_directory(state, e, chain), group, limits, progress)
        except Interrupted as stopped:
            problem = stopped
            break
    stopped_somewhere = any(comm.bcast(comm.gather(problem is not None)) or [])
    if stopped_somewhere:
        raise problem or Interrupted(f"{e.label}: other ranks stopped; the same command goes on from there")
    if comm.rank == 0:
        records = [ChainFile(chain_directory(state, e, c), e.id, c) for c in range(e.chains)]
        contents = [r.contents() for r in records]
        hashes = {r: [c.hashes[r] for c in contents] for r in contents[0].hashes if r <= e.rounds}
        couplings = [c.arrays["couplings"] for c in contents]
        assemble(output, e, [r.directory for r in records], [c.segments for c in contents], hashes, couplings)
    comm.bcast(None)


def chain_directory(state: Path, ensemble: Ensemble, chain: int) -> Path:
    """Where one chain of an ensemble keeps its segments and checkpoint."""
    return state / ensemble.id / f"chain-{chain:04d}"


def _compile_once(ensemble: Ensemble, comm: Comm) -> Kernels:
    """The kernels, compiled on rank 0 first: the other ranks then load its work from the cache and none races."""
    simple = ensemble.layout.name == "plain" and ensemble.geometry.kind == "hypercubic"
    tiny = Kernels(replace(ensemble, size=4, chains=1) if simple else ensemble)
    if comm.rank == 0:
        _first_round(tiny)
    comm.bcast(None)
    if comm.rank != 0:
        _first_round(tiny)
    return Kernels(ensemble)


def _first_round(kernels: Kernels) -> None:
    running = start(kernels, 0, Alone(), range(kernels.ensemble.walkers))
    running.advance()
    running.measure()


def replay(ensemble: Ensemble, chain: int, rounds: int) -> dict[int, int]:
    """State hashes of the first rounds of a chain, recomputed on this one rank."""
    running = start(Kernels(ensemble), chain, Alone(), range(ensemble.walkers))
    while running.state.round < rounds:
        running.advance(min(rounds, 1 << running.state.round.bit_length()) - running.state.round)
    return running.state.hashes
