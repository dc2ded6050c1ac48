"""A small convolutional network with the symmetries of the model built in, f(spins) -> one number.

Fields h = tanh(W2 * tanh(W1 * x)) on the periodic lattice; x is +-1 for two states, else one field a colour,
(q delta - 1)/(q - 1). Global pooling gives two numbers a channel, |<h>| (an order parameter of local blocks)
and <h^2> (a local correlation), each averaged over colours, and a linear layer joins them. Without biases in
the convolutions h is odd, so the output is exactly invariant under a global spin flip, under any permutation
of colours, and (but for the stride of 2) under translations. After Carrasquilla and Melko, Nature Physics 13,
431 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SMALL = 1e-4
"""Added under the square root: |<h>| must have a derivative at zero."""


@dataclass(frozen=True)
class CNNConfig:
    """What fixes the network's shape: states of a spin, lattice dimension, channels of each layer."""

    states: int
    dimension: int
    channels: int = 8


class CNN(nn.Module):
    """See the module. Input: codes uint8 [example, *lattice]; output: [example]."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[config.dimension]
        self.config = config
        self.first = convolution(1, config.channels, 3, bias=False)
        self.second = convolution(config.channels, config.channels, 3, stride=2, bias=False)
        self.head = nn.Linear(2 * config.channels, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """The output of each configuration."""
        x = self.fields(codes)
        h = torch.tanh(self.first(self.periodic(x.flatten(0, 1)[:, None])))
        h = torch.tanh(self.second(self.periodic(h)))
        sites = h.reshape(*x.shape[:2], self.config.channels, -1)
        order = (sites.mean(3).square().mean(1) + SMALL).sqrt()
        features = torch.cat([order, sites.square().mean((1, 3))], dim=1)
        output: Tensor = self.head(features)[:, 0]
        return output

    def fields(self, codes: Tensor) -> Tensor:
        """Input fields [example, colour, *lattice]; two states need one field, since the other is its
        negative."""
        q = self.config.states
        colours = [1] if q == 2 else range(q)
        return torch.stack([(q * (codes == colour).float() - 1) / (q - 1) for colour in colours], dim=1)

    def periodic(self, x: Tensor) -> Tensor:
        """One site of the opposite side added at every end of every lattice axis."""
        return nn.functional.pad(x, (1, 1) * self.config.dimension, mode="circular")
