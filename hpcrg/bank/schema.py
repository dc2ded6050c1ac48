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

from hpcrg.lattice import Lattice
from hpcrg.models import Model

SCHEMA = "hpcrg.bank/1"
CHUNK_BYTES = 256 * 1024
FILTERS: Mapping[str, Any] = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}
LATTICE_AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


@dataclass(frozen=True)
class Column:
    """One series: its type, its extra axis if any, and what it is."""

    dtype: str
    component: int = 1
    long_name: str = ""


def columns(model: Model, update_series: tuple[str, ...]) -> dict[str, Column]:
    """Every series that the bank of this model with these updates holds, by name."""
    table = {
        "energy": Column("i8", 1, "total energy, J = 1"),
        "order": Column("i8", model.components, "raw order parameter, summed over sites"),
        "structure": Column("f8", 1, "squared order parameter at the smallest wave vectors, per site squared"),
        "walker": Column("u2", 1, "walker in the slot"),
        "exchange_attempted": Column("u2", 1, "attempts to exchange slot and slot + 1 since the last measurement"),
        "exchange_accepted": Column("u2", 1, "accepted exchanges of slot and slot + 1 since the last measurement"),
    }
    return table | {name: Column("f8", 1, f"{name.replace('_', ' ')} of the last update") for name in update_series}


def packed(model: Model) -> bool:
    """Whether configurations are stored as bits."""
    return model.states == 2


def stored_shape(model: Model, lattice: Lattice) -> tuple[int, ...]:
    """The lattice axes of one stored configuration."""
    if not packed(model):
        return lattice.shape
    return (*lattice.shape[:-1], -(-lattice.shape[-1] // 8))


def axis_names(model: Model, lattice: Lattice) -> tuple[str, ...]:
    """The names of the stored lattice axes; the last one counts bytes where spins are packed."""
    names = LATTICE_AXES[lattice.dimension]
    return (*names[:-1], f"{names[-1]}_byte") if packed(model) else names


def encode(model: Model, lattice: Lattice, spins: NDArray[np.int8]) -> NDArray[Any]:
    """Stored form of configurations [..., site] or [..., *lattice]."""
    shaped = spins.reshape(-1, *lattice.shape)
    if not packed(model):
        return shaped.astype(np.int8, copy=False)
    return np.packbits(model.codes(shaped).astype(bool), axis=-1)


def decode(model: Model, lattice: Lattice, stored: NDArray[Any]) -> NDArray[np.int8]:
    """Configurations [draw, *lattice] from their stored form."""
    if not packed(model):
        return stored.astype(np.int8, copy=False)
    bits = np.unpackbits(stored, axis=-1, count=lattice.shape[-1])
    return model.from_codes(bits)


def chunk_shape(rest: tuple[int, ...], rows: int, itemsize: int) -> tuple[int, ...]:
    """Chunks of one slot and a run of rows of about CHUNK_BYTES."""
    row = itemsize * int(np.prod(rest, dtype=np.int64))
    return (1, max(1, min(rows, CHUNK_BYTES // max(1, row))), *rest)
