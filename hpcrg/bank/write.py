"""The bank file: virtual datasets over segments, with named dimensions and coordinates; valid netCDF-4."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcrg.bank.hdf5 import checked, creating
from hpcrg.bank.schema import (
    FILTERS,
    SCHEMA,
    axis_names,
    chunk_shape,
    columns,
    encode,
    packed,
    stored_dtype,
    stored_shape,
)
from hpcrg.bank.segment import Segment
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError, expected


def assemble(
    path: Path, ensemble: Ensemble, directories: Sequence[Path], segments: Sequence[Sequence[Segment]],
    hashes: Mapping[int, Sequence[int]], couplings: Sequence[NDArray[Any]],
) -> None:  # fmt: skip
    """Write the bank of `ensemble.draws` draws over the chains' segments, whole or not at all.

    `directories[c]` and `segments[c]` belong to chain c; `hashes` maps a round to the state hash of every chain;
    `couplings` are those of every chain, stored where chains differ in them.
    Segments beyond `ensemble.draws` are left out. Sources are named relative to the bank, so that a results
    directory can be moved.
    """
    with creating(path) as file:
        _attributes(file, ensemble, directories, segments, path.parent)
        coordinates(file, ensemble, hashes)
        if ensemble.system.disordered:
            write_couplings(file, np.stack(couplings))
        _virtual(file, ensemble, directories, segments, path.parent)


def attribute_digest(attributes: Mapping[str, Any]) -> str:
    """The sha256 of the attributes, which HDF5 itself does not checksum."""
    text = json.dumps({k: str(v) for k, v in attributes.items() if k != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _attributes(
    file: h5py.File, ensemble: Ensemble, directories: Sequence[Path], segments: Sequence[Sequence[Segment]], base: Path
) -> None:  # fmt: skip
    manifest = [
        [s.as_json() | {"file": os.path.relpath(d / s.name, base)} for s in chain if s.start < ensemble.draws]
        for d, chain in zip(directories, segments, strict=True)
    ]
    attributes: dict[str, Any] = {
        "schema": SCHEMA, "id": ensemble.id, "ensemble": json.dumps(ensemble.identity(), sort_keys=True),
        "seed": ensemble.seed, "kernel_version": ensemble.version, "label": ensemble.label,
        "chains": ensemble.chains, "draws": ensemble.draws, "request": ensemble.request(),
        "segments": json.dumps(manifest),
        "packing": "bits, most significant first, along the last lattice axis, zero padded"
        if packed(ensemble.physics) else "none",
    }  # fmt: skip
    file.attrs.update(attributes | {"digest": attribute_digest(attributes)})


def _scale(file: h5py.File, name: str, values: NDArray[Any], long_name: str) -> None:
    data = checked(file, name, values)
    data.make_scale(name)
    data.attrs["long_name"] = long_name


def label(data: h5py.Dataset, names: Sequence[str]) -> None:
    """Name the axes of a dataset."""
    for axis, name in enumerate(names):
        data.dims[axis].attach_scale(data.file[name])


def coordinates(file: h5py.File, ensemble: Ensemble, hashes: Mapping[int, Sequence[int]]) -> None:
    """Write everything that names axes, the ladder, and the state hashes of every chain by round."""
    e = ensemble
    rounds = sorted(r for r in hashes if r <= e.rounds)
    _scale(file, "chain", np.arange(e.chains), "independent chain")
    _scale(file, "slot", np.arange(e.slots), "rung of the ladder, coldest first")
    _scale(file, "draw", e.thermalise + e.keep * (np.arange(e.draws) + 1), "round of the kept configuration")
    _scale(file, "measurement", e.thermalise + e.measure * (np.arange(e.measurements) + 1), "round of the measurement")
    if e.copies > 1:
        _scale(file, "copy", np.arange(e.copies), "configurations of one chain that share its disorder")
    for name, column in columns(e).items():
        if column.axis:
            _scale(file, column.axis, np.arange(column.length), f"component of {name}")
    shape = stored_shape(e.physics, e.geometry)
    for name, length in zip(axis_names(e.physics, e.geometry), shape, strict=True):
        _scale(file, name, np.arange(length), "stored lattice axis")
    _scale(file, "hashed_round", np.array(rounds, dtype=np.int64), "round of a state hash")
    for name, values in {"beta": np.array(e.betas), "temperature": e.temperatures}.items():
        checked(file, name, values)
        label(file[name], ["slot"])
    table = np.array([hashes[r] for r in rounds], dtype=np.uint64).reshape(len(rounds), e.chains)
    checked(file, "state_hash", table)
    label(file["state_hash"], ["hashed_round", "chain"])


def write_couplings(file: h5py.File, couplings: NDArray[Any]) -> None:
    """Write the couplings [chain, site, column of the neighbour table]."""
    _scale(file, "site", np.arange(couplings.shape[1]), "site in C order")
    _scale(file, "bond", np.arange(couplings.shape[2]), "column of the neighbour table")
    data = file.create_dataset("couplings", data=couplings, chunks=(1, *couplings.shape[1:]), **FILTERS)
    data.attrs["long_name"] = "coupling of the bond from a site, chain by chain"
    label(data, ["chain", "site", "bond"])


def datasets(ensemble: Ensemble) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], str, str]]:
    """Every sampled dataset: axis names, shape, type, long name."""
    e = ensemble
    table: dict[str, tuple[tuple[str, ...], tuple[int, ...], str, str]] = {}
    several: tuple[tuple[str, ...], tuple[int, ...]] = (("copy",), (e.copies,)) if e.copies > 1 else ((), ())
    names = ("chain", *several[0], "slot", "draw", *axis_names(e.physics, e.geometry))
    shape = (e.chains, *several[1], e.slots, e.draws, *stored_shape(e.physics, e.geometry))
    table["spins"] = (names, shape, stored_dtype(e.physics).str[1:], "kept configurations")
    for name, column in columns(e).items():
        copies = ((), ()) if column.kind == "slot" else several
        axes = ("chain", *copies[0], "slot", "measurement", *((column.axis,) if column.axis else ()))
        table[name] = (axes, (e.chains, *copies[1], e.slots, e.measurements, *column.rest), column.dtype,
                       column.long_name)  # fmt: skip
    return table


def _virtual(
    file: h5py.File, ensemble: Ensemble, directories: Sequence[Path], segments: Sequence[Sequence[Segment]], base: Path
) -> None:  # fmt: skip
    e = ensemble
    per_draw = e.keep // e.measure
    for name, (axes, shape, dtype, long_name) in datasets(e).items():
        layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
        step, row = 1 if name == "spins" else per_draw, axes.index("slot") + 1
        before = (slice(None),) * (row - 1)
        for c, chain in enumerate(segments):
            for s in chain:
                take = min(s.draws, e.draws - s.start)
                if take <= 0:
                    continue
                source = h5py.VirtualSource(
                    os.path.relpath(directories[c] / s.name, base), name,
                    shape=(*shape[1:row], s.draws * step, *shape[row + 1 :]), dtype=dtype,
                )  # fmt: skip
                rows = slice(s.start * step, (s.start + take) * step)
                layout[(c, *before, rows)] = source[(*before, slice(take * step))]
        data = file.create_virtual_dataset(name, layout)
        data.attrs["long_name"] = long_name
        label(data, axes)


def write_bank(path: Path, ensemble: Ensemble, spins: NDArray[np.int8], series: Mapping[str, NDArray[Any]]) -> None:
    """Write one stand-alone bank from arrays in memory: spins [chain, slot, draw, *lattice] and the series
    [chain, slot, measurement(, component)]. Series that are not given are left out. Raises InputError when a shape
    does not fit the ensemble."""
    stored = encode(ensemble.physics, ensemble.geometry, spins)
    table = datasets(ensemble)
    given = {"spins": stored.reshape(table["spins"][1]), **series}
    with creating(path) as file:
        none: list[list[Segment]] = [[] for _ in range(ensemble.chains)]
        _attributes(file, ensemble, [path.parent] * ensemble.chains, none, path.parent)
        coordinates(file, ensemble, {})
        for name, values in given.items():
            axes, shape, dtype, long_name = table[name]
            if values.shape != shape:
                raise InputError(expected(f"{path}: {name}", f"shape {shape}", values.shape))
            _solid(file, name, values.astype(dtype, copy=False), axes, long_name)


def _solid(file: h5py.File, name: str, values: NDArray[Any], axes: Sequence[str], long_name: str) -> None:
    row = axes.index("slot") + 1
    chunks = (*(1,) * (row - 1), *chunk_shape(values.shape[row + 1 :], values.shape[row], values.dtype.itemsize))
    data = file.create_dataset(name, data=values, chunks=chunks, shuffle=name != "spins", **FILTERS)
    data.attrs["long_name"] = long_name
    label(data, axes)
