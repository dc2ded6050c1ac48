"""What hpcrg does in each row of the speed table, as a campaign would ask for it.

A timing is one compiled call that makes many sweeps; with tempering it is the sampling loop itself, an exchange before
every sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers import EQUILIBRATE, LADDER, T_C, T_XY, Timing, Work, direct

from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.jit import kernel
from hpcrg.running import Kernels, Running, start
from hpcrg.updates import UPDATES

GLASS: dict[str, Any] = {
    "model": {"type": "edwards_anderson", "couplings": "pm1"}, "dimension": 3, "betas": tuple(1 / LADDER),
    "copies": 2, "tempering": True,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One row: `update` on `model` at `betas`, coldest first, with an exchange in every sweep where there is tempering.
    `per_cluster` counts the spins that moved instead of all."""

    name: str
    size: int
    code: str
    update: str
    model: dict[str, Any] = field(default_factory=lambda: {"type": "ising"})
    dimension: int = 2
    betas: tuple[float, ...] = (1 / T_C,)
    copies: int = 1
    tempering: bool = False
    per_cluster: bool = False

    def chain(self) -> Running:
        """The chain in this process. Raises Unsupported, InputError or KeyError for what hpcrg does not do."""
        update, lattice = UPDATES[self.update], {"type": "hypercubic", "dimension": self.dimension}
        ensemble = Ensemble(
            "bench", self.size, self.model, lattice, self.betas, (UpdateCall(update.name),), self.tempering, 1, 0, 1, 1,
            1, 1, self.copies,
        )  # fmt: skip
        update.check(ensemble.system, ensemble.slots, ensemble.copies)
        return start(Kernels(ensemble), 0, Alone(), range(ensemble.walkers))

    def timing(self) -> Timing:
        """CPU nanoseconds per spin."""
        return direct(tempering(self) if self.tempering else at_one_beta(self))


def cases() -> Iterator[Case]:
    """Every row of hpcrg."""
    for size in (64, 256, 1024):
        yield Case("ising_metropolis", size, "hpcrg generic", "metropolis")
        yield multispin("ising_metropolis", size)
        yield Case("ising_swendsen_wang", size, "hpcrg generic", "swendsen_wang")
        yield Case("ising_swendsen_wang", size, "hpcrg packed", "packed_swendsen_wang")
        yield Case("ising_wolff", size, "hpcrg generic", "wolff", per_cluster=True)
    for size in (8, 16):
        yield Case("ea_tempering", size, "hpcrg generic", "metropolis", **GLASS)
        yield Case("ea_tempering", size, "hpcrg multi-spin", "multispin", **GLASS)
    for update in ("swendsen_wang", "wolff", "metropolis"):
        yield Case(
            f"xy_{update}",
            64,
            "hpcrg generic",
            update,
            {"type": "xy"},
            betas=(1 / T_XY,),
            per_cluster=update == "wolff",
        )


def multispin(name: str, size: int) -> Case:
    """64 walkers a word up to L = 64, 64 sites of one walker a word beyond."""
    walkers = {"betas": (1 / T_C,) * 32, "copies": 2} if size <= 64 else {}
    return Case(name, size, "hpcrg multi-spin", "multispin", **walkers)


def tempering(case: Case) -> Work:
    """Rounds of exchange and sweep, as `hpcrg sample` makes them."""
    running = case.chain()
    spins = running.state.slot_of.size * running.kernels.ensemble.system.volume

    def rounds(number: int) -> float:
        running.advance(number)
        return float(number * spins)

    rounds(EQUILIBRATE)
    return rounds


def at_one_beta(case: Case) -> Work:
    """Sweeps alone, from a configuration that Swendsen-Wang brought to equilibrium, the same in every walker."""
    warm = replace(case, update="swendsen_wang", betas=case.betas[:1], copies=1).chain()
    warm.advance(EQUILIBRATE)
    running = case.chain()
    ensemble = running.kernels.ensemble
    running.state.block = ensemble.layout.pack(np.repeat(warm.spins(), ensemble.walkers, axis=0))
    running.state.round = 1 << 40  # far from a power of two, where a state hash would be due
    many = repeated(running) if case.per_cluster else None

    def sweeps(number: int) -> float:
        if many is not None:
            return float(many(number)[:, 0].sum()) * ensemble.system.volume
        running.advance(number)
        return float(number * ensemble.walkers * ensemble.system.volume)

    return sweeps


def repeated(running: Running) -> Callable[[int], NDArray[np.float64]]:
    """many(n): n sweeps in one compiled call; the sums of their series [walker, series]."""
    e, state = running.kernels.ensemble, running.state
    name = e.updates[0].type
    update = UPDATES[name].build(e.system, e.slots, e.copies)
    sweep, layout, betas = update.sweep, update.layout, np.array(e.betas * e.copies)

    @kernel(
        f"void({layout.block}, float64[::1], uint64[:,::1], int32[:,::1], {layout.couplings}, float64[:,::1], "
        "float64[:,::1], int64)",
    )  # fmt: skip
    def sweeps(block, betas, rng, neighbours, couplings, info, total, count):  # type: ignore[no-untyped-def]
        for _ in range(count):
            sweep(block, betas, rng, neighbours, couplings, info)
            total += info

    def many(number: int) -> NDArray[np.float64]:
        total = np.zeros((e.walkers, max(1, len(update.series))))
        sweeps(state.block, betas, state.rng, *running.tables, np.zeros_like(total), total, number)
        return total

    return many
