"""Segments: one chain over a run of rounds, written once and never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from hpcrg.bank.schema import FILTERS, chunk_shape
from hpcrg.files import replace, sha256


@dataclass(frozen=True)
class Segment:
    """A segment's place in its chain: draws [start, start + draws), its file name and its checksum."""

    name: str
    start: int
    draws: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def write_segment(
    directory: Path, ensemble_id: str, chain: int, start: int,
    spins: NDArray[Any], series: Mapping[str, NDArray[Any]],
) -> Segment:  # fmt: skip
    """Write one segment whole or not at all: stored spins (slot, draw, ...) and series (slot, measurement, ...)."""
    draws = spins.shape[1]
    name = f"draws-{start:09d}-{start + draws:09d}.h5"
    temporary = directory / f".{name}.{os.getpid()}.tmp"
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update({"id": ensemble_id, "chain": chain, "start": start, "draws": draws})
            for key, values in {"spins": spins, **series}.items():
                chunks = chunk_shape(values.shape[2:], values.shape[1], values.dtype.itemsize)
                file.create_dataset(key, data=values, chunks=chunks, shuffle=key != "spins", **FILTERS)
        digest = sha256(temporary)
        replace(temporary, directory / name)
    finally:
        temporary.unlink(missing_ok=True)
    return Segment(name, start, draws, digest)
