"""HDF5 files as everything here writes and reads them: whole or not at all, checksummed to the last header, and with
every failure of a damaged file turned into one error that names it.

What HDF5 does not checksum (its heaps) can crash it, so small files carry a seal, 78 bytes behind the end that HDF5
knows of: `hpcrg-sha256 `, the digest of all before it, and a line feed. It is looked at before HDF5 is.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from hpcrg.errors import CorruptFile, InputError
from hpcrg.files import naming, replace, sha256

VERSIONS = ("v110", "latest")
"""Readable from HDF5 1.10 on; earlier formats have no checksums on headers."""
DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
)
"""What h5py raises for files that are not what they were."""


SEAL = b"hpcrg-sha256 "
LENGTH = len(SEAL) + 64 + 1
SUPERBLOCK = b"\x89HDF\r\n\x1a\n"
CHECKSUMMED = (2, 3)
"""Versions of the superblock that say at byte 28 where the file ends."""


@contextmanager
def creating(path: Path, sealed: bool = True) -> Iterator[h5py.File]:
    """A new file, which takes its name, durable, when the block has ended well; large ones are better not sealed.
    Raises Unusable where there is no space or no permission."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _writing(temporary) as file:
                yield file
            if sealed:
                with temporary.open("ab") as end:
                    end.write(SEAL + sha256(temporary).encode() + b"\n")
            replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[h5py.File]:
    with path.open("w+b", buffering=0) as raw:
        sink = Sink(raw)
        try:
            with h5py.File(sink, "w", libver=VERSIONS) as file:
                yield file
        finally:
            if sink.failure is not None:
                raise sink.failure


class Sink:
    """A file that HDF5 can always write to: HDF5 crashes the process some time after a write that failed, so the first
    failure is kept here, and nothing more is written."""

    def __init__(self, raw: io.FileIO) -> None:
        self.failure: OSError | None = None
        self._raw = raw
        self.seek, self.tell, self.read, self.readinto = raw.seek, raw.tell, raw.read, raw.readinto

    def write(self, content: Any) -> int:
        """All of it."""
        left = memoryview(content).cast("B")
        size = len(left)
        with self._keeping():
            while left and self.failure is None:
                left = left[self._raw.write(left) :]
        return size

    def truncate(self, size: int) -> int:
        """As of a file."""
        with self._keeping():
            self._raw.truncate(size)
        return size

    def flush(self) -> None:
        """Nothing is held back."""

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error


def opened(path: Path) -> h5py.File:
    """A file for reading. HDF5 does not lock it: what has a name is never changed, and some file systems deny locks."""
    return h5py.File(path, "r", locking=False)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """What goes wrong inside is a CorruptFile of this path."""
    try:
        if path.is_file():
            check_seal(path)
        yield
    except InputError:
        raise
    except DAMAGE as error:
        raise CorruptFile(
            f"{path}: expected {what} that fits its checksums, found {error or type(error).__name__}"
        ) from error


def check_seal(path: Path) -> None:
    """Raises CorruptFile for a sealed file that is not what was sealed, and for one that neither has a seal nor ends
    where HDF5 says. Others without a seal pass."""
    told = path.stat()
    _check_seal(str(path), told.st_ino, told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=4096)
def _check_seal(path: str, inode: int, modified: int, size: int) -> None:
    with Path(path).open("rb") as file:
        if size < LENGTH:
            return
        file.seek(size - LENGTH)
        seal = file.read()
        if not seal.startswith(SEAL):
            _check_end(Path(path), file, size)
            return
        file.seek(0)
        digest, left = hashlib.sha256(), size - LENGTH
        while left and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    if seal != SEAL + digest.hexdigest().encode() + b"\n":
        raise CorruptFile(f"{path}: expected content that fits its seal, found other content")


def _check_end(path: Path, file: BinaryIO, size: int) -> None:
    """A seal that was cut or has something behind it leaves other bytes than HDF5 counts; damage before them is
    unchecked then, and can keep HDF5 busy for ever."""
    file.seek(0)
    head = file.read(len(SUPERBLOCK) + 28)
    if head.startswith(SUPERBLOCK) and head[8] in CHECKSUMMED:
        end = int.from_bytes(head[28:36], "little")
        if size != end:
            raise CorruptFile(f"{path}: expected a file of {end} bytes, or a seal behind them, found {size} bytes")


def checked(group: h5py.Group, name: str, data: Any) -> h5py.Dataset:
    """A dataset with a checksum; HDF5 has none for a scalar or an empty one."""
    protected: dict[str, Any] = {"chunks": True, "fletcher32": True} if getattr(data, "size", 0) else {}
    return group.create_dataset(name, data=data, **protected)
