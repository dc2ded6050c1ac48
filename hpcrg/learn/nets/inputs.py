"""What networks are shown, and what those with convolutions share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SMALL = 1e-4
"""Added under the square root: |<h>| must have a derivative at zero."""


@dataclass(frozen=True)
class Inputs:
    """What fixes the shape of a network: states of a spin and shape of the lattice."""

    states: int
    shape: tuple[int, ...]

    @property
    def dimension(self) -> int:
        """Axes of the lattice."""
        return len(self.shape)

    @property
    def colours(self) -> list[int]:
        """The colours that have a field; two states need one, since the other is its negative."""
        return [1] if self.states == 2 else list(range(self.states))

    def fields(self, codes: Tensor, like: Tensor) -> Tensor:
        """(q delta - 1) / (q - 1) of each colour, which is +-1 for two states, in the numbers of the weights `like`:
        [example, colour, *lattice]."""
        q = self.states
        return torch.stack([(q * (codes == colour).to(like) - 1) / (q - 1) for colour in self.colours], dim=1)


def periodic(x: Tensor) -> Tensor:
    """One site of the opposite side added at every end of every lattice axis of [batch, channel, *lattice]."""
    return nn.functional.pad(x, (1, 1) * (x.ndim - 2), mode="circular")


def pooled(sites: Tensor) -> Tensor:
    """Two numbers a channel from fields [example, colour, channel, site]: |<h>|, an order parameter, and <h^2>, a local
    correlation, each averaged over colours: [example, 2 channels]. Sums are not taken in less than float32."""
    sites = sites.to(torch.promote_types(sites.dtype, torch.float32))
    order = (sites.mean(3).square().mean(1) + SMALL).sqrt()
    return torch.cat([order, sites.square().mean((1, 3))], dim=1)
