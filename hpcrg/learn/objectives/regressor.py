"""At which temperature? Squared error of the inverse temperature of the slots that have a label.

With labels at all slots this is a thermometer. The probability of a temperature given a configuration depends on the
energy alone, so the best thermometer reads the energy, and its curve has no feature at a critical point; what has one
is its resolution (analysis/thermometers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hpcrg.errors import InputError
from hpcrg.learn import posterior
from hpcrg.learn.objectives.base import Values


@dataclass(frozen=True)
class Regressor:
    """Labels at the `cold` first and the `hot` last of the inverse temperatures `betas`, or at all of them. The network
    gives them in standard deviations of the labels from their mean."""

    betas: Sequence[float]
    cold: int
    hot: int
    output = "beta"
    unit = "variances of the labels"
    grain = 1e-12

    def __post_init__(self) -> None:
        if min(self.cold, self.hot) < 1 or self.cold + self.hot > len(self.betas):
            raise InputError(f"regressor: expected cold and hot of at least 1 and together at most the "
                             f"{len(self.betas)} slots, found {self.cold} and {self.hot}")  # fmt: skip
        if len(set(self.betas)) < 2:
            raise InputError(f"regressor: expected at least 2 temperatures, found {len(set(self.betas))}")

    def slots(self) -> tuple[int, ...]:
        """The labelled slots."""
        ladder = len(self.betas)
        return (*range(self.cold), *range(ladder - self.hot, ladder))

    @cached_property
    def _scale(self) -> tuple[float, float]:
        labels = np.array(self.betas)[list(self.slots())]
        return float(labels.mean()), float(labels.std())

    def loss(self, output: Tensor, slot: Tensor) -> Tensor:
        """The squared error of each example, in variances of the labels."""
        mean, deviation = self._scale
        labels = (torch.tensor(self.betas, dtype=torch.float64) - mean) / deviation
        return (output - labels.to(output)[slot]).square()

    def report(self, output: Tensor) -> Tensor:
        """The inverse temperature."""
        mean, deviation = self._scale
        return mean + deviation * output.double()

    def best(self, energy: Values, f: Values) -> Values:
        """The mean inverse temperature of a ladder's draws of this energy."""
        betas = np.asarray(self.betas)
        mean: Values = posterior.slot_probability(energy, betas, f) @ betas
        return mean

    def score(self, reported: Values) -> Values:
        """Less the squared error of the inverse temperature."""
        error: Values = reported - np.asarray(self.betas)[:, None]
        return -(error**2)
