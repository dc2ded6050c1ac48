"""Flat histograms as producers: Wang-Landau walks find weights first, multicanonical chains then keep them fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hpcrg.comm import Comm
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.flat_histogram import multicanonical, wang_landau
from hpcrg.flat_histogram.landscape import Landscape, landscape
from hpcrg.flat_histogram.multicanonical import Plan, Production
from hpcrg.flat_histogram.wang_landau import WangLandau
from hpcrg.producing import Place, Producer, State, describe
from hpcrg.system import System

VERSION = 2
TRIAL = 2**20
"""Steps to time a chain."""
KEPT_WALK = ("ln_g", "known")
KEPT = ("histogram", "energies", "order", "ln_w", "half_trips")


@dataclass(frozen=True)
class Walks:
    """Wang-Landau walks between two energies, each until its modification falls below `final`. A record holds `ln_g`
    float64[level] and `known` uint8[level]."""

    system: System
    lowest: int | None
    highest: int | None
    final: float

    pilot: ClassVar[None] = None
    divisible: ClassVar[bool] = False
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(dict.fromkeys(KEPT_WALK, ("level",)))

    def __post_init__(self) -> None:
        if not 0.0 < self.final < 1.0:
            raise InputError(expected("flat_histogram: final", "a number between 0 and 1", self.final))
        if self.system.disordered:
            raise Unsupported(expected("flat_histogram", "a model without disorder", self.system.model.name))
        if self.system.lattice.boundary == "free":
            raise Unsupported(expected("flat_histogram", "periodic or helical boundaries", "free"))
        landscape(self.system, self.lowest, self.highest)  # refuses other models, and windows without energies

    @cached_property
    def land(self) -> Landscape:
        """What is explored."""
        return landscape(self.system, self.lowest, self.highest)

    @property
    def work(self) -> float:
        """Steps: f = 1 / t ends the walk after 1 / final visits of a level."""
        return self.land.levels.size / self.final

    def trial(self) -> tuple[Producer, State]:
        """Few steps of a multicanonical chain, which take about as long."""
        return FlatHistogram(self, 1, Plan(1, 1, 1, 0, (self.land.lowest, self.land.highest))).trial()

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        window = [self.land.lowest, self.land.highest]
        return {"method": "wang_landau", "version": VERSION, "window": window, "final": self.final,
                **describe(self.system)}  # fmt: skip

    def start(self, place: Place, given: State) -> State:
        """Before the first step."""
        return dict(vars(wang_landau.start(self.land, place)))

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """Some sweeps and a look at the histogram."""
        return wang_landau.advance(self.land, WangLandau(**state), self.final)

    def record(self, state: State) -> State:
        """What the walk has learnt."""
        return {name: state[name] for name in KEPT_WALK}


@dataclass(frozen=True)
class FlatHistogram:
    """Multicanonical chains by a plan, with the weights that `walks` Wang-Landau walks found. A record holds
    `histogram` int64[block, level] of every step, `energies` int64[block, row], `order` int64[block, row, component],
    `ln_w` float64[level], the weights, and `half_trips` int64[1] between the turns of the plan."""

    walk: Walks
    walks: int
    plan: Plan

    divisible: ClassVar[bool] = False
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({
        "histogram": ("block", "level"), "energies": ("block", "row"), "order": ("block", "row", "component"),
        "ln_w": ("level",), "half_trips": ("one",),
    })  # fmt: skip

    @property
    def pilot(self) -> tuple[Producer, int]:
        """The walks."""
        return self.walk, self.walks

    @property
    def land(self) -> Landscape:
        """What is explored."""
        return self.walk.land

    @property
    def work(self) -> float:
        """Steps of one chain."""
        sweeps = self.plan.thermalise + self.plan.blocks * self.plan.rows * self.plan.stride
        return float(sweeps) * self.walk.system.volume

    def trial(self) -> tuple[FlatHistogram, State]:
        """A short chain with weights that are all alike."""
        sweeps = 1 + TRIAL // self.walk.system.volume
        n = self.land.levels.size
        short = replace(self, plan=replace(self.plan, blocks=1, rows=1, stride=sweeps, thermalise=0))
        return short, {"ln_g": np.zeros((1, n)), "known": np.ones((1, n), np.uint8)}

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        return {"method": "flat_histogram", "version": VERSION, "plan": {**vars(self.plan),
                "turns": list(self.plan.turns)}}  # fmt: skip

    def start(self, place: Place, given: State) -> State:
        """Before the first sweep, with weights 1 / g."""
        ln_g = wang_landau.combine(given["known"] > 0, given["ln_g"])
        return dict(vars(multicanonical.start(self.land, self.plan, ln_g, place)))

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """One block."""
        return multicanonical.advance(self.land, self.plan, Production(**state))

    def record(self, state: State) -> State:
        """Histograms, series and the weights they were taken with."""
        return {**{name: state[name] for name in KEPT[:-1]}, "half_trips": state["counters"][2:3]}


def turns(volume: int, per_site: tuple[float, float]) -> tuple[int, int]:
    """Energies between which round trips are counted, from those per site."""
    low, high = (int(np.floor(e * volume)) for e in per_site)
    return low, high
