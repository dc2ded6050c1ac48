"""Series files: per-draw numbers that a network (or any other method) makes from a bank's draws.

Schema `hpcrg.series/1`: one group a lattice size with arrays [seed, chain, slot, draw], checksummed like a bank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.hdf5 import checked, creating, opened, reading
from hpcrg.bank.schema import FILTERS
from hpcrg.bank.write import attribute_digest
from hpcrg.errors import CorruptFile, InputError, other_schema

SCHEMA = "hpcrg.series/1"


@dataclass(frozen=True)
class SeriesBlock:
    """The numbers of one ensemble. `values` are [seed, chain, slot, draw], NaN where a seed did not hold the chain
    out; `held_out` is [seed, chain]; `temperatures` are [slot], coldest first."""

    label: str
    size: int
    ensemble_id: str
    model: Mapping[str, Any]
    dimension: int
    temperatures: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    held_out: NDArray[np.bool_]
    attrs: Mapping[str, Any] = field(default_factory=dict)


def write_series(path: Path, blocks: Sequence[SeriesBlock]) -> None:
    """Write the blocks, whole or not at all."""
    with creating(path) as file:
        file.attrs["schema"] = SCHEMA
        for block in blocks:
            _write_block(file.create_group(block.label), block)


def _write_block(group: h5py.Group, block: SeriesBlock) -> None:
    attributes: dict[str, Any] = {
        "size": block.size, "ensemble_id": block.ensemble_id, "model": json.dumps(dict(block.model)),
        "dimension": block.dimension, "attrs": json.dumps(dict(block.attrs)),
    }  # fmt: skip
    group.attrs.update(attributes | {"digest": attribute_digest(attributes)})
    checked(group, "temperature", block.temperatures)
    checked(group, "held_out", block.held_out)
    for name, values in block.values.items():
        group.create_dataset(f"values/{name}", data=values, chunks=(1, 1, *values.shape[2:]), shuffle=True, **FILTERS)


def read_series(path: Path) -> list[SeriesBlock]:
    """All blocks, by size. Raises InputError for another file and CorruptFile for a failed checksum."""
    with reading(path, "series"), opened(path) as file:
        if file.attrs.get("schema") != SCHEMA:
            raise InputError(other_schema(path, SCHEMA, file.attrs.get("schema")))
        return sorted((_read_block(path, name, group) for name, group in file.items()), key=lambda b: b.size)


def _read_block(path: Path, name: str, group: h5py.Group) -> SeriesBlock:
    a = dict(group.attrs)
    if "digest" in a and a["digest"] != attribute_digest(a):  # files of older versions have none
        raise CorruptFile(f"{path}: {name}: expected attributes that fit their digest, found altered ones")
    return SeriesBlock(
        name, int(a["size"]), str(a["ensemble_id"]), json.loads(a["model"]), int(a["dimension"]),
        group["temperature"][()], {k: v[()] for k, v in group["values"].items()}, group["held_out"][()],
        json.loads(a["attrs"]),
    )  # fmt: skip
