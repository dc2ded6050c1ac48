"""What a network is trained for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[np.float64]


class Objective(Protocol):
    """A loss over examples that are known by their slot, the number that the trained network reports of each
    configuration, and how good such numbers are over the whole ladder, beside the best that there is."""

    @property
    def output(self) -> str:
        """The name of the reported number in series files."""
        ...

    @property
    def unit(self) -> str:
        """Of the loss."""
        ...

    @property
    def grain(self) -> float:
        """The least amount by which two scores of a draw differ."""
        ...

    def slots(self) -> tuple[int, ...]:
        """The slots that examples are taken from."""
        ...

    def loss(self, output: Tensor, slot: Tensor) -> Tensor:
        """The loss of each example, from the network's output and the example's slot; both [example]."""
        ...

    def report(self, output: Tensor) -> Tensor:
        """The number reported for each configuration."""
        ...

    def best(self, energy: Values, f: Values) -> Values:
        """What is to be reported of draws with these energies [...] to have the highest expected score over a ladder
        with free energies `f` [slot], whose slots are as probable as each other."""
        ...

    def score(self, reported: Values) -> Values:
        """How good reported numbers [..., slot, draw] are, the higher the better."""
        ...
