"""Which phase? Logistic loss on the coldest and the hottest slots of the ladder; the slots between have no
label, so that no critical point enters. Both phases weigh the same, however many slots each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hpcrg.errors import InputError
from hpcrg.learn import posterior
from hpcrg.learn.objectives.base import Values


@dataclass(frozen=True)
class Classifier:
    """`cold` slots at the start of a ladder of inverse temperatures `betas` are one phase, `hot` slots at its end the
    other."""

    betas: Sequence[float]
    cold: int
    hot: int
    output = "p"
    unit = "nats"
    grain = 1.0

    def __post_init__(self) -> None:
        if min(self.cold, self.hot) < 1 or self.cold + self.hot >= len(self.betas):
            raise InputError(f"classifier: expected cold and hot of at least 1 and together below the "
                             f"{len(self.betas)} slots, found {self.cold} and {self.hot}")  # fmt: skip

    def slots(self) -> tuple[int, ...]:
        """The labelled slots."""
        ladder = len(self.betas)
        return (*range(self.cold), *range(ladder - self.hot, ladder))

    def loss(self, output: Tensor, slot: Tensor) -> Tensor:
        """Weighted cross entropy of each example, in nats; `output` is the log odds of the cold phase."""
        cold = (slot < self.cold).to(output.dtype)
        half = (self.cold + self.hot) / 2
        weight = cold * (half / self.cold) + (1 - cold) * (half / self.hot)
        return weight * binary_cross_entropy_with_logits(output, cold, reduction="none")

    def report(self, output: Tensor) -> Tensor:
        """The probability of the cold phase."""
        return torch.sigmoid(output.double())

    def best(self, energy: Values, f: Values) -> Values:
        """The probability of the cold half of the ladder."""
        return posterior.cold_probability(energy, np.asarray(self.betas), f)

    def score(self, reported: Values) -> Values:
        """1 for a draw that is put in the half of the ladder that it comes from, else 0."""
        return posterior.correct(reported).astype(np.float64)
