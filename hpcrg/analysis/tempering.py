"""How well a ladder tempers: the communication barrier, round trips measured beside those that the ladder allows, and
what to change.

With the rejection rates r of neighbouring slots the barrier is Lambda = sum r, and walkers that forgot their energy
between two exchanges would make 1/(2 + 2 sum r/(1 - r)) round trips a round (hpcrg.ladder.round_trip_rate; Syed,
Bouchard-Cote, Deligiannidis and Doucet, J. R. Stat. Soc. B 84, 321 (2022)). What is measured of that is the
efficiency: a small one says that configurations do not change enough between exchanges, which no other ladder mends. A
large r at one place, or everywhere, is the ladder's own fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.bank import Bank
from hpcrg.ladder import barrier, round_trip_rate, round_trips, trips_of

EFFICIENT = 0.4
"""Measured over predicted round trips, below which configurations change too slowly."""
UNEVEN = 1.5
"""Largest over smallest rejection above which a ladder is worth tuning, if they differ by APART or more."""
APART = 0.1
REJECTING = 0.6
"""Mean rejection above which more temperatures pay."""
FEWEST_TRIPS = 20
"""Expected round trips, below which the measured number is not judged."""


@dataclass(frozen=True)
class Tempering:
    """`rejection` [slots - 1] over all chains; `trips` and the `rounds` in which they were counted, over all chains;
    `unseen` is 0, or every how many rounds the walkers were looked at where their turns are not in the bank."""

    temperatures: NDArray[np.float64]
    rejection: NDArray[np.float64]
    trips: int
    rounds: int
    unseen: int = 0

    @property
    def barrier(self) -> float:
        """Lambda."""
        return barrier(self.rejection)

    @property
    def measured(self) -> float:
        """Round trips a round and ladder; NaN without rounds."""
        return self.trips / self.rounds if self.rounds else math.nan

    @property
    def predicted(self) -> float:
        """The same if energies were forgotten between exchanges."""
        return round_trip_rate(self.rejection)

    @property
    def efficiency(self) -> float:
        """Measured over predicted; NaN where nothing was predicted."""
        return self.measured / self.predicted if self.predicted > 0 else math.nan

    @property
    def unevenness(self) -> float:
        """Largest rejection over smallest; infinite where one pair never refused."""
        least = float(self.rejection.min())
        return float(self.rejection.max()) / least if least > 0 else math.inf

    def advice(self) -> Iterator[str]:
        """What to change, the most pressing first; nothing where all is well."""
        worst, t = int(np.argmax(self.rejection)), self.temperatures
        place = f"between T = {t[worst]:.5g} and {t[worst + 1]:.5g} ({1 - self.rejection[worst]:.2f} accepted)"
        if self.unevenness > UNEVEN and float(np.ptp(self.rejection)) > APART:
            yield f"uneven ladder, worst {place}: let `ladder: tune` space it"
        if float(self.rejection.mean()) > REJECTING:
            wanted = max(math.ceil(2 * self.barrier) + 1, len(t) + 1)
            yield f"few exchanges accepted: about {wanted} temperatures (twice the barrier) instead of {len(t)}"
        expected = self.predicted * self.rounds
        if self.predicted > 0 and expected < FEWEST_TRIPS:
            yield f"short: the ladder allows {expected:.1f} round trips in {self.rounds} rounds, too few to judge them"
        elif self.efficiency < EFFICIENT and self.unseen <= 1:
            yield (f"configurations change too slowly for the ladder ({self.efficiency:.0%} of its round trips): "
                   "more sweeps between exchanges (repeat) or a faster update, not more temperatures")  # fmt: skip


def tempering(bank: Bank) -> Tempering | None:
    """What a bank says, over all chains; None for a single temperature or without exchanges."""
    if bank.slots < 2 or not bank.ensemble.exchange:
        return None
    rejection = 1.0 - exchange_acceptance(bank)
    rounds = bank.chains * (bank.measurements - 1) * bank.measure
    counted = "turns" in bank.series_names
    found = sum((_counted if counted else _looked_at)(bank, chain) for chain in range(bank.chains))
    return Tempering(bank.temperatures, rejection, found, rounds, 0 if counted else bank.measure)


def exchange_acceptance(bank: Bank) -> NDArray[np.float64]:
    """Accepted over attempted exchanges of slot p and p + 1, over all chains, shape (slots - 1,)."""
    tried, accepted = np.zeros(bank.slots), np.zeros(bank.slots)
    for chain in range(bank.chains):
        tried += bank.ladder("exchange_attempted", chain).sum(axis=1)
        accepted += bank.ladder("exchange_accepted", chain).sum(axis=1)
    return accepted[:-1] / np.maximum(tried[:-1], 1)


def _counted(bank: Bank, chain: int) -> int:
    """Round trips from the first measurement to the last, every one."""
    first, last = (
        bank.ladder("turns", chain, row, row + 1)[:, 0].astype(np.int64) for row in (0, bank.measurements - 1)
    )
    return int(trips_of(last).sum() - trips_of(first).sum())


def _looked_at(bank: Bank, chain: int) -> int:
    """Round trips as far as they show at measurements."""
    walker_at = bank.ladder("walker", chain).T
    return round_trips(walker_at.astype(np.int64))
