"""The Dask graph of every bank analysis: independent units, and in each unit a fold of tasks over chunks.

    unit = (chain, slot, start, stop)          one jackknife block of one chain at one rung
    acc_0 = step(initial, chunk 0),  acc_k = step(acc_{k-1}, chunk k),  result = acc_last

A chunk is a range of draws (or of measurements: the step decides what it reads). It is read inside the task
that uses it and is never a result, so at most (threads x one chunk) of spins is in memory however large the
bank is; what travels between tasks is the accumulator. Chunks are folded strictly in order, so a step that
adds draw after draw gives the same bits for every chunk size, number of workers and scheduler. Integer sums
do so by themselves; a step that adds floats must add them one at a time, in order, and not sum a chunk first.

Use:

    def add_energy(acc, bank, chain, slot, start, stop):            # module level, so that it can be sent
        return acc + bank.series("energy", chain, slot, start, stop).sum()

    units = partition(bank.chains, bank.slots, bank.measurements, blocks=4)
    graph, keys = fold(path, units, add_energy, 0, chunk=65536)
    sums = dask.threaded.get(graph, keys)                           # sums[i] belongs to units[i]

or in one call, in waves that bound the scheduler's memory too, on whatever runs graphs:

    sums = evaluate(path, units, add_energy, 0, chunk=65536, compute=compute_here)

The step gets its own deep copy of the accumulator and may change it in place. Parameters of a step are bound
with `functools.partial`, or the step is a frozen dataclass with `__call__`.
"""

from __future__ import annotations

import copy
import functools
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dask.local import get_sync

from hpcrg.bank import Bank, open_bank
from hpcrg.errors import InputError, expected

Key = tuple[str, int, int]
Graph = dict[Key, tuple[Any, ...]]
Compute = Callable[[Graph, list[Key]], list[Any]]
Accumulator = TypeVar("Accumulator")
Step = Callable[[Accumulator, Bank, int, int, int, int], Accumulator]
"""step(accumulator, bank, chain, slot, start, stop) -> accumulator"""
LONGEST_WAVE = 20_000  # tasks that a scheduler is given at once


class Unit(NamedTuple):
    """One independent piece of work: the range [start, stop) of one chain at one slot."""

    chain: int
    slot: int
    start: int
    stop: int


def block_ranges(length: int, blocks: int) -> list[tuple[int, int]]:
    """`blocks` equal consecutive ranges of `length` draws; the trailing remainder is dropped.

    Raises InputError when there are fewer draws than blocks.
    """
    size = length // blocks if blocks > 0 else 0
    if size < 1:
        raise InputError(expected("blocks", f"1 to {length} (the draws of a chain)", blocks))
    return [(b * size, (b + 1) * size) for b in range(blocks)]


def partition(chains: int, slots: int | Sequence[int], length: int, blocks: int) -> list[Unit]:
    """All units, block fastest, then slot, then chain: the jackknife block of a unit is chain * blocks + b.

    `slots` is a number of slots or the ones wanted; `length` the draws (or measurements) of a chain.
    """
    wanted = range(slots) if isinstance(slots, int) else slots
    ranges = block_ranges(length, blocks)
    return [Unit(chain, slot, a, b) for chain in range(chains) for slot in wanted for a, b in ranges]


def fold(
    bank_path: Path, units: Sequence[Unit], step: Step[Accumulator], initial: Accumulator, chunk: int
) -> tuple[Graph, list[Key]]:
    """The explicit graph, and the key of each unit's last accumulator, in the order of `units`.

    The path is made absolute: workers may run in another directory. Raises InputError for a chunk below 1 and for an
    empty unit.
    """
    if chunk < 1:
        raise InputError(expected("chunk", "at least 1 draw", chunk))
    name = f"{_name_of(step)}-{uuid.uuid4().hex}"
    graph: Graph = {}
    keys = []
    for i, unit in enumerate(units):
        if unit.stop <= unit.start:
            raise InputError(expected("unit", "at least 1 draw", tuple(unit)))
        before: Any = functools.partial(copy.deepcopy, initial)
        for k, start in enumerate(range(unit.start, unit.stop, chunk)):
            piece = unit._replace(start=start, stop=min(start + chunk, unit.stop))
            link = functools.partial(_link, step, str(bank_path.absolute()), piece)
            graph[name, i, k] = (link, before if k else (before,))
            before = (name, i, k)
        keys.append(before)
    return graph, keys


def evaluate(
    bank_path: Path,
    units: Sequence[Unit],
    step: Step[Accumulator],
    initial: Accumulator,
    chunk: int,
    compute: Compute,
) -> list[Accumulator]:
    """The fold of every unit, in the order of `units`, in waves of at most LONGEST_WAVE tasks."""
    results: list[Accumulator] = []
    for wave in _waves(units, chunk):
        results += compute(*fold(bank_path, wave, step, initial, chunk))
    return results


def compute_here(graph: Graph, keys: list[Key]) -> list[Any]:
    """Run a graph in this thread, task after task; `hpcrg.edges.dask` runs it elsewhere."""
    return list(get_sync(graph, keys))


def _link(step: Step[Any], bank_path: str, unit: Unit, accumulator: Any) -> Any:
    with open_bank(Path(bank_path)) as bank:
        return step(copy.deepcopy(accumulator), bank, *unit)


def _name_of(step: Any) -> str:
    inner = step.func if isinstance(step, functools.partial) else step
    return str(getattr(inner, "__name__", type(inner).__name__)).strip("_")


def _waves(units: Iterable[Unit], chunk: int) -> list[list[Unit]]:
    waves: list[list[Unit]] = []
    room = 0
    for unit in units:
        tasks = -(-(unit.stop - unit.start) // max(chunk, 1))
        if not waves or tasks > room:
            waves.append([])
            room = LONGEST_WAVE
        waves[-1].append(unit)
        room -= tasks
    return waves
