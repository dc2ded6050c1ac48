"""What stands in a bank: names, axes, types, packing, filters. The words MUST and MAY are in docs/format.md.

Axes are always in the order chain, slot, draw or measurement, lattice axes, component; axes of length one that a
model has no use for are left out. Two-state spins are packed eight to a byte along the last lattice axis, most
significant bit first, padded with zeros; a set bit is the state with the larger value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.ensemble import Ensemble
from hpcrg.lattice import Lattice
from hpcrg.models import Model
from hpcrg.observables import observables_of
from hpcrg.updates import UPDATES

SCHEMA = "hpcrg.bank/1"
CHUNK_BYTES = 256 * 1024
FILTERS: Mapping[str, Any] = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}


@dataclass(frozen=True)
class Column:
    """One series: its type, what its rows belong to ("walker", "slot" where copies are taken together, or "ladder" for
    the exchange's own), its extra axis by name and length if any, and what it is."""

    dtype: str
    kind: str = "walker"
    axis: str = ""
    length: int = 1
    long_name: str = ""

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape beyond the axis of measurements."""
        return (self.length,) if self.axis else ()


def columns(ensemble: Ensemble) -> dict[str, Column]:
    """Every series that the bank of this ensemble holds, by name."""
    e, model = ensemble, ensemble.physics
    energy, order = "i8" if e.system.integer else "f8", "i8" if model.order_dtype == np.int64 else "f8"
    component = "component" if model.components > 1 else ""
    table = {
        "energy": Column(energy, long_name="total energy, J = 1"),
        "order": Column(order, "walker", component, model.components, "raw order parameter, summed over sites"),
        "structure": Column("f8", long_name="squared order parameter at the smallest wave vectors, per site squared"),
        "walker": Column("u2", "ladder", long_name="walker in the slot"),
        "exchange_attempted": Column(
            "u2", "ladder", long_name="attempts to exchange slot and slot + 1 since the last measurement"
        ),
        "exchange_accepted": Column(
            "u2", "ladder", long_name="accepted exchanges of slot and slot + 1 since the last measurement"
        ),
    }
    if e.exchange:
        about = "turns of the walker in the slot, coldest end first; round trips are (turns - 1) // 2"
        table["turns"] = Column("u4", "ladder", long_name=about)
    for name in update_series(e):
        table[name] = Column("f8", long_name=f"{name.replace('_', ' ')} of the last update")
    for o in observables_of(e.system, e.copies):
        axis = f"{o.name}_component" if o.components > 1 else ""
        table[o.name] = Column("f8", "slot" if o.between_copies else "walker", axis, o.components, o.long_name)
    return table


def update_series(ensemble: Ensemble) -> tuple[str, ...]:
    """The series that the updates of this ensemble leave, each once; the last update that leaves one fills it."""
    e = ensemble
    names = [name for call in ensemble.updates for name in UPDATES[call.type].series(e.system, e.slots, e.copies)]
    return tuple(dict.fromkeys(names))


def packed(model: Model) -> bool:
    """Whether configurations are stored as bits; vacancies are a third state."""
    return model.states == 2 and model.physics.frozen is None


def stored_dtype(model: Model) -> np.dtype[Any]:
    """The type of a stored spin, or of eight of them; continuous spins are rounded to four bytes."""
    if model.spin_components:
        return np.dtype("<f4")
    return np.dtype(np.uint8 if packed(model) else np.int8)


def stored_shape(model: Model, lattice: Lattice) -> tuple[int, ...]:
    """The axes of one stored configuration."""
    shape = lattice.array_shape
    if model.spin_components > 1:
        return (*shape, model.spin_components)
    return (*shape[:-1], -(-shape[-1] // 8)) if packed(model) else shape


def axis_names(model: Model, lattice: Lattice) -> tuple[str, ...]:
    """The names of the stored axes; the last lattice axis counts bytes where spins are packed."""
    names = lattice.axes
    if model.spin_components > 1:
        return (*names, "spin_component")
    return (*names[:-1], f"{names[-1]}_byte") if packed(model) else names


def encode(model: Model, lattice: Lattice, spins: NDArray[Any]) -> NDArray[Any]:
    """Stored form of configurations [..., site] or [..., *lattice], or [..., component, site] of continuous spins."""
    if model.spin_components:
        n = model.spin_components
        last = np.moveaxis(spins.reshape(-1, n, lattice.volume), 1, 2).reshape(-1, *lattice.array_shape, n)
        return np.asarray(last[..., 0] if n == 1 else last, "<f4")
    shaped = spins.reshape(-1, *lattice.array_shape)
    if not packed(model):
        return shaped.astype(np.int8, copy=False)
    return np.packbits(model.codes(shaped).view(bool), axis=-1)


def decode(model: Model, lattice: Lattice, stored: NDArray[Any]) -> NDArray[Any]:
    """Configurations [draw, *lattice] ([draw, *lattice, component]) from their stored form."""
    if not packed(model):
        return stored
    return model.from_codes(np.unpackbits(stored, axis=-1, count=lattice.array_shape[-1]))


def chunk_shape(rest: tuple[int, ...], rows: int, itemsize: int) -> tuple[int, ...]:
    """Chunks of one slot and a run of rows of about CHUNK_BYTES."""
    row = itemsize * int(np.prod(rest, dtype=np.int64))
    return (1, max(1, min(rows, CHUNK_BYTES // max(1, row))), *rest)
