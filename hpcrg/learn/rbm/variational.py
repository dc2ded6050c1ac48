"""A machine read as a variational RG step, after Mehta and Schwab (2014), exact where all configurations can be summed.

For a Hamiltonian H(v), in units of temperature, and a machine E(v, h) the operator of the step is

    T(v, h) = -E(v, h) + H(v),

it makes the coarse Hamiltonian H_RG(h) = -ln sum_v exp(T - H), which is that of the machine's hidden layer whatever
the weights are. The step is exact when sum_h exp(T) = 1 for every v; the machine's p(v) is then exp(-H) / Z, and the
free energies of both levels agree. They may agree without it: a constant added to E makes them agree and leaves p(v)
where it was (their equation 8 holds in one direction only).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hpcrg.lattice import Lattice
from hpcrg.learn.rbm.machine import Machine, states


def operator(machine: Machine, v: Tensor, h: Tensor, hamiltonian: Tensor) -> Tensor:
    """T(v, h), [state of v, state of h], for configurations v [state, visible] with H [state] and h [state, hidden]."""
    cross = machine.field_on_hidden(v) @ h.T + (v @ machine.visible)[:, None]
    return cross + hamiltonian[:, None]


def coarse_hamiltonian(machine: Machine, hamiltonian: Tensor, h: Tensor) -> Tensor:
    """H_RG(h) by the sum over all v; `hamiltonian` is that of all v in the order of `states`."""
    v = states(machine.shape[0], machine.low)
    return -(operator(machine, v, h, hamiltonian) - hamiltonian[:, None]).logsumexp(0)


def trace_over_hidden(machine: Machine, hamiltonian: Tensor) -> Tensor:
    """ln sum_h exp(T(v, h)) of every v by the sum over all h; zero everywhere for an exact step."""
    v, h = states(machine.shape[0], machine.low), states(machine.shape[1], machine.low)
    return operator(machine, v, h, hamiltonian).logsumexp(1)


def free_energy_difference(machine: Machine, hamiltonian: Tensor) -> float:
    """F of the coarse system less that of the fine one, in units of temperature:
    -ln sum_h exp(-H_RG) + ln sum_v exp(-H)."""
    h = states(machine.shape[1], machine.low)
    coarse = -coarse_hamiltonian(machine, hamiltonian, h).neg().logsumexp(0)
    return float(coarse + hamiltonian.neg().logsumexp(0))


def bond_machine(lattice: Lattice, coupling: float) -> Machine:
    """The machine that is the Ising model H = -K sum s s' exactly: one hidden spin a bond, coupled to both ends by
    w = arccosh(exp(2 K)) / 2."""
    table = lattice.neighbours()
    pairs = [(site, int(table[site, k])) for site in range(lattice.volume) for k in range(table.shape[1] // 2)]
    weights = torch.zeros(lattice.volume, len(pairs), dtype=torch.float64)
    for bond, ends in enumerate(pairs):
        for site in ends:
            weights[site, bond] += 0.5 * math.acosh(math.exp(2.0 * coupling))
    visible, hidden = (torch.zeros(n, dtype=torch.float64) for n in weights.shape)
    return Machine(weights, visible, hidden)
