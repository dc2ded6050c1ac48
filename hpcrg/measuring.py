"""Measuring the walkers of a chain: everything that the observables registry has for its system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.ensemble import Ensemble
from hpcrg.observables import Observable, observables_of
from hpcrg.rounds import make_extra, make_look

Tables = tuple[NDArray[np.int32], NDArray[Any]]


@dataclass(frozen=True)
class Measurement:
    """What is measured after a round: series by walker of this rank [walker, ...], series of whole slots [slot, ...],
    and every walker's slot [copy, walker]."""

    slot_of: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]
    of_slots: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Measuring:
    """See the module."""

    ensemble: Ensemble

    @cached_property
    def look(self) -> Any:
        """Energy, order parameter and structure factor."""
        return make_look(self.ensemble.system, self.ensemble.layout)

    @cached_property
    def extras(self) -> list[tuple[Observable, Any]]:
        """The extra observables of the system, compiled."""
        e = self.ensemble
        return [(o, make_extra(e.system, e.layout, o)) for o in observables_of(e.system, e.copies)]

    @cached_property
    def shape(self) -> NDArray[np.int64]:
        """The shape of the lattice, as kernels want it."""
        return np.array(self.ensemble.geometry.shape, np.int64)

    def measure(
        self,
        block: NDArray[Any],
        tables: Tables,
        slot_of: NDArray[np.int64],
        updates: Mapping[str, NDArray[Any]],
        n: int,
    ) -> Measurement:
        """One measurement of n walkers; `updates` are the series that the updates of the last round left, by walker."""
        e = self.ensemble
        energy, structure = np.empty(n, e.system.energy_dtype), np.empty(n)
        order = np.empty((n, e.physics.components), e.physics.order_dtype)
        self.look(block, *tables, self.shape, e.physics.structure_scale, energy, order, structure)
        values = {"energy": energy, "order": order, "structure": structure, **updates}
        of_slots: dict[str, NDArray[Any]] = {}
        for observable, extra in self.extras:
            rows = e.slots if observable.between_copies else n
            out = np.empty((rows, observable.components))
            extra(block, *tables, slot_of, out)
            (of_slots if observable.between_copies else values)[observable.name] = out
        if e.layout.by_slot:
            lanes = (np.arange(e.copies)[:, None] * e.slots + slot_of).ravel()
            values = {name: rows[lanes] for name, rows in values.items()}
        return Measurement(slot_of.copy(), values, of_slots)
