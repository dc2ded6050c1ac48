"""One run at a time on a state directory.

The lock is flock(2) on a file, which ends with the process that holds it, however that ends. Where a file system has no
locks, a file beside it, which only one run can create, names the run that holds the state. It outlasts a run that was
killed: a later run in the same place (host, namespaces) sees that the process has gone and goes on, one elsewhere is
refused and told which file to remove. So two runs never write into one state.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from hpcrg.errors import InputError
from hpcrg.files import naming, parse_json

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
BUSY = (errno.EAGAIN, errno.EACCES)
POLL = 0.1
NAMESPACES = ("pid", "net")


@contextmanager
def owned(directory: Path, what: str, patience: float = 0.0) -> Iterator[None]:
    """Hold a state directory. Raises InputError when another run still holds it after `patience` seconds."""
    path = directory / "lock"
    with naming(path):
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        owner = _hold(handle, path, what, time.monotonic() + patience)
        try:
            yield
        finally:
            _release(handle, owner)
    finally:
        os.close(handle)


def lock_of(path: Path) -> str:
    """What becomes of locks here: "locked", "open" (they have no effect) or "denied"."""
    with path.open("w") as one, path.open() as other:
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "locked"
        except OSError as error:
            return f"denied: {error}"
        return "open"


def _hold(handle: int, path: Path, what: str, end: float) -> Path | None:
    """Wait for the lock; the file that stands for it where there are no locks."""
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except OSError as error:
            if error.errno not in (*NO_LOCKS, *BUSY):
                with naming(path):
                    raise
            owner = path.with_name("lock.owner") if error.errno in NO_LOCKS else None
            if owner is not None and _take(owner):
                _warn(path, error)
                return owner
        if time.monotonic() >= end:
            raise InputError(f"{path.parent}: expected to be the only run on this {what}, found {_holder(owner)}")
        time.sleep(POLL)


def _release(handle: int, owner: Path | None) -> None:
    if owner is not None:
        owner.unlink(missing_ok=True)
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _take(owner: Path) -> bool:
    """Create the file that names this run, in place of one whose run has gone."""
    if owner.exists():
        _clear(owner)
    with naming(owner):
        try:
            with owner.open("x") as file:
                json.dump(_self(), file)
        except FileExistsError:
            return False
        except OSError:
            owner.unlink()
            raise
    return True


def _clear(owner: Path) -> None:
    """Remove the file of a run that has gone. Only runs of its own place can know, and a socket's name lets one of them
    in at a time, so that none removes what another has just created."""
    with socket.socket(socket.AF_UNIX) as guard, suppress(OSError):
        guard.bind(guard_of(owner))
        if _gone(_read(owner)):
            owner.unlink()


def guard_of(owner: Path) -> bytes:
    """The name of the socket that a run has while it clears this file; it goes with the process."""
    return b"\0hpcrg-" + sha256(str(owner.resolve()).encode()).hexdigest()[:32].encode()


def _self() -> dict[str, Any]:
    pid = os.getpid()
    job = os.environ.get("SLURM_JOB_ID")
    return {"host": platform.node(), "place": _place(), "pid": pid, "started": _started(pid), "job": job}


def _place() -> list[str] | None:
    """Where a process number means the same process: this boot of this host and these namespaces; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [boot, *(str(Path(f"/proc/self/ns/{name}").readlink()) for name in NAMESPACES)]
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in ticks of the kernel; None for one that is not there or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _read(owner: Path) -> dict[str, Any]:
    try:
        told = parse_json(owner.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _gone(told: dict[str, Any]) -> bool:
    place = _place()
    return place is not None and told.get("place") == place and _started(told["pid"]) != told["started"]


def _holder(owner: Path | None) -> str:
    if owner is None:
        return "another that holds its lock"
    told = _read(owner)
    who = ", ".join(f"{key} {told[key]}" for key in ("host", "pid", "job") if told.get(key)) or "an unknown one"
    return f"{owner.name} of {who}; remove {owner} if that run is over"


def _warn(path: Path, error: OSError) -> None:
    logging.getLogger("hpcrg").warning(
        "warning: %s: expected a file system that locks, found %s; the file lock.owner stands for the lock",
        path, error.strerror,
    )  # fmt: skip
