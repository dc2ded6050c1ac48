"""The errors that a user sees, and the exit status of each.

An input error names the place, what was expected and what was found, and the nearest valid name where there
is one. Everything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user wrote or named is wrong; the command line prints it and exits with status 2."""


class Unsupported(InputError):
    """A model, lattice or size that an algorithm cannot serve, with the reason that physics gives."""


class CorruptFile(InputError):
    """A file whose content does not match its checksum or its declared shape."""


class Unusable(InputError):
    """A path that the file system does not let be read or written: no space, no permission, no such kind of file."""


class NotEquilibrated(RuntimeError):
    """A bank whose chains still remember their start; exit status 3."""


class Leakage(RuntimeError):
    """A classifier better than the exact posterior allows: its test data leaked into training; exit status 4."""


class Interrupted(RuntimeError):
    """Stopped on request, with a checkpoint on disk; exit status 75, and the same command goes on."""


class Lost(Interrupted):
    """A process of the job that no longer answers; what was committed is kept, and the same command goes on."""


SHOWN = 400
"""Characters of something found that an error shows."""
EXIT_STATUS: dict[type[Exception], int] = {InputError: 2, NotEquilibrated: 3, Leakage: 4, Interrupted: 75}


def shown(found: object) -> str:
    """What was found, as text of at most SHOWN characters."""
    try:
        text = repr(found)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = f"{type(found).__name__} of too many digits to write"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name`, or None when none is close."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return found[0] if found else None


def expected(where: str, wanted: str, found: object, candidates: Iterable[str] = ()) -> str:
    """The text of an input error: `where: expected X, found Y; did you mean Z?`."""
    text = f"{where}: expected {wanted}, found {shown(found)}"
    guess = nearest(str(found), candidates)
    return f"{text}; did you mean {guess!r}?" if guess else text


def other_schema(where: object, wanted: str, found: object) -> str:
    """The text of an error for a file of another schema, such as `hpcrg.bank/2` in place of `hpcrg.bank/1`."""
    text = expected(f"{where}: schema", wanted, found)
    (name, _, number), (other, _, higher) = wanted.rpartition("/"), str(found).rpartition("/")
    later = other == name and higher.isdecimal() and int(higher) > int(number)
    return f"{text}; a later version of hpcrg wrote it" if later else text
