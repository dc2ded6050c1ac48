"""The sampling loop: chains of walkers on a ladder, identical on any number of ranks.

Whole chains are divided over ranks first, the walkers of a chain only when there are more ranks than chains and their
layout allows it.

The checkpoint is the commit record: a segment file counts once the checkpoint that names it has been written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from hpcrg.bank.segment import Segment, write_segment
from hpcrg.bank.write import assemble
from hpcrg.chainfile import ChainFile, ChainState
from hpcrg.comm import Alone, Comm, share
from hpcrg.ensemble import Ensemble
from hpcrg.errors import Interrupted
from hpcrg.jit import machine
from hpcrg.rng import Purpose, id_words, key_of
from hpcrg.running import Kernels, Running, start, start_state
from hpcrg.segmentbuffer import Buffer

THERMALISATION_STRIDE = 64
Progress = Callable[[int, int, int], None]
"""Called with chain, rounds done and rounds in all."""


def _next_stop(e: Ensemble, done: int, boundary: int) -> int:
    """The round up to which nothing has to be looked at: the next power of two, measurement or boundary."""
    power = 1 << done.bit_length()
    since = done - e.thermalise
    look = e.thermalise + (since // e.measure + 1) * e.measure if since >= 0 else boundary
    return min(boundary, power, look)


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
    fresh = partial(start_state, e, chain)
    state, segments = record.resume(e, comm, walkers, fresh) or (fresh(walkers), [])
    if (told := other_machines(e, list(dict.fromkeys([*state.machines, machine()])))) and comm.rank == 0:
        _warn(told)
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


def sample(ensemble: Ensemble, output: Path, state: Path, comm: Comm, limits: Limits, progress: Progress) -> list[str]:
    """Sample every chain of an ensemble and assemble its bank at `output`; the machines that have worked on it, at rank
    0. Segments and checkpoints live under `state`; a bank refers to them. Collective over `comm`."""
    e = ensemble
    kernels = _compile_once(e, comm)
    groups = min(comm.size, e.chains)
    # Ranks beyond the chains share the walkers of a chain; they rest where it cannot be divided, or not so far.
    working = min(comm.size, e.chains * e.walkers) if e.layout.divisible else groups
    mine = comm.rank * groups // working if comm.rank < working else e.chains
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
    machines: list[str] = []
    if comm.rank == 0:
        records = [ChainFile(chain_directory(state, e, c), e.id, c) for c in range(e.chains)]
        contents = [r.contents() for r in records]
        hashes = {r: [c.hashes[r] for c in contents] for r in contents[0].hashes if r <= e.rounds}
        couplings = [c.arrays["couplings"] for c in contents]
        machines = list(dict.fromkeys(m for c in contents for m in c.machines))
        assemble(output, e, [r.directory for r in records], [c.segments for c in contents], hashes, couplings)
    comm.bcast(None)
    return machines


def other_machines(ensemble: Ensemble, machines: Sequence[str]) -> str | None:
    """What there is to say of an ensemble that these machines have sampled; None where numbers cannot differ: the
    Boltzmann factors of integer energies stand in tables, others are rounded as the machine code does."""
    if ensemble.system.integer or len(machines) < 2:
        return None
    differ = "numbers may differ in the last bits from those of one machine"
    return f"{ensemble.label}: expected one machine, found {'; '.join(machines)}; {differ}"


@cache
def _warn(text: str) -> None:
    """Once a process, not once a chain."""
    logging.getLogger("hpcrg").warning("warning: %s", text)


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
