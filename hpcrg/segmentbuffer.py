"""The running segment of a chain: measurements and draws of this rank's walkers, until they are committed by slot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.schema import columns, encode, stored_dtype, stored_shape
from hpcrg.chainfile import ChainState
from hpcrg.comm import Comm
from hpcrg.ensemble import Ensemble
from hpcrg.measuring import Measurement

SEGMENT_BYTES = 64 << 20
SEGMENT_MEASUREMENTS = 1 << 15


class Buffer:
    """Measurements and draws of the running segment: this rank's walkers, [walker, row, ...], and series of whole
    slots."""

    def __init__(self, ensemble: Ensemble, walkers: int) -> None:
        e, self.per_draw = ensemble, ensemble.keep // ensemble.measure
        stored = stored_shape(e.physics, e.geometry)
        by_memory = SEGMENT_BYTES // max(1, int(np.prod(stored, dtype=np.int64)) * e.walkers)
        self.capacity = max(1, min(by_memory, SEGMENT_MEASUREMENTS // self.per_draw))
        rows = self.capacity * self.per_draw
        self.ensemble, self.measured, self.draws = e, 0, 0
        table = columns(e)
        self.series, self.of_slots = (
            {name: np.empty((n, rows, *c.rest), c.dtype) for name, c in table.items() if c.kind == kind}
            for kind, n in (("walker", walkers), ("slot", e.slots))
        )
        self.slot_of, self.turns = np.empty((2, rows, e.copies, e.slots), np.int64)
        self.attempted, self.accepted = np.empty((2, rows, e.copies, e.slots), np.uint16)
        self.spins = np.empty((walkers, self.capacity, *stored), stored_dtype(e.physics))

    def measurement(self, done: Measurement, state: ChainState) -> None:
        """Append one measurement."""
        i = self.measured
        for store, found in ((self.series, done.values), (self.of_slots, done.of_slots)):
            for name, rows in store.items():
                rows[:, i] = found[name].reshape(rows[:, i].shape)
        self.slot_of[i], self.turns[i] = done.slot_of, state.turns
        self.attempted[i], self.accepted[i] = state.attempted, state.accepted
        self.measured += 1

    def draw(self, spins: NDArray[Any]) -> None:
        """Append one configuration of every walker."""
        self.spins[:, self.draws] = encode(self.ensemble.physics, self.ensemble.geometry, spins)
        self.draws += 1

    def clear(self) -> None:
        """Start the next segment."""
        self.measured = self.draws = 0

    def by_slot(self, comm: Comm) -> tuple[NDArray[Any], dict[str, NDArray[Any]]] | None:
        """At rank 0, spins (copy, slot, draw, ...) and series (copy, slot, measurement, ...) of all walkers, without
        the axis of copies where there is one, and series of whole slots (slot, measurement, ...); None elsewhere."""
        e, n = self.ensemble, self.measured
        local = {k: v[:, :n] for k, v in self.series.items()} | {"spins": self.spins[:, : self.draws]}
        parts = comm.gather(local)
        if parts is None:
            return None
        slots = np.moveaxis(self.slot_of[:n], 0, -1)  # copy, walker, row
        rows = {k: np.concatenate([p[k] for p in parts]) for k in local}
        rows = {k: v.reshape(e.copies, e.slots, *v.shape[1:]) for k, v in rows.items()}
        spins = _reorder(rows.pop("spins"), slots[..., self.per_draw - 1 :: self.per_draw])
        series = {k: _reorder(v, slots) for k, v in rows.items()}
        walker = np.broadcast_to(np.arange(e.slots, dtype=np.uint16)[None, :, None], slots.shape)
        series["walker"] = _reorder(walker, slots)
        if e.exchange:
            series["turns"] = _reorder(np.moveaxis(self.turns[:n], 0, -1).astype(np.uint32), slots)
        series["exchange_attempted"] = np.moveaxis(self.attempted[:n], 0, -1)
        series["exchange_accepted"] = np.moveaxis(self.accepted[:n], 0, -1)
        if e.copies == 1:
            spins, series = spins[0], {k: v[0] for k, v in series.items()}
        return spins, series | {k: v[:, :n] for k, v in self.of_slots.items()}


def _reorder(by_walker: NDArray[Any], slots: NDArray[np.int64]) -> NDArray[Any]:
    """[copy, slot, row, ...] from [copy, walker, row, ...] and the slot of every walker at every row."""
    out = np.empty_like(by_walker)
    copies, _, rows = slots.shape
    out[np.arange(copies)[:, None, None], slots, np.arange(rows)[None, None, :]] = by_walker
    return out
