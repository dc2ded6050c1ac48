"""Which phase? Logistic loss on the coldest and the hottest slots of the ladder; the slots between have no
label, so that no critical point enters. Both phases weigh the same, however many slots each has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hpcrg.errors import InputError


@dataclass(frozen=True)
class Classifier:
    """`cold` slots at the start of a ladder of `ladder` slots are one phase, `hot` slots at its end the
    other."""

    ladder: int
    cold: int
    hot: int

    def __post_init__(self) -> None:
        if min(self.cold, self.hot) < 1 or self.cold + self.hot >= self.ladder:
            raise InputError(f"classifier: expected cold and hot of at least 1 and together below the "
                             f"{self.ladder} slots, found {self.cold} and {self.hot}")  # fmt: skip

    def slots(self) -> tuple[int, ...]:
        """The labelled slots."""
        return (*range(self.cold), *range(self.ladder - self.hot, self.ladder))

    def loss(self, output: Tensor, slot: Tensor) -> Tensor:
        """Weighted cross entropy of each example, in nats; `output` is the log odds of the cold phase."""
        cold = (slot < self.cold).to(output.dtype)
        half = (self.cold + self.hot) / 2
        weight = cold * (half / self.cold) + (1 - cold) * (half / self.hot)
        return weight * binary_cross_entropy_with_logits(output, cold, reduction="none")

    def report(self, output: Tensor) -> Tensor:
        """The probability of the cold phase."""
        return torch.sigmoid(output)
