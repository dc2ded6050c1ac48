"""What the machine code of a kernel depends on, as a digest: its bytecode, all that it closes over, and the same of
every function that it calls.

numba stores compiled functions under a key that does not look into the functions they call. This digest does, and holds
neither file names nor line numbers, so that a kernel is compiled anew when and only when its code has changed.
"""

from __future__ import annotations

import dis
import hashlib
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.types import Type

Scalar = (bool, int, float, complex, str, bytes, type(None))
LIBRARIES = ("numpy", "numba", "llvmlite", "math")
"""What their functions do changes with their versions only."""


def fingerprint(function: Any) -> str:
    """16 hexadecimal digits for a function or a compiled part. Raises TypeError where it closes over a value that has
    no digest."""
    total = hashlib.sha256()
    for text in _parts(function, {}):
        total.update(text + b"\0")
    return total.hexdigest()[:16]


def set_apart(function: Any) -> None:
    """End the qualified name of a function, and of every one of ours that it reaches, with its fingerprint.

    Machine code is linked by name. The names that numba gives end with a number that counts within one process, so that
    two closures of one factory, compiled by different processes, could have the same name, and the one that is loaded
    first would run in place of the other.
    """
    reached: dict[FunctionType, int] = {}
    for _ in _parts(function, reached):
        pass
    for one in reached:
        digest = fingerprint(one)
        if not one.__qualname__.endswith(digest):
            one.__qualname__ = f"{one.__qualname__}.{digest}"


def _parts(value: Any, seen: dict[FunctionType, int]) -> Iterator[bytes]:
    if isinstance(value, Dispatcher):
        yield repr(sorted(value.targetoptions.items())).encode()
        yield from _parts(value.py_func, seen)
    elif isinstance(value, _Intrinsic):
        yield from _parts(value._defn, seen)
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, CodeType):
        yield from _code(value)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode() + value.tobytes()
    elif isinstance(value, np.generic):
        yield value.dtype.str.encode() + value.tobytes()
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__}{len(value)}".encode()
        for item in value:
            yield from _parts(item, seen)
    else:
        yield _name(value)


def _name(value: Any) -> bytes:
    if isinstance(value, Scalar):
        return f"{type(value).__name__}{value!r}".encode()
    if isinstance(value, np.dtype | Type):
        return str(value).encode()
    if isinstance(value, np.ufunc):
        return value.__name__.encode()
    if isinstance(value, ModuleType):
        return value.__name__.encode()
    if isinstance(value, type | BuiltinFunctionType) or callable(value):
        return f"{value.__module__}.{value.__qualname__}".encode()
    raise TypeError(f"kernel: expected functions, numbers, arrays and tuples of them to close over, found {value!r}")


def _function(function: FunctionType, seen: dict[FunctionType, int]) -> Iterator[bytes]:
    """A function once, and its number when it is met again."""
    if function in seen:
        yield f"again{seen[function]}".encode()
        return
    if (function.__module__ or "").split(".")[0] in LIBRARIES:  # text that was executed has no module
        yield f"{function.__module__}.{function.__qualname__}".encode()
        return
    seen[function] = len(seen)
    code = function.__code__
    yield from _code(code)
    yield from _parts(function.__defaults__ or (), seen)
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        yield name.encode()
        yield from _parts(value, seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
    for name in sorted(_globals(code)):
        if name in function.__globals__:
            yield name.encode()
            yield from _global(function.__globals__[name], code, seen)


def _global(value: Any, code: CodeType, seen: dict[FunctionType, int]) -> Iterator[bytes]:
    """A global of a function; of a module, what the function may take from it."""
    if not isinstance(value, ModuleType) or value.__name__.split(".")[0] in LIBRARIES:
        yield from _parts(value, seen)
        return
    for name in sorted(_names(code) & set(vars(value))):
        yield name.encode()
        yield from _parts(vars(value)[name], seen)


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        elif constant is not None and not isinstance(constant, str):  # documentation, or that there is none
            yield repr(constant).encode()


def _names(code: CodeType) -> set[str]:
    """Global and attribute names of a function and those inside it."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _globals(code: CodeType) -> set[str]:
    """The global names that a function and those inside it load."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _globals(constant)
    return names
