"""One stand-alone file from a bank and its segments."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from hpcrg.bank.hdf5 import checked, creating
from hpcrg.bank.read import Bank, open_bank
from hpcrg.bank.schema import FILTERS, chunk_shape
from hpcrg.bank.write import attribute_digest

PIECE_BYTES = 64 << 20


def export(path: Path, output: Path) -> None:
    """Copy a bank with its segments into one file, piece by piece. Raises CorruptFile when a piece cannot be read."""
    with open_bank(path) as bank, creating(output, sealed=False) as target:
        attributes = dict(bank.file.attrs) | {"segments": json.dumps([[] for _ in range(bank.chains)])}
        target.attrs.update(attributes | {"digest": attribute_digest(attributes)})
        for name in bank.file:
            _copy(bank, target, name)
        for name, data in bank.file.items():
            _attach(data, target, name)


def _copy(bank: Bank, target: h5py.File, name: str) -> None:
    data = bank.file[name]
    if data.is_virtual:
        _copy_rows(bank, target, name)
    else:
        checked(target, name, data[()])
        if data.is_scale:
            target[name].make_scale(name)
    target[name].attrs["long_name"] = data.attrs.get("long_name", "")


def _copy_rows(bank: Bank, target: h5py.File, name: str) -> None:
    data = bank.file[name]
    axis = 3 if bank.has_copies(name) else 2
    row = data.dtype.itemsize * int(np.prod(data.shape[axis + 1 :], dtype=np.int64))
    chunks = (*(1,) * (axis - 1), *chunk_shape(data.shape[axis + 1 :], data.shape[axis], data.dtype.itemsize))
    copied = target.create_dataset(name, data.shape, data.dtype, chunks=chunks, shuffle=name != "spins", **FILTERS)
    rows, copies = max(chunks[axis], PIECE_BYTES // max(1, row)), bank.ensemble.copies if axis == 3 else 1
    for ladder, slot in np.ndindex(bank.ensemble.chains * copies, bank.slots):
        place = (*divmod(ladder, copies), slot) if axis == 3 else (ladder, slot)
        for start in range(0, data.shape[axis], rows):
            stop = min(start + rows, data.shape[axis])
            copied[(*place, slice(start, stop))] = bank.stored(name, ladder, slot, start, stop)


def _attach(data: h5py.Dataset, target: h5py.File, name: str) -> None:
    for axis, dim in enumerate(data.dims):
        label = dim[0].name.removeprefix("/") if len(dim) else name
        if label != name:
            target[name].dims[axis].attach_scale(target[label])
