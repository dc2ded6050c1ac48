"""Population annealing as a producer: one pilot population fixes the schedule, the others follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hpcrg.comm import Comm
from hpcrg.errors import InputError, expected
from hpcrg.population.cooling import RECORDS, VERSION, Cooling
from hpcrg.population.resampling import next_step
from hpcrg.producing import Place, Producer, State

TRIAL = 20
"""Walkers to time a chain."""


@dataclass(frozen=True)
class Schedule:
    """Inverse temperatures from 0 to `beta` at which a fraction `culled` of a pilot population would leave no copy. A
    schedule is fixed before data are taken: one that follows the data of its own population biases them. A record holds
    `betas` float64[step]. Raises InputError unless 0 < culled < 1 and beta > 0."""

    cooling: Cooling
    beta: float
    culled: float

    pilot: ClassVar[None] = None
    divisible: ClassVar[bool] = True
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({"betas": ("step",)})

    def __post_init__(self) -> None:
        if not 0.0 < self.culled < 1.0:
            raise InputError(expected("population: culled", "a fraction between 0 and 1", self.culled))
        if not 0.0 < self.beta < np.inf:
            raise InputError(expected("population: beta", "a positive number", self.beta))

    @property
    def steps(self) -> int:
        """A guess of how many steps there will be: a step culls about 0.4 standard deviations of beta E, which grow as
        the root of the number of sites."""
        return 1 + int(0.4 * np.sqrt(self.cooling.system.volume) * self.beta / self.culled)

    @property
    def work(self) -> float:
        """Spin updates, about."""
        return float(self.steps) * self.cooling.sweeps * self.cooling.walkers * self.cooling.system.volume

    def trial(self) -> tuple[Producer, State]:
        """Few steps of a population, which take about as long."""
        return Population(self).trial()

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        return {"method": "schedule", "beta": self.beta, "culled": self.culled, **self.cooling.identity()}

    def start(self, place: Place, given: State) -> State:
        """A population at infinite temperature."""
        return {**self.cooling.start(place, 1), "betas": np.zeros(1)}

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """The next inverse temperature."""
        last = float(state["betas"][-1])
        longest = self.beta - last
        change = next_step(state["energies"], longest, self.culled)
        beta = self.beta if change == longest else last + change
        for name in RECORDS:
            state[name] = np.append(state[name], np.nan)
        self.cooling.step(state, change, beta, comm)
        state["betas"] = np.append(state["betas"], beta)
        return beta == self.beta

    def record(self, state: State) -> State:
        """The schedule."""
        return {"betas": state["betas"]}


@dataclass(frozen=True)
class Population:
    """Independent populations on one schedule. A record holds RECORDS float64[step]."""

    schedule: Schedule

    divisible: ClassVar[bool] = True
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(dict.fromkeys(RECORDS, ("step",)))

    @property
    def pilot(self) -> tuple[Producer, int]:
        """One population, to find the schedule."""
        return self.schedule, 1

    @property
    def work(self) -> float:
        """As much as the pilot."""
        return self.schedule.work

    def trial(self) -> tuple[Population, State]:
        """Few walkers on an even schedule."""
        few = replace(self.schedule.cooling, walkers=min(TRIAL, self.schedule.cooling.walkers))
        betas = np.linspace(0.0, self.schedule.beta, self.schedule.steps + 1)
        return Population(replace(self.schedule, cooling=few)), {"betas": betas[None]}

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        return {"method": "population", "version": VERSION}

    def start(self, place: Place, given: State) -> State:
        """A population at infinite temperature."""
        return self.schedule.cooling.start(place, given["betas"].shape[1])

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """One step of the schedule."""
        betas, k = given["betas"][0], int(state["step"][0]) + 1
        self.schedule.cooling.step(state, float(betas[k] - betas[k - 1]), float(betas[k]), comm)
        return k + 1 == len(betas)

    def record(self, state: State) -> State:
        """What was recorded at every step."""
        return {name: state[name] for name in RECORDS}
