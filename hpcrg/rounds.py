"""Rounds: an exchange between slots, then every update of the list; any number of them in one compiled call.

Walkers keep their identity. Where the layout moves labels, `slot_of[copy, walker]` says which slot a walker is in and
its beta follows; where it moves states, lane j of a copy is slot j and `slot_of` still says where each walker went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hpcrg.jit import kernel, part
from hpcrg.ladder import count_turns, exchange_pairs
from hpcrg.layout import Layout
from hpcrg.observables import Observable
from hpcrg.system import System
from hpcrg.updates.base import Update

Steps = Sequence[tuple[Update, int]]
"""The updates of a round, and how often each runs."""


def _nothing() -> Any:
    @part
    def nothing(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        return

    return nothing


def make_updates(steps: Steps) -> tuple[Any, tuple[str, ...]]:
    """updates(block, betas, rng, neighbours, couplings, info): every update of a round; and the names of its series,
    one column of `info` each (a name given twice stands where it was last filled)."""
    chain = _nothing()
    series: list[str] = []
    for update, repeat in steps:
        chain = _after(chain, update.sweep, repeat, len(series), len(series) + len(update.series))
        series += update.series
    return chain, tuple(series)


def _after(before: Any, sweep: Any, repeat: int, first: int, last: int) -> Any:
    @part
    def both(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        before(block, betas, rng, neighbours, couplings, info)
        for _ in range(repeat):
            sweep(block, betas, rng, neighbours, couplings, info[:, first:last])

    return both


def make_exchange(layout: Layout) -> Any:
    """exchange(block, neighbours, couplings, energy, key, turn, ladder, slot_of, attempted, accepted)."""
    energies = layout.make_energies()
    if layout.make_exchange is None:

        @part
        def labels(block, neighbours, couplings, energy, key, turn, ladder, slot_of, attempted, accepted):  # type: ignore[no-untyped-def]
            energies(block, neighbours, couplings, energy)
            exchange_pairs(key, turn, energy, ladder, slot_of, False, attempted, accepted)

        return labels
    swap = layout.make_exchange()

    @part
    def states(block, neighbours, couplings, energy, key, turn, ladder, slot_of, attempted, accepted):  # type: ignore[no-untyped-def]
        energies(block, neighbours, couplings, energy)
        swapped = np.zeros(energy.size, np.uint8)
        before = accepted.copy()
        exchange_pairs(key, turn, energy, ladder, slot_of, True, attempted, accepted)
        for copy in range(slot_of.shape[0]):
            for p in range(slot_of.shape[1]):
                swapped[copy * slot_of.shape[1] + p] = np.uint8(accepted[copy, p] - before[copy, p])
        swap(block, swapped)

    return states


def make_rounds(system: System, layout: Layout, steps: Steps) -> tuple[Callable[..., None], tuple[str, ...]]:
    """rounds(block, betas, rng, neighbours, couplings, ladder, slot_of, key, turn, count, exchanging, energy, info,
    attempted, accepted, turns): `count` rounds, the first being round `turn`, and the names of the columns of
    info[walker, column]."""
    updates, series = make_updates(steps)
    exchange = make_exchange(layout)
    by_slot = layout.by_slot
    energy = "int64[::1]" if system.integer else "float64[::1]"

    @kernel(
        f"void({layout.block}, uint64[:,::1], int32[:,::1], {layout.couplings}, float64[::1], int64[:,::1], "
        f"uint64, int64, int64, boolean, {energy}, float64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1])"
    )  # fmt: skip
    def rounds(  # type: ignore[no-untyped-def]
        block, rng, neighbours, couplings, ladder, slot_of, key, turn, count, exchanging, energy, info, attempted,
        accepted, turns
    ):  # fmt: skip
        copies, slots = slot_of.shape
        betas = np.empty(copies * slots)
        for t in range(turn, turn + count):
            if exchanging:
                exchange(block, neighbours, couplings, energy, key, t, ladder, slot_of, attempted, accepted)
                count_turns(slot_of, turns)
            for copy in range(copies):
                for j in range(slots):
                    betas[copy * slots + j] = ladder[j if by_slot else slot_of[copy, j]]
            updates(block, betas, rng, neighbours, couplings, info)

    return rounds, series


def make_look(system: System, layout: Layout) -> Callable[..., None]:
    """measure(block, neighbours, couplings, shape, scale, energy, order, structure), compiled."""
    measure = layout.make_measure()
    energy = "int64[::1]" if system.integer else "float64[::1]"
    order = "int64[:,::1]" if system.model.order_dtype == np.int64 else "float64[:,::1]"

    @kernel(
        f"void({layout.block}, int32[:,::1], {layout.couplings}, int64[::1], float64, {energy}, {order}, float64[::1])",
    )
    def look(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        measure(block, neighbours, couplings, shape, scale, energy, order, structure)

    return look


def make_extra(system: System, layout: Layout, observable: Observable) -> Callable[..., None]:
    """extra(block, neighbours, couplings, slot_of, out) of one observable, compiled."""
    make = layout.extras.get(observable.name)
    part_ = observable.make(system) if make is None else make()

    @kernel(
        f"void({layout.block}, int32[:,::1], {layout.couplings}, int64[:,::1], float64[:,::1])",
    )
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        part_(block, neighbours, couplings, slot_of, out)

    return extra


def make_energy(system: System, layout: Layout) -> Callable[..., None]:
    """energies(block, neighbours, couplings, energy), compiled."""
    energies = layout.make_energies()
    energy = "int64[::1]" if system.integer else "float64[::1]"

    @kernel(f"void({layout.block}, int32[:,::1], {layout.couplings}, {energy})")
    def all_energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
        energies(block, neighbours, couplings, energy)

    return all_energies
