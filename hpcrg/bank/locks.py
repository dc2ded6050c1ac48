"""Whether HDF5 locks files on a file system."""

from __future__ import annotations

import fcntl
from pathlib import Path

import h5py


def lock_of(path: Path) -> str:
    """Write an HDF5 file and see from outside whether it is "locked" while it is written, "open" (locks have no effect,
    or HDF5_USE_FILE_LOCKING says so), or that locks are "denied"."""
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file, path.open("rb") as other:
        file["x"] = 1
        try:
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "locked"
        except OSError as error:
            return f"denied: {error}"
        return "open"
