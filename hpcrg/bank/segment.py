"""Segments: one chain over a run of rounds, written once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hpcrg.bank.hdf5 import creating
from hpcrg.bank.schema import FILTERS, chunk_shape, columns
from hpcrg.ensemble import Ensemble
from hpcrg.files import sha256


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
    directory: Path, ensemble: Ensemble, chain: int, start: int,
    spins: NDArray[Any], series: Mapping[str, NDArray[Any]],
) -> Segment:  # fmt: skip
    """Write one segment whole or not at all: stored spins (slot, draw, ...) and series (slot, measurement, ...), with
    an axis of copies in front where there is more than one."""
    table = columns(ensemble)
    several = {name for name, c in table.items() if c.kind != "slot"} | {"spins"} if ensemble.copies > 1 else set()
    draws = spins.shape[1 + (ensemble.copies > 1)]
    name = f"draws-{start:09d}-{start + draws:09d}.h5"
    with creating(directory / name, sealed=False) as file:
        file.attrs.update({"id": ensemble.id, "chain": chain, "start": start, "draws": draws})
        for key, values in {"spins": spins, **series}.items():
            row = 1 + (key in several)
            tail = chunk_shape(values.shape[row + 1 :], values.shape[row], values.dtype.itemsize)
            chunks = (*(1,) * (row - 1), *tail)
            file.create_dataset(key, data=values, chunks=chunks, shuffle=key != "spins", **FILTERS)
    return Segment(name, start, draws, sha256(directory / name))
