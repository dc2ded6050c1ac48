"""The few things that sampling asks of a group of ranks, and the group of one."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Comm(Protocol):
    """A group of ranks. Every call is collective within the group."""

    @property
    def rank(self) -> int:
        """This rank, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many ranks there are."""
        ...

    def split(self, colour: int) -> Comm:
        """The group of the ranks that name the same colour, in the same order."""
        ...

    def allgather(self, values: NDArray[Any], total: int) -> NDArray[Any]:
        """The ranks' arrays joined along the first axis, in rank order, `total` rows in all; every rank brings its
        `share(total, size, rank)`."""
        ...

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's value at rank 0; None elsewhere."""
        ...

    def bcast(self, value: Any) -> Any:
        """Rank 0's value on every rank."""
        ...

    def abort(self, status: int) -> None:
        """End every rank at once with this exit status, whatever they wait for."""
        ...


class Alone:
    """A group of one rank; needs no MPI."""

    rank = 0
    size = 1

    def split(self, colour: int) -> Comm:
        """Itself."""
        return self

    def allgather(self, values: NDArray[Any], total: int) -> NDArray[Any]:
        """A copy of the array."""
        return np.array(values)

    def gather(self, value: Any) -> list[Any] | None:
        """The value alone."""
        return [value]

    def bcast(self, value: Any) -> Any:
        """The value."""
        return value

    def abort(self, status: int) -> None:
        """End this process."""
        raise SystemExit(status)


def share(items: int, size: int, rank: int) -> range:
    """The contiguous part of `items` that belongs to `rank` of `size`; parts differ by one item at most."""
    return range(items * rank // size, items * (rank + 1) // size)
