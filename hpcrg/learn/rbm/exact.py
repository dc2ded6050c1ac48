"""Sums over all configurations of a layer: Z, likelihoods and distances to a known distribution, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hpcrg.errors import Unsupported, expected
from hpcrg.learn.rbm.machine import Machine, states

MOST_UNITS = 26
"""Of the smaller layer: 2^26 configurations take a minute."""
PIECE = 1 << 16


def log_partition(machine: Machine) -> float:
    """ln Z, summed over the configurations of the smaller layer. Raises Unsupported beyond MOST_UNITS of them."""
    visible, hidden = machine.shape
    if visible <= hidden:
        return log_sum_over(visible, machine.low, lambda v: -_exact(machine).visible_energy(v))
    return log_sum_over(hidden, machine.low, lambda h: -_exact(machine).hidden_energy(h))


def log_sum_over(units: int, low: float, exponent: Callable[[Tensor], Tensor]) -> float:
    """ln sum over all configurations of so many units of exp(exponent(configurations [state, unit])). Raises
    Unsupported beyond MOST_UNITS."""
    if units > MOST_UNITS:
        raise Unsupported(expected("a sum over all configurations: units of a layer", f"at most {MOST_UNITS}", units))
    total = 1 << units
    pieces = [exponent(states(units, low, k, min(k + PIECE, total))).logsumexp(0) for k in range(0, total, PIECE)]
    return float(torch.stack(pieces).logsumexp(0))


def log_likelihood(machine: Machine, v: Tensor, log_z: float) -> Tensor:
    """ln p(v) of configurations [..., visible]."""
    return -_exact(machine).visible_energy(v.to(torch.float64)) - log_z


def divergence(machine: Machine, log_p: Callable[[Tensor], Tensor]) -> float:
    """The Kullback-Leibler divergence sum p ln (p / p_machine) in nats from a distribution whose normalised logarithm
    is `log_p`(configurations [state, visible])."""
    visible, log_z, total = machine.shape[0], log_partition(machine), 0.0
    for k in range(0, 1 << visible, PIECE):
        v = states(visible, machine.low, k, min(k + PIECE, 1 << visible))
        known = log_p(v)
        ratio = known - log_likelihood(machine, v, log_z)
        total += float(torch.where(known > -math.inf, known.exp() * ratio, torch.zeros_like(ratio)).sum())
    return total


def _exact(machine: Machine) -> Machine:
    weights, visible, hidden = (p.to(torch.float64) for p in machine.parameters)
    return Machine(weights, visible, hidden, machine.low)
