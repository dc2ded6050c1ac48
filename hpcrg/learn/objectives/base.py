"""What a network is trained for."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """A loss over examples that are known by their slot, and the number that the trained network reports."""

    def slots(self) -> tuple[int, ...]:
        """The slots that examples are taken from."""
        ...

    def loss(self, output: Tensor, slot: Tensor) -> Tensor:
        """The loss of each example, from the network's output and the example's slot; both [example]."""
        ...

    def report(self, output: Tensor) -> Tensor:
        """The number reported for each configuration."""
        ...
