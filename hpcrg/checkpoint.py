"""Checkpoints: one file that is there whole or not at all, and that knows when it has been altered.

A line `hpcrg.checkpoint/1 <sha256>` and then a NumPy archive of plain arrays; nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import CorruptFile, other_schema
from hpcrg.files import naming, write_atomically

SCHEMA = b"hpcrg.checkpoint/1"


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays, durable when this returns."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]  # NumPy types the names as booleans
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_atomically(path, SCHEMA + b" " + digest + b"\n" + payload)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays. Raises CorruptFile when a single bit differs from what was written, and for anything but arrays."""
    with naming(path):
        content = path.read_bytes()
    head, _, payload = content.partition(b"\n")
    schema, _, digest = head.partition(b" ")
    if schema != SCHEMA:
        raise CorruptFile(other_schema(path, SCHEMA.decode(), schema[:40].decode(errors="replace")))
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise CorruptFile(f"{path}: expected content that fits its sha256, found other content; "
                          "move the file away, and what it keeps is made again")  # fmt: skip
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            return {key: _array(archive[key]) for key in archive.files}
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFile(f"{path}: expected a NumPy archive of plain arrays, found {error}") from None


def _array(value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):  # NumPy gives the bytes of what it does not know
        raise TypeError(type(value).__name__)
    return value
