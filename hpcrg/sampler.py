"""The sampling loop: chains of walkers on a ladder, identical on any number of ranks.

One round is every update of the list on every walker, then one non-reversible even-odd exchange. What a chain does
depends on the ensemble and the chain's number only: walkers carry their own random streams, exchanges are decided by
a counter hash that every rank computes alike, and states stay where they are while slot labels move. Whole chains are
divided over ranks first, the walkers of a chain only when there are more ranks than chains.

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
from hpcrg.observables import build_measure, initial
from hpcrg.rng import Purpose, id_words, key_of, stream
from hpcrg.segmentbuffer import Buffer, Measurement
from hpcrg.updates import UPDATES, Sweep

THERMALISATION_STRIDE = 64
Progress = Callable[[int, int, int], None]
"""Called with chain, rounds done and rounds in all."""


@dataclass(frozen=True)
class Kernels:
    """The compiled parts of one ensemble."""

    ensemble: Ensemble

    @cached_property
    def sweeps(self) -> list[tuple[Sweep, int]]:
        """The updates of one round and how often each runs."""
        e = self.ensemble
        return [(UPDATES[u.type].build(e.physics, e.geometry), u.repeat) for u in e.updates]

    @cached_property
    def measure(self) -> Any:
        """Energy, order parameter and structure factor of walkers."""
        return build_measure(self.ensemble.physics, self.ensemble.geometry)

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """The neighbour table."""
        return self.ensemble.geometry.neighbours()


def start_state(ensemble: Ensemble, chain: int, walkers: range) -> ChainState:
    """The state before the first round: even chains start at random, odd chains fully ordered, so that chains which
    still remember their start disagree."""
    words = id_words(ensemble.id)
    kind = "random" if chain % 2 == 0 else "ordered"
    shape = (len(walkers), ensemble.geometry.volume)
    spins, rng = np.empty(shape, dtype=np.int8), np.empty((len(walkers), 4), dtype=np.uint64)
    for i, w in enumerate(walkers):
        first = stream(ensemble.seed, Purpose.INITIAL, *words, chain, w)
        spins[i] = initial(ensemble.physics, ensemble.geometry, kind, first)
        rng[i] = stream(ensemble.seed, Purpose.WALKER, *words, chain, w)
    zero = np.zeros(ensemble.slots, dtype=np.int64)
    return ChainState(0, np.arange(ensemble.slots), spins, rng, zero, zero.copy(), {})


def advance(kernels: Kernels, key: np.uint64, state: ChainState, comm: Comm, walkers: range) -> Measurement:
    """One round, in place. The measurement is of the state after the updates and before the exchange."""
    e = kernels.ensemble
    ladder = np.array(e.betas)
    betas = ladder[state.slot_of[walkers.start : walkers.stop]]
    values = _update(kernels, state, betas)
    n = len(walkers)
    energy, order = np.empty(n, np.int64), np.empty((n, e.physics.components), np.int64)
    structure = np.empty(n)
    kernels.measure(state.spins, kernels.neighbours, energy, order, structure)
    state.round += 1
    done = Measurement(state.slot_of, {"energy": energy, "order": order, "structure": structure, **values})
    if e.exchange:
        energies = comm.allgather(energy, e.slots)
        state.slot_of, tried, accepted = swap(key, state.round, state.slot_of, energies, ladder)
        state.attempted, state.accepted = state.attempted + tried, state.accepted + accepted
    if state.round & (state.round - 1) == 0:
        state.hashes[state.round] = state_hash(state, comm)
    return done


def _update(kernels: Kernels, state: ChainState, betas: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    values = {}
    for sweep, repeat in kernels.sweeps:
        info = np.empty((len(betas), len(sweep.series)))
        for _ in range(repeat):
            sweep.kernel(state.spins, betas, state.rng, kernels.neighbours, info)
        values.update({name: info[:, k] for k, name in enumerate(sweep.series)})
    return values


def state_hash(state: ChainState, comm: Comm) -> int:
    """64 bits of the sha256 of all walkers' configurations, random states and slots."""
    local = [hashlib.sha256(s.tobytes() + r.tobytes()).digest() for s, r in zip(state.spins, state.rng, strict=True)]
    digests = comm.allgather(
        np.array([np.frombuffer(d, np.uint8) for d in local], np.uint8).reshape(-1, 32), len(state.slot_of)
    )
    whole = hashlib.sha256(digests.tobytes() + state.slot_of.astype("<i8").tobytes()).digest()
    return int.from_bytes(whole[:8], "little")


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
    walkers = share(e.slots, comm.size, comm.rank)
    record = ChainFile(directory, e.id, chain)
    state, segments = record.resume(e, comm, walkers) or (start_state(e, chain, walkers), [])
    if state.round == 0:
        state.hashes[0] = state_hash(state, comm)
    key = key_of(e.seed, Purpose.EXCHANGE, *id_words(e.id), chain)
    buffer, committed, done = Buffer(e, len(walkers)), time.monotonic(), sum(s.draws for s in segments)
    for boundary in _boundaries(e, state.round):
        _run_to(boundary, kernels, key, state, comm, walkers, buffer)
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


def _run_to(
    boundary: int, kernels: Kernels, key: np.uint64, state: ChainState, comm: Comm, walkers: range, buffer: Buffer
) -> None:
    e = kernels.ensemble
    while state.round < boundary:
        done = advance(kernels, key, state, comm, walkers)
        since = state.round - e.thermalise
        if since > 0 and since % e.measure == 0:
            buffer.measurement(done, state)
        if since <= 0 or since % e.measure == 0:
            state.attempted, state.accepted = np.zeros_like(state.attempted), np.zeros_like(state.accepted)
        if since > 0 and since % e.keep == 0:
            buffer.draw(state)


def _commit(
    record: ChainFile, state: ChainState, segments: list[Segment], buffer: Buffer, done: int, comm: Comm
) -> list[Segment]:
    rows = buffer.by_slot(comm) if buffer.draws else None
    if rows is not None:
        segments = [*segments, write_segment(record.directory, record.id, record.chain, done, *rows)]
    segments = comm.bcast(segments)
    record.save(state, segments, comm)
    return segments


def sample(ensemble: Ensemble, output: Path, state: Path, comm: Comm, limits: Limits, progress: Progress) -> None:
    """Sample every chain of an ensemble and assemble its bank at `output`. Segments and checkpoints live under
    `state`; a bank refers to them. Collective over `comm`."""
    e = ensemble
    kernels = _compile_once(e, comm)
    groups = min(comm.size, e.chains)
    mine = comm.rank * groups // comm.size
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
        assemble(output, e, [r.directory for r in records], [c.segments for c in contents], hashes)
    comm.bcast(None)


def chain_directory(state: Path, ensemble: Ensemble, chain: int) -> Path:
    """Where one chain of an ensemble keeps its segments and checkpoint."""
    return state / ensemble.id / f"chain-{chain:04d}"


def _compile_once(ensemble: Ensemble, comm: Comm) -> Kernels:
    """The kernels, compiled on rank 0 first: the other ranks then load its work from the cache and none races."""
    tiny = Kernels(replace(ensemble, size=4, chains=1))
    if comm.rank == 0:
        _first_round(tiny)
    comm.bcast(None)
    if comm.rank != 0:
        _first_round(tiny)
    return Kernels(ensemble)


def _first_round(kernels: Kernels) -> None:
    walkers = range(kernels.ensemble.slots)
    advance(kernels, np.uint64(0), start_state(kernels.ensemble, 0, walkers), Alone(), walkers)


def replay(ensemble: Ensemble, chain: int, rounds: int) -> dict[int, int]:
    """State hashes of the first rounds of a chain, recomputed on this one rank."""
    walkers, comm = range(ensemble.slots), Alone()
    state, kernels = start_state(ensemble, chain, walkers), Kernels(ensemble)
    state.hashes[0] = state_hash(state, comm)
    key = key_of(ensemble.seed, Purpose.EXCHANGE, *id_words(ensemble.id), chain)
    for _ in range(rounds):
        advance(kernels, key, state, comm, walkers)
    return state.hashes
