"""Reading banks: lazily, with every silent failure of the file format turned into an error.

HDF5 gives fill values, not an error, where the file behind a virtual dataset is missing or cannot be opened.
`open_bank` therefore checks that every segment is there, and rows are read from the segments themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcrg import ensemble as ensembles
from hpcrg.bank.hdf5 import check_seal, opened, reading
from hpcrg.bank.schema import SCHEMA, columns, decode
from hpcrg.bank.shapes import check_shapes, fits
from hpcrg.bank.write import attribute_digest, datasets
from hpcrg.ensemble import Ensemble
from hpcrg.errors import CorruptFile, InputError, expected, other_schema
from hpcrg.files import sha256
from hpcrg.lattice import Lattice
from hpcrg.models import Model

BY_COMPONENT = ("order", "overlap", "link_overlap", "overlap_structure")
NOT_SERIES = {"spins", "state_hash", "beta", "temperature", "couplings"}


@dataclass(frozen=True)
class Bank:
    """An open bank. Arrays are read when asked for; nothing else is kept in memory."""

    path: Path
    file: h5py.File
    ensemble: Ensemble

    @property
    def id(self) -> str:
        """The ensemble's id."""
        return str(self.file.attrs["id"])

    @property
    def label(self) -> str:
        """Group and size, such as scan-L16."""
        return self.ensemble.label

    @cached_property
    def model(self) -> Model:
        """The model."""
        return self.ensemble.physics

    @cached_property
    def lattice(self) -> Lattice:
        """The lattice."""
        return self.ensemble.geometry

    @property
    def betas(self) -> NDArray[np.float64]:
        """Inverse temperatures, coldest first, shape (slot,)."""
        return np.array(self.ensemble.betas)

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperatures, coldest first, shape (slot,)."""
        return self.ensemble.temperatures

    @property
    def chains(self) -> int:
        """Independent ladders: chains times copies; those of one chain follow each other and share its disorder."""
        return self.ensemble.chains * self.ensemble.copies

    @property
    def slots(self) -> int:
        """Temperatures."""
        return self.ensemble.slots

    @property
    def draws(self) -> int:
        """Configurations kept per chain and slot."""
        return self.ensemble.draws

    @property
    def measurements(self) -> int:
        """Measurements per chain and slot."""
        return self.ensemble.measurements

    @property
    def keep(self) -> int:
        """Rounds between draws."""
        return self.ensemble.keep

    @property
    def measure(self) -> int:
        """Rounds between measurements."""
        return self.ensemble.measure

    @cached_property
    def series_names(self) -> tuple[str, ...]:
        """Names of the series in this bank."""
        with reading(self.path, "a bank"):
            known = datasets(self.ensemble)
            return tuple(k for k in self.file if k in known and k not in NOT_SERIES)

    def couplings(self, chain: int) -> NDArray[Any]:
        """The couplings [site, column of the neighbour table] of one chain (not ladder). Raises InputError where all
        chains have the same."""
        if "couplings" not in self.file:
            raise InputError(expected(f"{self.path}: couplings", "a disordered model", self.model.name))
        with reading(self.path, "couplings"):
            return np.asarray(self.file["couplings"][chain])

    def spins(self, chain: int, slot: int, start: int, stop: int) -> NDArray[Any]:
        """Configurations [draw, *lattice] ([draw, *lattice, component] of vector spins) of one ladder and slot."""
        stored = self.stored("spins", chain, slot, start, min(stop, self.draws))
        return decode(self.model, self.lattice, stored)

    def series(self, name: str, chain: int, slot: int, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """One series, [measurement], or [measurement, component] for the order parameter."""
        values = self.stored(name, chain, slot, start, self.measurements if stop is None else stop)
        return values[:, None] if name == "order" and values.ndim == 1 else values

    def ladder(
        self, name: str, chain: int, start: int = 0, stop: int | None = None, slots: slice = slice(None)
    ) -> NDArray[Any]:
        """A series at all slots of one ladder, [slot, measurement], or [slot, measurement, component] for the order
        parameter and what is taken of pairs of copies; a file is opened once for all slots."""
        values = self.stored(name, chain, slots, start, self.measurements if stop is None else stop)
        return values[..., None] if name in BY_COMPONENT and values.ndim == 2 else values

    def at_draws(self, name: str, chain: int, slot: int, start: int, stop: int) -> NDArray[Any]:
        """A series at the kept draws [start, stop)."""
        step = self.keep // self.measure
        return self.series(name, chain, slot, start * step, stop * step)[step - 1 :: step]

    def has_copies(self, name: str) -> bool:
        """Whether a dataset has an axis of copies."""
        table = columns(self.ensemble)
        return self.ensemble.copies > 1 and (name == "spins" or (name in table and table[name].kind != "slot"))

    def state_hashes(self) -> dict[int, list[int]]:
        """State hash of every chain by round."""
        with reading(self.path, "state hashes"):
            table = zip(self.file["hashed_round"][()], self.file["state_hash"][()], strict=True)
            return {int(r): [int(v) for v in row] for r, row in table}

    @cached_property
    def segments(self) -> list[list[dict[str, Any]]]:
        """The segments behind the bank, chain by chain; empty lists for a stand-alone bank."""
        found: list[list[dict[str, Any]]] = json.loads(self.file.attrs["segments"])
        return found

    def stored(self, name: str, chain: int, slot: int | slice, start: int, stop: int) -> NDArray[Any]:
        """Rows of any sampled dataset as they are stored, of one slot or of a range of them. Raises InputError for an
        unknown name, CorruptFile for rows that cannot be read or do not fit their checksum."""
        if name not in self.series_names and name not in NOT_SERIES:
            raise InputError(expected(f"{self.path}: series", f"one of {', '.join(self.series_names)}", name,
                                      self.series_names))  # fmt: skip
        with reading(self.path, f"{name}, chain {chain}, slot {slot}, from {start} to {stop},"):
            return self._rows(name, chain, slot, start, stop)

    @cached_property
    def _opened(self) -> dict[str, Any]:
        return {}

    def _dataset(self, name: str) -> Any:
        """A dataset, opened once: one over thousands of segments takes HDF5 milliseconds."""
        if name not in self._opened:
            self._opened[name] = self.file[name]
        return self._opened[name]

    def _rows(self, name: str, chain: int, slot: int | slice, start: int, stop: int) -> NDArray[Any]:
        """Rows straight from the segments, each opened for its own part: a virtual dataset would give fill values
        where a segment cannot be opened."""
        data = self._dataset(name)
        place: tuple[int | slice, ...] = (slot,)
        axis = int(isinstance(slot, slice))
        if self.has_copies(name):
            chain, copy = divmod(chain, self.ensemble.copies)
            place = (copy, slot)
        if not data.is_virtual:
            return np.asarray(data[(chain, *place, slice(start, stop))])
        step, parts = 1 if name == "spins" else self.keep // self.measure, []
        for s in self.segments[chain]:
            first, last = s["start"] * step, (s["start"] + s["draws"]) * step
            if first < stop and last > start:
                with opened(self.path.parent / s["file"]) as file:
                    _belongs(file, self.id, chain, s["start"])
                    rows = slice(max(start, first) - first, min(stop, last) - first)
                    part = file[name]
                    shape = (*data.shape[1 : len(place) + 1], last - first, *data.shape[len(place) + 2 :])
                    fits(f"{s['file']}: {name}", part, shape, data.dtype)
                    parts.append(part[(*place, rows)])
        if parts:
            return np.concatenate(parts, axis)
        return np.empty((*(self.slots,) * axis, 0, *data.shape[len(place) + 2 :]), data.dtype)


def _belongs(segment: h5py.File, identifier: str, chain: int, start: int) -> None:
    found = tuple(segment.attrs.get(key) for key in ("id", "chain", "start"))
    if found != (identifier, chain, start):
        raise ValueError(expected(segment.filename, f"ensemble {identifier}, chain {chain}, draw {start}", found))


@dataclass(frozen=True)
class Headline:
    """What a bank holds: its id, the identity that the id hashes, chains and draws."""

    id: str
    identity: dict[str, Any]
    chains: int
    draws: int


def headline(path: Path) -> Headline:
    """What the attributes of a bank say; nothing behind them is looked at. Raises InputError and CorruptFile."""
    with _opened(path) as file, reading(path, "attributes"):
        a = file.attrs
        return Headline(str(a["id"]), json.loads(a["ensemble"]), int(a["chains"]), int(a["draws"]))


@contextmanager
def open_bank(path: Path | str) -> Iterator[Bank]:
    """Open a bank for reading. Raises InputError when it is not a bank, CorruptFile when its attributes or segments
    are not what it says."""
    path = Path(path)
    with _opened(path) as file:
        with reading(path, "attributes"):
            a = {key: str(file.attrs[key]) for key in ("request", "id", "kernel_version")}
            bank = Bank(path, file, ensembles.from_json(a["request"], a["id"], a["kernel_version"]))
            check_shapes(path, file, bank.ensemble)
            _segments_present(bank)
        yield bank


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file of a bank whose attributes fit their digest."""
    try:
        check_seal(path)
        file = opened(path)
    except OSError as error:
        raise InputError(f"{path}: expected an hpcrg bank, found {error}") from None
    with file:
        with reading(path, "attributes"):
            if file.attrs.get("schema") != SCHEMA:
                raise InputError(other_schema(path, SCHEMA, file.attrs.get("schema")))
            if file.attrs.get("digest") != attribute_digest(dict(file.attrs)):
                raise CorruptFile(f"{path}: expected attributes that fit their digest, found altered ones")
        yield file


def _segments_present(bank: Bank) -> None:
    for chain, segments in enumerate(bank.segments):
        reach = 0
        for s in segments:
            if not (bank.path.parent / s["file"]).is_file():
                raise CorruptFile(f"{bank.path}: expected the segment {s['file']}, found no such file")
            if s["start"] != reach:
                raise CorruptFile(expected(f"{bank.path}: chain {chain}: segment at draw", str(reach), s["start"]))
            reach += s["draws"]
        if segments and reach < bank.draws:
            raise CorruptFile(expected(f"{bank.path}: chain {chain}: draws", str(bank.draws), reach))


def check_integrity(path: Path) -> Iterator[str]:
    """Every fault found in a bank: segment checksums, and every chunk of a stand-alone bank read through its
    checksum."""
    with open_bank(path) as bank:
        for chain, segments in enumerate(bank.segments):
            for s in segments:
                if sha256(path.parent / s["file"]) != s["sha256"]:
                    yield f"{s['file']}: expected the sha256 written at sampling, found another (chain {chain})"
        for name in ("spins", *bank.series_names):
            for chain in range(bank.chains if bank.has_copies(name) else bank.ensemble.chains):
                for slot in range(bank.slots):
                    yield from _readable(bank, name, chain, slot)


def _readable(bank: Bank, name: str, chain: int, slot: int) -> Iterator[str]:
    length = bank.draws if name == "spins" else bank.measurements
    try:
        for start in range(0, length, 4096):
            bank.stored(name, chain, slot, start, min(start + 4096, length))
    except CorruptFile as error:
        yield str(error)
