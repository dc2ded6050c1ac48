"""The figures of docs/networks.md: `python tests/bench/networks.py`, about two minutes on one core."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from hpcrg.enumeration import enumerate_all
from hpcrg.lattice import Lattice
from hpcrg.learn.hierarchy import fit, log_loss, random_hierarchy, ring, window_loss
from hpcrg.learn.rbm import exact, training, variational
from hpcrg.learn.rbm.machine import Machine, random_machine
from hpcrg.models import make_model
from hpcrg.system import System

COUPLING = math.log(1 + math.sqrt(2)) / 2
SEEDS = range(3)


def entropy(p: Tensor) -> float:
    """In nats."""
    return float(-torch.where(p > 0, p * p.log(), 0.0).sum())


def machines() -> None:
    """Equal free energies, and training on the 4x4 torus at T_c."""
    found = enumerate_all(System(make_model({"type": "ising"}), Lattice((4, 4))))
    hamiltonian = torch.from_numpy(COUPLING * found.energy)
    log_p = -hamiltonian - (-hamiltonian).logsumexp(0)

    def divergence(machine: Machine) -> float:
        return exact.divergence(machine, lambda v: log_p[((v > 0).long() << torch.arange(16)).sum(-1)])

    m = random_machine(16, 2, 0.2, torch.Generator().manual_seed(4), biases=0.2)
    apart = variational.free_energy_difference(m, hamiltonian)
    bias = torch.tensor([math.acosh(math.exp(apart) / 2)], dtype=torch.float64)
    more = Machine(torch.cat([m.weights, torch.zeros(16, 1).double()], 1), m.visible, torch.cat([m.hidden, bias]))
    for name, each in (("two hidden spins", m), (f"and one with bias {float(bias):.4f}", more)):
        difference = variational.free_energy_difference(each, hamiltonian)
        print(f"{name}: free energies {difference:.4f} apart, divergence {divergence(each):.4f} nats")
    spins = torch.from_numpy(found.spins.astype(np.float32))
    for seed in SEEDS:
        generator, begun = torch.Generator().manual_seed(seed), time.process_time()
        data = spins[torch.multinomial(log_p.exp(), 20_000, replacement=True, generator=generator)]
        trainer = training.start(data, 16, training.Settings(updates=2500), generator)
        while trainer.done < 2500:
            for rows in torch.randperm(len(data), generator=generator).split(500)[: 2500 - trainer.done]:
                trainer.update(data[rows])
        seconds = time.process_time() - begun
        print(f"16 hidden spins, seed {seed}: {divergence(trainer.machine):.4f} nats in {seconds:.1f} s")


def hierarchies() -> None:
    """Whole rings and windows of the Ising ring of 16 at K = 0.5."""
    data = ring(0.5, 16).softmax(0).reshape((2,) * 16)
    exactly = entropy(data) / 16
    for tree in (False, True):
        excess = [fit(random_hierarchy(4, 2, tree, torch.Generator().manual_seed(s)), log_loss, data) for s in SEEDS]
        print(f"{'tree' if tree else 'network'}: excess", *(f"{e - exactly:.1e}" for e in excess), "nats a spin")
    for width in (2, 3, 4, 5):
        target, rows = data.sum(list(range(width, 16))), []
        for seed in SEEDS:
            network = random_hierarchy(4, 2, False, torch.Generator().manual_seed(seed))
            left = fit(network, window_loss, [target] * 16, 200) - entropy(target)
            rows.append(f"{left:.0e} / {float(log_loss(network, data).detach()) - exactly:.1e}")
        print(f"windows of {width}, divergence in a window / excess of the ring:", *rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    machines()
    hierarchies()
