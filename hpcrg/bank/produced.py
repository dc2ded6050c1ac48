"""Files of produced series, schema `hpcrg.produced/1`: the records of all chains, checksummed, valid netCDF-4."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.hdf5 import DAMAGE, checked, creating, opened, reading
from hpcrg.bank.schema import FILTERS
from hpcrg.errors import CorruptFile, InputError, expected, other_schema
from hpcrg.producing import Producer, Series, State

SCHEMA = "hpcrg.produced/1"
CHUNK_BYTES = 1 << 20
AXIS = np.bytes_("DIMENSION_SCALE")
"""What HDF5 writes on the names of axes; its own functions crash on damaged ones."""


@dataclass(frozen=True, eq=False)
class ProducedFile:
    """What stands in a file: its attributes, `arrays` [chain, ...] and `given` [pilot, ...]."""

    attributes: Mapping[str, Any]
    arrays: State
    given: State


def write_produced(path: Path, series: Series, arrays: State, given: State) -> None:
    """Write the records of a series, whole or not at all. Equal records give equal datasets and digests."""
    attributes = {
        "schema": SCHEMA, "id": series.id, "series": json.dumps(series.identity(), sort_keys=True), "seed": series.seed,
        "label": series.label, "chains": series.chains,
    }  # fmt: skip
    with creating(path) as file:
        file.attrs.update(attributes)
        _group(file, "chain", series.producer, arrays)
        if series.producer.pilot is not None:
            _group(file.create_group("given"), "pilot", series.producer.pilot[0], given)
        file.attrs["digest"] = digest(attributes, arrays, given)


def _group(group: h5py.Group, first: str, producer: Producer, arrays: State) -> None:
    """Arrays of one stage with an axis of its own for every name and length."""
    for name, values in sorted(arrays.items()):
        chunks = (1, *_chunk(values.shape[1:], values.dtype.itemsize))
        data = group.create_dataset(name, data=values, chunks=chunks, shuffle=True, **FILTERS)
        for k, axis in enumerate((first, *producer.axes[name])):
            if axis not in group:
                checked(group, axis, np.arange(values.shape[k]))
                group[axis].make_scale(axis)
            data.dims[k].attach_scale(group[axis])


def _chunk(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunks of whole last axes and at most CHUNK_BYTES."""
    out, room = [], max(1, CHUNK_BYTES // itemsize)
    for extent in reversed(shape):
        out.append(max(1, min(extent, room)))
        room = max(1, room // max(1, extent))
    return tuple(reversed(out))


def digest(attributes: Mapping[str, Any], arrays: State, given: State) -> str:
    """The sha256 of everything: attributes, and names, types, shapes and bytes of the arrays."""
    told = {k: str(v) for k, v in attributes.items() if k != "digest"}
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for stage in (arrays, given):
        for name, values in sorted(stage.items()):
            found.update(f"{name} {values.dtype.str} {values.shape}".encode())
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def is_produced(path: Path) -> bool:
    """Whether a file says that it holds produced series."""
    try:
        with opened(path) as file:
            return bool(file.attrs.get("schema") == SCHEMA)
    except DAMAGE:
        return False


def read_produced(path: Path) -> ProducedFile:
    """Read a file through its checksums. Raises InputError for another schema, CorruptFile for altered content."""
    with reading(path, "produced series"), opened(path) as file:
        if file.attrs.get("schema") != SCHEMA:
            raise InputError(other_schema(path, SCHEMA, file.attrs.get("schema")))
        attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in file.attrs.items()}
        given = _arrays(file["given"]) if "given" in file else {}
        found = ProducedFile(attributes, _arrays(file), given)
        _check(found)
    if digest(attributes, found.arrays, given) != attributes.get("digest"):
        raise CorruptFile(f"{path}: expected content that fits its digest, found other content")
    return found


def _check(found: ProducedFile) -> None:
    """Raises ValueError for a file without the attributes and the chains that it should have."""
    kinds = {"id": str, "series": str, "label": str, "seed": int, "chains": int}
    for key, kind in kinds.items():
        if not isinstance(found.attributes.get(key), kind):
            raise ValueError(expected(f"attribute {key}", kind.__name__, found.attributes.get(key)))
    chains = found.attributes["chains"]
    for name, values in found.arrays.items():
        if values.shape[:1] != (chains,) or values.dtype.kind not in "biuf":
            raise ValueError(expected(name, f"numbers of {chains} chains", f"{values.dtype} of shape {values.shape}"))


def _arrays(group: h5py.Group) -> dict[str, NDArray[Any]]:
    data = {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}
    return {name: item[()] for name, item in data.items() if item.attrs.get("CLASS") != AXIS}
