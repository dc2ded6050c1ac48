"""Annealed importance sampling of ln Z (Neal 2001; Salakhutdinov and Murray 2008), from both sides.

Between independent units with biases a0 and the machine lie distributions with energies

    F_beta(v) = -(1 - beta) a0 v + F_(beta W, beta a, beta b)(v).

Forward chains start from the first, where sampling is exact, and their mean weight is Z / Z_0 without bias; the mean
of its logarithm lies below, and above for chains that start from the machine and go back. The two bracket ln Z, up to
their errors, when the chains that go back start from the machine's own distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hpcrg.learn.rbm.machine import Machine


@dataclass(frozen=True)
class Annealed:
    """ln Z by one direction: `value` from the mean weight of all chains, `error` by the jackknife over chains, and
    `bound`, the mean of the logarithms of weights, below ln Z forward and above it in reverse in expectation, with its
    own standard error."""

    value: float
    error: float
    bound: float
    bound_error: float


def forward(
    machine: Machine, betas: Tensor, chains: int, generator: torch.Generator, base: Tensor | None = None
) -> Annealed:  # fmt: skip
    """From independent units with biases `base` (the machine's own by default) to the machine; `betas` rise from 0
    to 1."""
    base = machine.visible if base is None else base
    v = machine.draw(base.expand(chains, -1), generator)
    weight = torch.zeros(chains, dtype=torch.float64, device=v.device)
    for before, beta in zip(betas[:-1].tolist(), betas[1:].tolist(), strict=True):
        weight += (_energy(machine, base, before, v) - _energy(machine, base, beta, v)).to(torch.float64)
        v = _sweep(machine, base, beta, v, generator)
    return _result(weight + _log_z_of(machine, base), 1.0)


def reverse(
    machine: Machine, betas: Tensor, samples: Tensor, generator: torch.Generator, base: Tensor | None = None
) -> Annealed:  # fmt: skip
    """From `samples` of the machine [chain, visible] to independent units; `betas` as in `forward`."""
    base = machine.visible if base is None else base
    v, weight = samples, torch.zeros(len(samples), dtype=torch.float64, device=samples.device)
    for beta, below in zip(betas.flip(0)[:-1].tolist(), betas.flip(0)[1:].tolist(), strict=True):
        v = _sweep(machine, base, beta, v, generator)
        weight += (_energy(machine, base, beta, v) - _energy(machine, base, below, v)).to(torch.float64)
    return _result(_log_z_of(machine, base) - weight, -1.0)


def _energy(machine: Machine, base: Tensor, beta: float, v: Tensor) -> Tensor:
    return machine.scaled(beta).visible_energy(v) - (1.0 - beta) * (v @ base)


def _sweep(machine: Machine, base: Tensor, beta: float, v: Tensor, generator: torch.Generator) -> Tensor:
    scaled = machine.scaled(beta)
    h = scaled.draw(scaled.field_on_hidden(v), generator)
    return scaled.draw(scaled.field_on_visible(h) + (1.0 - beta) * base, generator)


def _log_z_of(machine: Machine, base: Tensor) -> float:
    """ln Z at beta = 0: independent visible units, and hidden ones without fields, which count two each."""
    return float(machine.log_sum(base.to(torch.float64)).sum()) + machine.shape[1] * math.log(2.0)


def _result(log_z: Tensor, sign: float) -> Annealed:
    """From ln Z of every chain: weights are averaged forward (sign 1), their inverses in reverse (-1)."""
    n = len(log_z)
    signed = sign * log_z
    others = signed.expand(n, n).masked_fill(torch.eye(n, dtype=torch.bool, device=signed.device), -torch.inf)
    left = others.logsumexp(
        1
    )  # one by one: a difference of sums would leave nothing where one chain outweighs the rest
    error = math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum()))
    value = sign * float(signed.logsumexp(0) - math.log(n))
    return Annealed(value, error, float(log_z.mean()), float(log_z.std()) / math.sqrt(n))
