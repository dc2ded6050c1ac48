"""Whether the datasets of a bank are what its ensemble asks for: HDF5 gives what there is, of any type and shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcrg.bank.write import datasets
from hpcrg.ensemble import Ensemble
from hpcrg.errors import expected

_SOUND: set[tuple[str, int, int, int]] = set()
"""Banks that this process has looked at, by path, inode, time and size."""


def check_shapes(path: Path, file: h5py.File, ensemble: Ensemble) -> None:
    """Raises ValueError, KeyError or AttributeError for a bank with other datasets; once for each file."""
    told = path.stat()
    key = (str(path), told.st_ino, told.st_mtime_ns, told.st_size)
    if key in _SOUND:
        return
    for name, (_, shape, dtype, _) in datasets(ensemble).items():
        if name in file:
            fits(name, file[name], shape, np.dtype(dtype))
    hashed = file["hashed_round"]
    fits("hashed_round", hashed, (hashed.size,), np.dtype(np.int64))
    fits("state_hash", file["state_hash"], (hashed.size, ensemble.chains), np.dtype(np.uint64))
    if "couplings" in file:
        found = file["couplings"]
        fits("couplings", found, (ensemble.chains, ensemble.geometry.volume, *found.shape[2:]), found.dtype)
    _SOUND.add(key)


def fits(name: str, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises ValueError for anything but a dataset of this shape and type."""
    found = (data.shape, data.dtype) if isinstance(data, h5py.Dataset) else type(data).__name__
    if found != (shape, dtype):
        raise ValueError(expected(name, f"{dtype} of shape {shape}", found))
