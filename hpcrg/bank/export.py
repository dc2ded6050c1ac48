"""One stand-alone file from a bank and its segments."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from hpcrg.bank.hdf5 import creating, reading
from hpcrg.bank.read import Bank, open_bank
from hpcrg.bank.schema import FILTERS, chunk_shape
from hpcrg.bank.write import attribute_digest, coordinates, datasets, label, write_couplings

PIECE_BYTES = 64 << 20


def export(path: Path, output: Path) -> None:
    """Copy a bank with its segments into one file, piece by piece. Only numbers are taken from the bank: axes and names
    are those of its ensemble. Raises CorruptFile when a piece cannot be read."""
    with open_bank(path) as bank, creating(output, sealed=False) as target, reading(path, "a bank"):
        e = bank.ensemble
        attributes = dict(bank.file.attrs) | {"segments": json.dumps([[] for _ in range(e.chains)])}
        target.attrs.update(attributes | {"digest": attribute_digest(attributes)})
        coordinates(target, e, bank.state_hashes())
        if "couplings" in bank.file:
            write_couplings(target, np.stack([bank.couplings(chain) for chain in range(e.chains)]))
        for name, (axes, shape, dtype, long_name) in datasets(e).items():
            if name in bank.file:
                _copy(bank, target, name, shape, np.dtype(dtype))
                target[name].attrs["long_name"] = long_name
                label(target[name], axes)


def _copy(bank: Bank, target: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    axis = 3 if bank.has_copies(name) else 2
    row = dtype.itemsize * int(np.prod(shape[axis + 1 :], dtype=np.int64))
    chunks = (*(1,) * (axis - 1), *chunk_shape(shape[axis + 1 :], shape[axis], dtype.itemsize))
    copied = target.create_dataset(name, shape, dtype, chunks=chunks, shuffle=name != "spins", **FILTERS)
    rows, copies = max(chunks[axis], PIECE_BYTES // max(1, row)), bank.ensemble.copies if axis == 3 else 1
    for ladder, slot in np.ndindex(bank.ensemble.chains * copies, bank.slots):
        place = (*divmod(ladder, copies), slot) if axis == 3 else (ladder, slot)
        for start in range(0, shape[axis], rows):
            stop = min(start + rows, shape[axis])
            copied[(*place, slice(start, stop))] = bank.stored(name, ladder, slot, start, stop)
