"""A restricted Boltzmann machine: two layers of two-valued units, with couplings between the layers only.

    p(v, h) = exp(-E(v, h)) / Z,   E(v, h) = -(a v + b h + v W h)

Units take the values `low` and 1: -1 for spins, 0 for Bernoulli units. Given one layer the units of the other one are
independent, in the field that this layer makes. See Smolensky (1986) and Hinton, Neural Computation 14, 1771 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LOW = {"spin": -1.0, "bernoulli": 0.0}


@dataclass
class Machine:
    """`weights` [visible, hidden], `visible` [visible] and `hidden` [hidden] are W, a and b; all units take the values
    `low` and 1."""

    weights: Tensor
    visible: Tensor
    hidden: Tensor
    low: float = -1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of visible and hidden units."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """W, a and b."""
        return self.weights, self.visible, self.hidden

    def scaled(self, beta: float) -> Machine:
        """The machine at an inverse temperature: all energies times `beta`."""
        return Machine(beta * self.weights, beta * self.visible, beta * self.hidden, self.low)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of configurations [..., visible] and [..., hidden]."""
        return -(v @ self.visible + h @ self.hidden + ((v @ self.weights) * h).sum(-1))

    def field_on_hidden(self, v: Tensor) -> Tensor:
        """b + v W, [..., hidden]."""
        return v @ self.weights + self.hidden

    def field_on_visible(self, h: Tensor) -> Tensor:
        """a + W h, [..., visible]."""
        return h @ self.weights.T + self.visible

    def visible_energy(self, v: Tensor) -> Tensor:
        """-ln sum over h of exp(-E(v, h)): what p(v) has in place of an energy."""
        return -(v @ self.visible) - self.log_sum(self.field_on_hidden(v)).sum(-1)

    def hidden_energy(self, h: Tensor) -> Tensor:
        """-ln sum over v of exp(-E(v, h))."""
        return -(h @ self.hidden) - self.log_sum(self.field_on_visible(h)).sum(-1)

    def log_sum(self, field: Tensor) -> Tensor:
        """ln sum over the two values u of exp(u field)."""
        return torch.logaddexp(self.low * field, field)

    def mean(self, field: Tensor) -> Tensor:
        """The mean of a unit in a field."""
        return self.low + (1.0 - self.low) * torch.sigmoid((1.0 - self.low) * field)

    def draw(self, field: Tensor, generator: torch.Generator) -> Tensor:
        """A value of each unit in its field."""
        up = torch.rand(field.shape, generator=generator, dtype=field.dtype, device=field.device)
        return self.low + (1.0 - self.low) * (up < torch.sigmoid((1.0 - self.low) * field)).to(field.dtype)

    def gibbs(self, v: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(v, h) after so many sweeps over both layers, hidden units first; h belongs to the v before the last draw of
        v, so that p(v | h) holds."""
        h = v
        for _ in range(steps):
            h = self.draw(self.field_on_hidden(v), generator)
            v = self.draw(self.field_on_visible(h), generator)
        return v, h


def random_machine(
    visible: int, hidden: int, scale: float, generator: torch.Generator, units: str = "spin",
    dtype: torch.dtype = torch.float64, biases: float = 0.0,
) -> Machine:  # fmt: skip
    """Normal weights of standard deviation `scale`, and biases of `biases`."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    return Machine(scale * normal(visible, hidden), biases * normal(visible), biases * normal(hidden), LOW[units])


def states(
    units: int, low: float, start: int = 0, stop: int | None = None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Configurations number `start` to `stop` of so many units, [state, unit]; unit k is bit k of the number."""
    numbers = torch.arange(start, 1 << units if stop is None else stop)
    bits = (numbers[:, None] >> torch.arange(units)) & 1
    return low + (1.0 - low) * bits.to(dtype)
