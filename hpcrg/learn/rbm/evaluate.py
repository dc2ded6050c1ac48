"""What trained stacks make of chains that they never saw, as arrays for analysis/stacks.py.

Of every variant, by test chain:

    overlap   [depth, chain]        mean v v' of configurations and of what comes back from `depth` layers up
    sets      [depth, chain, set]   local sums (local_sums.py) of what comes back, depth 0 being what went in
    lines     [depth, chain, r]     mean correlations of lines (correlations.py) of the same
    passes    [pass, chain, set]    the same after so many passes through the first machine (PASSES)

and of the first machine of the plain stack

    energy    [chain]               mean of -ln of its unnormalised p(v)
    log_z     [direction, 4]        annealed importance sampling, forward and in reverse: annealing.Annealed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpcrg import correlations
from hpcrg.errors import Interrupted
from hpcrg.learn import data
from hpcrg.learn.rbm import annealing, controls
from hpcrg.learn.rbm.machine import Machine
from hpcrg.learn.rbm.stack import Arrays, Job
from hpcrg.learning_specs import ANNEALED, PLAIN
from hpcrg.local_sums import LocalSums

PASSES = (1, 2, 4, 8, 16, 32)
EQUILIBRATION = 200
"""Sweeps that its chains in reverse are given from configurations of the bank."""


def run(
    job: Job, machines: Mapping[str, Sequence[Machine]], device: torch.device, stop: Callable[[], bool],
    report: Callable[[float, str], None],
) -> Arrays:  # fmt: skip
    """All measurements of a job. Raises Interrupted when asked to stop; they are short beside the training."""
    arrays: Arrays = {}
    work = len(job.variants) * len(job.split.test)
    for i, variant in enumerate(job.variants):
        parts = []
        for k, chain in enumerate(job.split.test):
            if stop():
                raise Interrupted(
                    f"{job.source.ensemble.label} seed {job.number}: stopped while testing; the state is kept"
                )
            report((i * len(job.split.test) + k) / work, f"testing {variant}")
            parts.append(_chain(job, variant, machines[variant], chain, device))
        arrays |= {f"{variant}/{name}": np.stack([p[name] for p in parts], axis=1) for name in parts[0]}
    first = machines[PLAIN][0]
    arrays["energy"] = np.array([_energy(job, first, chain, device) for chain in job.split.test])
    if job.spec.annealing:
        arrays["log_z"] = _log_z(job, first, device)
    return arrays


def _chain(job: Job, variant: str, stack: Sequence[Machine], chain: int, device: torch.device) -> Arrays:
    """One test chain: sums over its draws."""
    sums = LocalSums(job.spec.operators, job.source.ensemble.geometry.dimension)
    depths, draws = len(stack) + 1, 0
    overlap = np.zeros(depths)
    lines = np.zeros((depths, job.source.ensemble.size // 2 + 1))
    sets, passes = np.zeros((depths, sums.sets)), np.zeros((len(PASSES), sums.sets))
    place = controls.NAMES.index(variant), len(stack)
    for number, codes in enumerate(_read(job, chain)):
        rng = job.rng(*place, chain, number)
        layers = job.passed(variant, codes, stack, rng, device)
        generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        draws += len(codes)
        for depth in range(depths):
            back = _down(stack[:depth], layers[depth], generator)
            overlap[depth] += float((_spins(back) * _spins(layers[0])).mean(1).sum())
            spins = _lattice(job, variant, back)
            sets[depth] += sums.count(spins)
            lines[depth] += correlations.of_lines(spins)
        v, done = layers[0], 0
        for k, wanted in enumerate(PASSES):
            v = stack[0].gibbs(v, wanted - done, generator)[0]
            done = wanted
            passes[k] += sums.count(_lattice(job, variant, v))
    return {"overlap": overlap / draws, "sets": sets, "lines": lines / draws, "passes": passes}


def _down(below: Sequence[Machine], h: Tensor, generator: torch.Generator) -> Tensor:
    for machine in reversed(below):
        h = machine.draw(machine.field_on_visible(h), generator)
    return h


def _spins(units: Tensor) -> Tensor:
    """Units of any values as -1 and +1."""
    return torch.where(units > 0.5, 1.0, -1.0)


def _lattice(job: Job, variant: str, v: Tensor) -> NDArray[np.int8]:
    """Configurations of a variant on the lattice: a fixed permutation is undone."""
    flat = _spins(v).to(torch.int8).cpu().numpy()
    if variant == "permuted":
        back = np.empty_like(flat)
        back[:, job.order] = flat
        flat = back
    return flat.reshape(len(flat), *job.source.ensemble.geometry.shape)


def _read(job: Job, chain: int) -> Iterator[NDArray[np.uint8]]:
    return data.codes(job.source, data.runs(job.source, [chain], [0]))


def _energy(job: Job, machine: Machine, chain: int, device: torch.device) -> float:
    total, draws = 0.0, 0
    for codes in _read(job, chain):
        v = job.passed(PLAIN, codes, (), job.rng(0), device)[0]
        total += float(machine.visible_energy(v).to(torch.float64).sum())
        draws += len(codes)
    return total / draws


def _log_z(job: Job, machine: Machine, device: torch.device) -> NDArray[np.float64]:
    rng = job.rng(0, len(job.spec.layers), job.source.ensemble.chains)
    generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
    betas = torch.linspace(0.0, 1.0, job.spec.annealing + 1, dtype=torch.float64)
    codes = next(_read(job, job.split.test[0]))
    v = job.passed(PLAIN, codes[rng.integers(0, len(codes), ANNEALED)], (), rng, device)[0]
    own = machine.gibbs(v, EQUILIBRATION, generator)[0]
    found = (
        annealing.forward(machine, betas, ANNEALED, generator),
        annealing.reverse(machine, betas, own, generator),
    )
    return np.array([astuple(each) for each in found])
