"""A small convolutional network with the symmetries of the model built in, f(spins) -> one number.

Fields h = tanh(W2 * tanh(W1 * x)) on the periodic lattice; x is +-1 for two states, else one field a colour.
Global pooling gives two numbers a channel (inputs.py), and a linear layer joins them. Without biases in
the convolutions h is odd, so the output is exactly invariant under a global spin flip, under any permutation
of colours, and (but for the stride of 2) under translations. After Carrasquilla and Melko, Nature Physics 13,
431 (2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpcrg.learn.nets.inputs import CONVOLUTIONS, Inputs, periodic, pooled


class CNN(nn.Module):
    """See the module. Input: codes uint8 [example, *lattice] of any size; output: [example]."""

    def __init__(self, inputs: Inputs, channels: int) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[inputs.dimension]
        self.inputs, self.channels = inputs, channels
        self.first = convolution(1, channels, 3, bias=False)
        self.second = convolution(channels, channels, 3, stride=2, bias=False)
        self.head = nn.Linear(2 * channels, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """The output of each configuration."""
        x = self.inputs.fields(codes, self.head.weight)
        h = torch.tanh(self.first(periodic(x.flatten(0, 1)[:, None])))
        h = torch.tanh(self.second(periodic(h)))
        output: Tensor = self.head(pooled(h.reshape(*x.shape[:2], self.channels, -1)))[:, 0]
        return output
