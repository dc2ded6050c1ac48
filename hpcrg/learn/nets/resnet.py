"""A residual network with the symmetries of the model built in: it sees blocks of some twenty spacings.

A convolution of stride 2 and then BLOCKS residual blocks h + V * tanh(W * h), the lattice halved between them, without
any bias, so that every field is odd under a flip of all spins; pooling and the linear layer at the end are those of the
CNN. After He, Zhang, Ren and Sun, CVPR 2016, without batch normalisation, which would couple the examples of a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpcrg.learn.nets.inputs import CONVOLUTIONS, Inputs, periodic, pooled

BLOCKS = 3


class ResNet(nn.Module):
    """See the module. Input: codes uint8 [example, *lattice] of any size; output: [example]."""

    def __init__(self, inputs: Inputs, channels: int) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[inputs.dimension]
        self.inputs, self.channels = inputs, channels

        def layers(first: int, stride: int) -> nn.ModuleList:
            shapes = [first, *[channels] * (BLOCKS - 1)]
            return nn.ModuleList(convolution(n, channels, 3, stride=stride, bias=False) for n in shapes)

        self.halving, self.inner, self.outer = layers(1, 2), layers(channels, 1), layers(channels, 1)
        self.head = nn.Linear(2 * channels, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """The output of each configuration."""
        x = self.inputs.fields(codes, self.head.weight)
        h = x.flatten(0, 1)[:, None]
        for halving, inner, outer in zip(self.halving, self.inner, self.outer, strict=True):
            h = torch.tanh(halving(periodic(h)))
            h = h + outer(periodic(torch.tanh(inner(periodic(h)))))
        sites = torch.tanh(h).reshape(*x.shape[:2], self.channels, -1)
        output: Tensor = self.head(pooled(sites))[:, 0]
        return output
