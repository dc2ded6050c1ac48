"""Compilation: every kernel is compiled once per machine and then loaded, by any process, from one cache.

numba stores a compiled function under a key that holds its own bytecode but not that of the functions it
calls. The cache therefore lives in a directory named by a digest of every kernel source, the numba version
and the CPU: a changed source starts an empty directory and can never load an old binary. Kernels are
compiled for one explicit signature, in a subdirectory of their own, so that processes which compile at the
same time write the same file under the same name.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
from numba.core import config

P = ParamSpec("P")
R = TypeVar("R")
_LOCK = threading.RLock()
_SETTINGS = cast(Any, config)
IMPORTS_KERNELS = b"hpcrg.jit"


def cache_directory() -> Path:
    """Where compiled kernels live: HPCRG_CACHE_DIR, or hpcrg in the user's cache directory."""
    chosen = os.environ.get("HPCRG_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hpcrg"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcrg"


def source_digest(root: Path) -> str:
    """12 hexadecimal digits that change with any kernel source under `root`, numba, Python or the CPU."""
    total = hashlib.sha256(f"{numba.__version__} {llvm.get_host_cpu_name()} {sys.version_info[:2]}".encode())
    for path in sorted(root.rglob("*.py")):
        source = path.read_bytes()
        if IMPORTS_KERNELS in source:
            total.update(path.relative_to(root).as_posix().encode() + b"\0" + source)
    return total.hexdigest()[:12]


@cache
def digest() -> str:
    """The digest of this package."""
    return source_digest(Path(__file__).parent)


def part(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function that a kernel closes over. `name` must be unique and must contain every parameter
    that the function itself closes over: it stands for the function in the cache key of the kernel,
    which a name drawn at random, numba's default, would change in every process."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher: Any = numba.njit(nogil=True)(function)
        dispatcher._set_uuid(str(uuid.uuid5(uuid.NAMESPACE_URL, f"hpcrg.{name}")))
        return cast(Callable[P, R], dispatcher)

    return decorate


physics_function = part
"""A part of every kernel of one model."""


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a module-level function that kernels call; its own name is unique."""
    return part(f"{function.__module__}.{function.__qualname__}")(function)


def kernel(signature: str, name: str = "common") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile for one signature, or load from the cache. `name` tells apart kernels that one factory
    builds."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        with _LOCK:
            before = _SETTINGS.CACHE_DIR
            _SETTINGS.CACHE_DIR = str(cache_directory() / digest() / name)
            try:
                return cast(Callable[P, R], numba.njit(signature, cache=True, nogil=True)(function))
            finally:
                _SETTINGS.CACHE_DIR = before

    return decorate


def cache_hits(compiled: Any) -> int:
    """How many compiled forms of a kernel came from the cache in this process."""
    return sum(compiled.stats.cache_hits.values())
