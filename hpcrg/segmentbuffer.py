"""The running segment of a chain: measurements and draws of this rank's walkers, until they are committed by slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.schema import columns, encode, stored_shape
from hpcrg.bank.write import update_series
from hpcrg.chainfile import ChainState
from hpcrg.comm import Comm
from hpcrg.ensemble import Ensemble

SEGMENT_BYTES = 64 << 20
SEGMENT_MEASUREMENTS = 1 << 15


@dataclass(frozen=True)
class Measurement:
    """What one round leaves, for this rank's walkers, plus every walker's slot."""

    slot_of: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]


class Buffer:
    """Measurements and draws of the running segment: this rank's walkers, [walker, row, ...]."""

    def __init__(self, ensemble: Ensemble, walkers: int) -> None:
        e, self.per_draw = ensemble, ensemble.keep // ensemble.measure
        stored = int(np.prod(stored_shape(e.physics, e.geometry), dtype=np.int64))
        by_memory = SEGMENT_BYTES // max(1, stored * e.slots)
        self.capacity = max(1, min(by_memory, SEGMENT_MEASUREMENTS // self.per_draw))
        rows = self.capacity * self.per_draw
        table = columns(e.physics, update_series(e))
        sampled = [k for k in table if k not in ("walker", "exchange_attempted", "exchange_accepted")]
        self.ensemble, self.measured, self.draws = e, 0, 0
        self.series = {
            k: np.empty((walkers, rows, *((table[k].component,) if k == "order" else ())), table[k].dtype)
            for k in sampled
        }
        self.slot_of = np.empty((rows, e.slots), np.int64)
        self.attempted, self.accepted = np.empty((2, e.slots, rows), np.uint16)
        kind = np.uint8 if e.physics.states == 2 else np.int8
        self.spins = np.empty((walkers, self.capacity, *stored_shape(e.physics, e.geometry)), kind)

    def measurement(self, done: Measurement, state: ChainState) -> None:
        """Append one measurement and start counting exchanges anew."""
        i = self.measured
        for name, rows in self.series.items():
            rows[:, i] = done.values[name]
        self.slot_of[i] = done.slot_of
        self.attempted[:, i], self.accepted[:, i] = state.attempted, state.accepted
        self.measured += 1

    def draw(self, state: ChainState) -> None:
        """Append one configuration of every walker."""
        self.spins[:, self.draws] = encode(self.ensemble.physics, self.ensemble.geometry, state.spins)
        self.draws += 1

    def clear(self) -> None:
        """Start the next segment."""
        self.measured = self.draws = 0

    def by_slot(self, comm: Comm) -> tuple[NDArray[Any], dict[str, NDArray[Any]]] | None:
        """At rank 0, spins (slot, draw, ...) and series (slot, measurement, ...) of all walkers; None elsewhere."""
        local = {k: v[:, : self.measured] for k, v in self.series.items()} | {"spins": self.spins[:, : self.draws]}
        parts = comm.gather(local)
        if parts is None:
            return None
        slots = self.slot_of[: self.measured].T
        rows = {k: np.concatenate([p[k] for p in parts]) for k in local}
        spins = _reorder(rows.pop("spins"), slots[:, self.per_draw - 1 :: self.per_draw])
        series = {k: _reorder(v[..., 0] if v.ndim == 3 and v.shape[2] == 1 else v, slots) for k, v in rows.items()}
        walker = np.broadcast_to(np.arange(len(slots), dtype=np.uint16)[:, None], slots.shape)
        series["walker"] = _reorder(walker, slots)
        series["exchange_attempted"] = self.attempted[:, : self.measured]
        series["exchange_accepted"] = self.accepted[:, : self.measured]
        return spins, series


def _reorder(by_walker: NDArray[Any], slots: NDArray[np.int64]) -> NDArray[Any]:
    """[slot, row, ...] from [walker, row, ...] and the slot of every walker at every row."""
    out = np.empty_like(by_walker)
    out[slots, np.arange(slots.shape[1])[None, :]] = by_walker
    return out
