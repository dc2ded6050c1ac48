"""What is to be trained: one network a lattice size, architecture and seed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError, expected
from hpcrg.learn import data
from hpcrg.learn.nets import NETS, Inputs
from hpcrg.learn.objectives import OBJECTIVES, Objective
from hpcrg.learn.precision import WEIGHTS
from hpcrg.learning_specs import LANES, Net
from hpcrg.rng import Purpose, id_words, stream

WARM_UP = 0.2
"""The part of all steps in which the learning rate grows."""


@dataclass(frozen=True)
class Job:
    """One network: the bank it is trained on, its architecture, its seed's split of the chains, and the file of its
    state."""

    source: data.Source
    spec: TrainSpec
    seed: int
    net: Net
    number: int
    file: Path
    others: Sequence[data.Source] = ()

    @property
    def tested(self) -> list[data.Source]:
        """The banks that this network is tested on: its own, and `others` of other sizes."""
        return [self.source, *self.others]

    @cached_property
    def split(self) -> data.Split:
        """Which chains this network sees."""
        ensemble = self.source.ensemble
        return data.split(ensemble.label, ensemble.chains, self.spec.seeds, self.number)

    @cached_property
    def objective(self) -> Objective:
        """What it is trained for."""
        return OBJECTIVES[self.spec.objective](self.source.ensemble.betas, self.spec.cold, self.spec.hot)

    @property
    def rate(self) -> float:
        """The largest learning rate."""
        return self.spec.rate(self.net)

    @cached_property
    def steps(self) -> int:
        """Batches in an epoch."""
        return data.steps(self.runs(self.split.training), self.spec.batch)

    def done(self, step: int) -> float:
        """The fraction of all steps before this one."""
        return step / (self.steps * self.spec.epochs)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: linear up, cosine down to zero."""
        done = self.done(step)
        if done < WARM_UP:
            return self.rate * (0.05 + 0.95 * done / WARM_UP)
        return self.rate * (0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))))

    @property
    def address(self) -> tuple[int, ...]:
        """What its random numbers are addressed by."""
        return (*id_words(self.source.ensemble.id), self.number)

    def runs(self, chains: Sequence[int]) -> list[data.Run]:
        """The labelled draws of some chains."""
        return data.runs(self.source, chains, self.objective.slots(), LANES)

    def network(self) -> nn.Module:
        """The network with its first weights, which follow from the seed; the global generator is left
        alone."""
        ensemble = self.source.ensemble
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(stream(self.seed, Purpose.TRAINING, *self.address)[0] >> 1))
            inputs = Inputs(ensemble.physics.states, ensemble.geometry.shape)
            return NETS[self.net](inputs, self.spec.channels).to(WEIGHTS[self.spec.precision])


def jobs_of(banks: Sequence[Path], name: str, spec: TrainSpec, seed: int, directory: Path) -> list[Job]:
    """A job for each bank and seed. Raises InputError for banks that cannot serve, before anything is
    trained."""
    sources = data.sources(banks, f"train {name}")
    found = [
        Job(s, spec, seed, net, k, _state(directory, spec, seed, s, f"{net}-seed{k}"))
        for s in sources
        for net, k in spec.networks
    ]
    if spec.size is not None:
        chains = [s.ensemble.chains for s in sources]
        if len(set(chains)) > 1:
            raise InputError(expected(f"train {name}: chains", "as many in every bank", chains))
        found = [
            replace(j, others=[s for s in sources if s is not j.source])
            for j in found
            if j.source.ensemble.size == spec.size
        ]
    if not found:
        labels = ", ".join(s.ensemble.label for s in sources)
        raise InputError(expected(f"train {name}: size", f"that of a bank, one of {labels}", spec.size))
    for job in found:
        _ = job.split, job.objective
    return found


def _state(directory: Path, spec: TrainSpec, seed: int, source: data.Source, network: str) -> Path:
    """The file of a network's state, in a directory of its own for everything else that the numbers depend on, so that
    no state is mistaken for another."""
    e = source.ensemble
    told = spec.model_dump(exclude={"blocks", "net", "size", "taught_by"})
    if spec.patience is None:  # earlier versions had no such key
        del told["patience"]
    text = json.dumps([told, seed, e.id, e.chains, e.draws], sort_keys=True)
    return directory / hashlib.sha256(text.encode()).hexdigest()[:16] / f"{e.label}-{network}.checkpoint"
