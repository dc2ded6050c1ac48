"""Compilation: every kernel is compiled once per machine and then loaded, by any process, from one cache.

A kernel is compiled for one explicit signature and stored in a directory of its own, named by the digest of all its
code (hpcrg.fingerprint), the numba version and the CPU: changed code can never load an old binary, an unchanged kernel
is never compiled again, and processes which compile at the same time write the same file under the same name.

Compiled kernels are machine code, the only files from which hpcrg runs any: they are made by and for one user and one
machine, and a cache into which everybody may write is refused.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import get_host_cpu_features
from numba.core.registry import cpu_target

from hpcrg.errors import InputError
from hpcrg.fingerprint import fingerprint, set_apart

P = ParamSpec("P")
R = TypeVar("R")
NAMES = 2
"""Rises when functions are named in another way (hpcrg.fingerprint.set_apart)."""


def cache_directory() -> Path:
    """Where compiled kernels live: HPCRG_CACHE_DIR, or hpcrg in the user's cache directory."""
    chosen = os.environ.get("HPCRG_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hpcrg"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcrg"


def _use_whole_vectors() -> None:
    """Let LLVM use vectors of 512 bits where it would take 256 for fear of slower clocks: kernels here are whole loops
    of integer vectors and gain a fifth to a third. Processors before Ice Lake do slow down and are left alone."""
    config: Any = numba.config
    if config.CPU_FEATURES is None and config.CPU_NAME is None and llvm.get_host_cpu_features().get("avx512vbmi2"):
        features = get_host_cpu_features()  # type: ignore[no-untyped-call]
        config.CPU_FEATURES = f"{features},-prefer-256-bit"


_use_whole_vectors()


@cache
def machine() -> str:
    """What compiles kernels here: numba, the CPU that it compiles for, and a digest of what that CPU can do."""
    _, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    return f"numba {numba.__version__}, {cpu}, {hashlib.sha256(features.encode()).hexdigest()[:8]}"


@cache
def platform() -> str:
    """What machine code depends on beside the source, and the version of our names for it."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{NAMES}-python-{python}-{machine().replace(', ', '-').replace(' ', '-')}"


@cache
def guarded(directory: Path) -> Path:
    """The directory, made for its owner alone where there is none. Raises InputError where it belongs to another user
    than this one and root, or everybody may write into it: what lies there would be run."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & stat.S_IWOTH:
        whose = f"one of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}"
        raise InputError(f"{directory}: expected a cache of kernels that nobody else may write into, found {whose}; "
                         "HPCRG_CACHE_DIR names another")  # fmt: skip
    return directory


class _Place(_CacheLocator):
    """The directory of one kernel."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.path = guarded(cache_directory() / platform()) / fingerprint(function)

    def get_cache_path(self) -> str:
        return str(self.path)

    def get_source_stamp(self) -> str:
        return self.path.name

    def get_disambiguator(self) -> None:
        return None

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Place:
        return cls(function)


class _Files(CompileResultCacheImpl):
    _locator_classes = (_Place,)  # type: ignore[assignment]

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return "kernel"


class _KernelCache(FunctionCache):
    """numba's cache of compiled functions under our key."""

    _impl_class = _Files

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return signature, codegen.magic_tuple()

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The stored code, or None, after which numba compiles: functions have names of their own by then. What cannot
        be read, since a module that it refers to has moved or a disk has erred, is compiled again."""
        try:
            found = super().load_overload(signature, target_context)  # type: ignore[no-untyped-call]
        except Exception:
            with suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            found = None
        if found is None:
            set_apart(self._py_func)
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        """Store the code where there is space and permission; elsewhere the next process compiles again."""
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            _not_stored(str(error.strerror))


@cache
def _not_stored(reason: str) -> None:
    """Said once a process."""
    text = "warning: %s: expected a directory to store compiled kernels in, found: %s; each process compiles its own"
    logging.getLogger("hpcrg").warning(text, cache_directory(), reason)


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that kernels call, when a kernel calls it."""
    return cast(Callable[P, R], numba.njit(nogil=True)(function))


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile for one signature, or load from the cache."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher: Any = numba.njit(nogil=True)(function)
        dispatcher._cache = _KernelCache(function)  # type: ignore[no-untyped-call]
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return cast(Callable[P, R], dispatcher)

    return decorate


def cache_hits(compiled: Any) -> int:
    """How many compiled forms of a kernel came from the cache in this process."""
    return sum(compiled.stats.cache_hits.values())
