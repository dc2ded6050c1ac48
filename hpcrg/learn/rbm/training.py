"""Training of a machine by stochastic maximum likelihood, with centred gradients.

The gradient of ln p is a difference of correlations in the data and in the machine. Those of the machine come from
chains: started at the data for every batch (`cd`), or kept from batch to batch (`pcd`), or kept on a ladder of
temperatures that exchange neighbours (`tempered`), which reaches modes that single chains do not leave. Units are
centred at their means in the data, which makes the gradient independent of the values that units take. See Hinton,
Neural Computation 14, 1771 (2002), Tieleman (ICML 2008), Desjardins et al. (AISTATS 2010), Montavon and Mueller (2012).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from hpcrg.learn.rbm.machine import Machine


@dataclass(frozen=True)
class Settings:
    """`steps` sweeps of the chains a batch; `chains` of them (those of `cd` are as many as the batch); the step of the
    ascent falls linearly from `rate` to zero over `updates`; weights shrink towards zero by `l1` times the step;
    `betas` inverse temperatures of `tempered`, evenly from 1 to `hottest`."""

    negative: Literal["cd", "pcd", "tempered"] = "pcd"
    steps: int = 10
    chains: int = 500
    updates: int = 4000
    rate: float = 0.5
    l1: float = 0.0
    betas: int = 8
    hottest: float = 0.0


@dataclass
class Trainer:
    """A machine under way: `chains` are the persistent ones [beta, chain, visible], `done` counts updates, and
    `generator` makes every random number, so that all of it together is what a checkpoint has to hold."""

    machine: Machine
    settings: Settings
    chains: Tensor
    generator: torch.Generator
    done: int = 0
    parity: int = 0

    def update(self, batch: Tensor) -> None:
        """One step up the likelihood of a batch [example, visible]."""
        s, m = self.settings, self.machine
        data, hidden = batch, m.mean(m.field_on_hidden(batch))
        model, response = self._negative(batch)
        rate = s.rate * (1.0 - self.done / s.updates)
        centre_v, centre_h = data.mean(0), hidden.mean(0)
        step = _correlation(data - centre_v, hidden - centre_h) - _correlation(model - centre_v, response - centre_h)
        step_v = data.mean(0) - model.mean(0) - step @ centre_h
        step_h = hidden.mean(0) - response.mean(0) - centre_v @ step
        m.weights += rate * step
        m.visible += rate * step_v
        m.hidden += rate * step_h
        if s.l1:
            m.weights.copy_(m.weights.sign() * (m.weights.abs() - rate * s.l1).clamp(min=0.0))
        self.done += 1

    def _negative(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Configurations of the machine, and the means of hidden units that belong to them."""
        m, s = self.machine, self.settings
        if s.negative == "cd":
            v, _ = m.gibbs(batch, s.steps, self.generator)
            return v, m.mean(m.field_on_hidden(v))
        ladder = inverse_temperatures(s)
        for k, beta in enumerate(ladder):
            self.chains[k] = m.scaled(beta).gibbs(self.chains[k], s.steps, self.generator)[0]
        if len(ladder) > 1:
            self.parity = 1 - self.parity
            exchange(m, ladder, self.chains, self.parity, self.generator)
        return self.chains[0], m.mean(m.field_on_hidden(self.chains[0]))


def inverse_temperatures(settings: Settings) -> list[float]:
    """Those of the persistent chains, 1 first."""
    if settings.negative != "tempered":
        return [1.0]
    return torch.linspace(1.0, settings.hottest, settings.betas, dtype=torch.float64).tolist()


def exchange(machine: Machine, ladder: list[float], chains: Tensor, parity: int, generator: torch.Generator) -> None:
    """Exchange neighbours of the ladder in place, [beta, chain, visible]: pairs (k, k + 1) with k of one parity. Hidden
    units are summed over, so that the energy of v at beta is that of the scaled machine."""
    for k in range(parity, len(ladder) - 1, 2):
        cold, hot = machine.scaled(ladder[k]), machine.scaled(ladder[k + 1])
        here, there = chains[k], chains[k + 1]
        gain = (
            cold.visible_energy(here) - cold.visible_energy(there)
            + hot.visible_energy(there) - hot.visible_energy(here)
        )  # fmt: skip
        chance = torch.rand(gain.shape, generator=generator, dtype=gain.dtype, device=gain.device)
        swapped = (chance.log() < gain)[:, None]
        chains[k], chains[k + 1] = torch.where(swapped, there, here), torch.where(swapped, here, there)


def start(
    data: Tensor, hidden: int, settings: Settings, generator: torch.Generator, low: float = -1.0, scale: float = 0.01
) -> Trainer:  # fmt: skip
    """A machine whose visible biases are those of independent units with the means of `data` [example, visible], with
    normal weights of standard deviation `scale`; its chains start at examples."""
    visible, kind = data.shape[1], data.dtype
    share = ((data.mean(0) - low) / (1.0 - low)).clamp(0.01, 0.99)
    where: dict[str, Any] = {"dtype": kind, "device": data.device}
    weights = scale * torch.randn((visible, hidden), generator=generator, **where)
    machine = Machine(weights, share.logit() / (1.0 - low), torch.zeros(hidden, **where), low)
    rungs = len(inverse_temperatures(settings))
    chosen = torch.randint(len(data), (rungs, settings.chains), generator=generator, device=data.device)
    return Trainer(machine, settings, data[chosen].clone(), generator)


def fit(trainer: Trainer, batches: Iterable[Tensor]) -> Machine:
    """Updates until `settings.updates` are done or batches run out."""
    for batch in batches:
        if trainer.done >= trainer.settings.updates:
            break
        trainer.update(batch)
    return trainer.machine


def _correlation(left: Tensor, right: Tensor) -> Tensor:
    return left.T @ right / len(left)
