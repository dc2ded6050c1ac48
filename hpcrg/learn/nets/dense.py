"""A fully connected network that is told nothing: no symmetry, no neighbourhood, one size only.

One hidden layer of HIDDEN units a channel, as in Carrasquilla and Melko, Nature Physics 13, 431 (2017), and a linear
layer. What it makes of a flip of all spins, of colours and of translations it must learn from the draws. Units see the
sum over sites divided by the root of their number, with weights of order 1: at a rate that suits convolutions, weights
of the order of that root's inverse would be gone after a step, as all sites of an ordered configuration pull together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hpcrg.learn.nets.inputs import Inputs

HIDDEN = 4


class Dense(nn.Module):
    """See the module. Input: codes uint8 [example, *lattice] of the size it was made for; output: [example]."""

    def __init__(self, inputs: Inputs, channels: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.hidden = nn.Linear(len(inputs.colours) * math.prod(inputs.shape), HIDDEN * channels)
        nn.init.normal_(self.hidden.weight)
        self.head = nn.Linear(HIDDEN * channels, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """The output of each configuration."""
        x = self.inputs.fields(codes, self.head.weight).flatten(1)
        output: Tensor = self.head(torch.tanh(self.hidden(x / math.sqrt(x.shape[1]))))[:, 0]
        return output
