"""Files that are there whole or not at all: write beside, fsync, rename, fsync the directory; and what the file system
refuses, as an error that names the path."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpcrg.errors import Unusable

FULL = {errno.ENOSPC: "a full disk", errno.EDQUOT: "a quota used up", errno.EFBIG: "a limit on the size of files"}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the file system refuses inside is an Unusable of this path."""
    try:
        yield
    except OSError as error:
        raise Unusable(_refused(path, error)) from error


def _refused(path: Path, error: OSError) -> str:
    told = error.strerror or str(error)
    if error.errno in FULL:
        kept = "what was committed before is kept, and the same command goes on from there"
        return f"{path}: expected space for this file, found {FULL[error.errno]} ({told}); {kept}"
    return f"{path}: expected a path that can be read and written, found: {told}"


def parse_json(text: str) -> Any:
    """The values of a JSON text. Raises ValueError for text that is none, or nested deeper than Python goes."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("expected JSON, found more levels of nesting than can be read") from None


def sync_directory(path: Path) -> None:
    """Make a rename in this directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(temporary: Path, final: Path) -> None:
    """Give a complete, closed temporary file its final name; durable when this returns."""
    handle = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(temporary, final)
    sync_directory(final.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; a reader or a crash sees the old file or the new one, never a part.
    Raises Unusable where there is no space or no permission."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
