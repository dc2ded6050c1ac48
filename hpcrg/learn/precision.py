"""In which numbers a network computes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHTS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
"""Of the weights, the sums and the optimiser, by the `precision` of a campaign."""


def forward(net: nn.Module, codes: Tensor, precision: str) -> Tensor:
    """The outputs of a network [example] in its weights' numbers; with `bfloat16` convolutions and products of matrices
    are taken in those of 8 significant bits, everything else is not."""
    with torch.autocast(codes.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output: Tensor = net(codes)
    return output.to(WEIGHTS[precision])
