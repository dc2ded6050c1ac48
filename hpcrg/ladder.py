"""Parallel tempering: the non-reversible even-odd exchange, and ladders of equal communication barrier.

Walkers keep their identity and exchange slots. In round t the pairs (p, p + 1) with p % 2 == t % 2 are
tried, which carries a walker ballistically along the ladder (Okabe et al., Chem. Phys. Lett. 335, 435
(2001); Syed et al., J. R. Stat. Soc. B 84, 321 (2022)). Slot 0 is the coldest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import expected
from hpcrg.jit import kernel, part
from hpcrg.rng import fraction, hash64

SIGNATURE = "void(uint64, int64, float64[::1], float64[::1], int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1])"
Table = NDArray[np.int64]
Exchange = tuple[Table, Table, Table, Table]


@part
def acceptance(beta_cold: float, beta_hot: float, energy_cold: float, energy_hot: float) -> float:
    """min(1, exp((beta_cold - beta_hot) (E_cold - E_hot)))."""
    return float(np.exp(min(0.0, (beta_cold - beta_hot) * (energy_cold - energy_hot))))


@part
def exchange_pairs(key, turn, energy, betas, slot_of, by_slot, attempted, accepted):  # type: ignore[no-untyped-def]
    """One exchange of round `turn` in every copy: moves the labels slot_of[copy, walker] and counts by lower slot.
    Energies are numbered copy * slots + walker, or + slot where `by_slot`."""
    copies, slots = slot_of.shape
    walker_at = np.empty(slots, np.int64)
    for copy in range(copies):
        for walker in range(slots):
            walker_at[slot_of[copy, walker]] = walker
        for p in range(turn % 2, slots - 1, 2):
            cold, hot = walker_at[p], walker_at[p + 1]
            low, high = (p, p + 1) if by_slot else (cold, hot)
            attempted[copy, p] += 1
            first = copy * slots
            chance = acceptance(betas[p], betas[p + 1], float(energy[first + low]), float(energy[first + high]))
            if fraction(hash64(key, turn, p, copy)) < chance:
                accepted[copy, p] += 1
                slot_of[copy, cold], slot_of[copy, hot] = p + 1, p


@part
def count_turns(slot_of, turns):  # type: ignore[no-untyped-def]
    """After an exchange: adds 1 to turns[copy, walker] where a walker stands at the end it is bound for, which is the
    coldest slot where the count is even and the hottest where it is odd."""
    copies, slots = slot_of.shape
    for copy in range(copies):
        for walker in range(slots):
            bound_for = (slots - 1) * (turns[copy, walker] % 2)
            turns[copy, walker] += np.int64(slot_of[copy, walker] == bound_for)


@cache
def make_exchange() -> Callable[..., None]:
    """The exchange of labels as a function that Python can call; compiled or loaded when first needed."""

    @kernel(SIGNATURE)
    def exchange(key, turn, energy, betas, slot_of, attempted, accepted, turns):  # type: ignore[no-untyped-def]
        exchange_pairs(key, turn, energy, betas, slot_of, False, attempted, accepted)
        count_turns(slot_of, turns)

    return exchange


def swap(
    key: np.uint64, turn: int, slot_of: NDArray[np.int64], energy: NDArray[np.float64] | NDArray[np.int64],
    betas: NDArray[np.float64], turns: NDArray[np.int64] | None = None,
) -> Exchange:  # fmt: skip
    """One exchange of round `turn` in one chain: the new slot of every walker int64[copy, walker]; for every slot p
    whether the pair (p, p + 1) was tried and was accepted (int64[copy, slot], 0 or 1; the last is always 0); and the
    turns of every walker (count_turns), from those before.

    `energy` is by walker, one copy after the other, `betas` by slot. A pure function: equal arguments give equal
    results on every rank. Raises ValueError unless there are as many walkers as slots in every copy.
    """
    if slot_of.ndim != 2 or len(energy) != slot_of.size or slot_of.shape[1] != len(betas):
        wanted = f"walkers (copy, {len(betas)}) and as many energies"
        raise ValueError(expected("swap", wanted, (slot_of.shape, len(energy))))
    after = np.array(slot_of, np.int64)
    attempted, accepted = np.zeros_like(after), np.zeros_like(after)
    numbers = np.array(energy, np.float64), np.array(betas, np.float64)
    turned = np.zeros_like(after) if turns is None else np.array(turns, np.int64)
    make_exchange()(np.uint64(key), turn, *numbers, after, attempted, accepted, turned)
    return after, attempted, accepted, turned


def trips_of(turns: Table) -> Table:
    """Complete round trips, coldest slot to hottest and back, of a walker that has turned so often (count_turns)."""
    return np.asarray(np.maximum(turns - 1, 0) // 2)


def round_trip_rate(rejection: NDArray[np.float64]) -> float:
    """The round trips a round that a ladder makes by non-reversible even-odd exchange, over all its walkers, if every
    energy is forgotten between two exchanges: 1 / (2 + 2 sum r / (1 - r)), with the rejection rates r[slots - 1] (Syed
    et al., theorem 1 and section 3.4). A round is one exchange, of the even or of the odd pairs; with every r = 0 each
    of S walkers needs 2 S rounds, which is a rate of 1/2. It tends to 1 / (2 + 2 Lambda) for many slots, and is 0 where
    a pair never exchanges."""
    with np.errstate(divide="ignore"):
        return float(1.0 / (2.0 + 2.0 * np.sum(rejection / (1.0 - rejection))))


def round_trips(walker_at_slot: NDArray[np.int64]) -> int:
    """Complete round trips, coldest slot to hottest and back, of all walkers together; [measurement, slot]. What turns
    between two measurements goes unseen: `count_turns` sees all."""
    slots = walker_at_slot.shape[1]
    heading_home: dict[int, bool] = {}
    trips = 0
    for coldest, hottest in zip(walker_at_slot[:, 0].tolist(), walker_at_slot[:, slots - 1].tolist(), strict=True):
        trips += heading_home.get(coldest, False)
        heading_home[coldest] = False
        if hottest in heading_home:
            heading_home[hottest] = True
    return trips


def barrier(rejection: NDArray[np.float64]) -> float:
    """The communication barrier Lambda: the sum of rejection rates of neighbouring pairs, rejection[slots -
    1]."""
    return float(np.sum(rejection))


def tune(betas: NDArray[np.float64], rejection: NDArray[np.float64], slots: int) -> NDArray[np.float64]:
    """A ladder of `slots` betas between the same ends, with equal barrier between neighbours. That is the ladder of
    constant acceptance too: the barrier of a pair is its rejection rate, so equal barriers are equal acceptances.

    `rejection` holds the measured rejection rates of the pairs of `betas`. Beta as a function of the
    cumulative barrier is a monotone cubic (Syed et al., section 5.4). Raises ValueError for a ladder that
    is not ordered coldest first.
    """
    from scipy.interpolate import PchipInterpolator  # half a second, and only tuning needs it

    if len(rejection) != len(betas) - 1 or np.any(np.diff(betas) >= 0):
        raise ValueError(expected("tune", "betas coldest first and a rejection rate for each pair", (betas, rejection)))
    steps = np.maximum(rejection, 1e-6)
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    tuned = PchipInterpolator(cumulative, betas)(np.linspace(0.0, cumulative[-1], slots))
    tuned[0], tuned[-1] = betas[0], betas[-1]
    return np.asarray(tuned, np.float64)
