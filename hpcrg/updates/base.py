"""What an update is: a name, a version, what it can serve, and how to build its sweep for a system.

A sweep is a compiled part, sweep(block, betas[walker], rng[row, word], neighbours, couplings, info[walker, series]):
one sweep of every walker at its own beta, in place. Walkers do not feel each other, nor how many there are, unless
their layout says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported
from hpcrg.exponential import decay
from hpcrg.jit import kernel, part
from hpcrg.layout import Layout, plain
from hpcrg.rng import fraction
from hpcrg.system import System

Sweep = Callable[..., None]
T = TypeVar("T")


@dataclass(frozen=True)
class Update:
    """A sweep for one system: its layout, its compiled part and the series that it leaves."""

    layout: Layout
    sweep: Sweep
    series: tuple[str, ...]


@dataclass(frozen=True)
class UpdateType:
    """An update. `check(system, slots, copies)` raises Unsupported with the reason that physics gives. `ergodic` says
    whether it reaches every configuration of a system by itself. `version` rises with every change of the numbers that
    its kernels make."""

    name: str
    version: int
    check: Callable[[System, int, int], None]
    make: Callable[[System, int, int], Sweep]
    series: Callable[[System, int, int], tuple[str, ...]]
    layout: Callable[[System, int, int], Layout] = lambda system, slots, copies: plain(system)
    ergodic: Callable[[System], bool] = lambda system: True

    def build(self, system: System, slots: int = 1, copies: int = 1) -> Update:
        """The sweep with its layout. Raises Unsupported."""
        self.check(system, slots, copies)
        asked = system, slots, copies
        return Update(self.layout(*asked), self.make(*asked), self.series(*asked))


def by_system(function: Callable[[System], T]) -> Callable[[System, int, int], T]:
    """What depends on the system alone, whatever the ladder."""
    return lambda system, slots, copies: function(system)


def serves_all(system: System, slots: int, copies: int) -> None:
    """Nothing to refuse."""


def signature(layout: Layout) -> str:
    """The types of a sweep's arguments."""
    return f"void({layout.block}, float64[::1], uint64[:,::1], int32[:,::1], {layout.couplings}, float64[:,::1])"


def compiled(update: Update) -> Callable[..., None]:
    """One sweep as a function that Python can call."""
    sweep = update.sweep

    @kernel(signature(update.layout))
    def one(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        sweep(block, betas, rng, neighbours, couplings, info)

    return one


def needs_clusters(update: str) -> Callable[[System, int, int], None]:
    """The check of a cluster update."""

    def check(system: System, slots: int, copies: int) -> None:
        physics = system.physics
        if physics.mirror is None and not physics.three_spins:
            why = "its energy is not a sum over pairs that a reflection leaves alone"
            raise Unsupported(f"{update}: expected a model with cluster moves, found {system.model.name}: {why}")

    return check


@part
def chances(beta: float, table: NDArray[np.uint64], lowest: int) -> None:
    """min(1, exp(-beta E)) for E = lowest, lowest + 1, ..., in units of 2^-53; compare with the upper 53
    bits."""
    for k in range(table.size):
        table[k] = np.uint64(min(1.0, np.exp(-beta * (lowest + k))) * 9007199254740992.0)


@part
def bond_chances(beta: float, table: NDArray[np.uint64]) -> None:
    """1 - exp(-beta gap) for gap = 0, 1, ..., in units of 2^-53."""
    for k in range(table.size):
        table[k] = np.uint64(-np.expm1(-beta * k) * 9007199254740992.0)


def make_decide(system: System) -> Any:
    """decide(word, change, beta, table): whether 64 random bits accept an energy change; `table` holds `chances` from
    -local_span on where energies are integers."""
    if system.integer:
        highest = np.int64(system.local_span)

        @part
        def by_table(word, change, beta, table):  # type: ignore[no-untyped-def]
            return (word >> np.uint64(11)) < table[np.uint64(change + highest)]

        return by_table

    @part
    def by_factor(word, change, beta, table):  # type: ignore[no-untyped-def]
        return (change <= 0.0) | (fraction(word) < decay(beta * max(change, 0.0)))

    return by_factor


def make_lay(system: System) -> Any:
    """lay(word, gap, beta, table): whether 64 random bits lay a bond of this gap; `table` holds `bond_chances` where
    gaps are integers."""
    if gap_levels(system) > 1:

        @part
        def by_table(word, gap, beta, table):  # type: ignore[no-untyped-def]
            return (word >> np.uint64(11)) < table[np.uint64(gap)]

        return by_table

    @part
    def by_factor(word, gap, beta, table):  # type: ignore[no-untyped-def]
        return (gap > 0.0) & (fraction(word) >= decay(beta * gap))

    return by_factor


def gap_levels(system: System) -> int:
    """The length of a table of `bond_chances`; 1 where gaps are not integers."""
    return 1 if system.coupling == "real" else system.physics.gap_span + 1
