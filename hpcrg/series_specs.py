"""The parts of a campaign that ask for series instead of banks, each a mapping from a name to one of these. A chain is
an independent run with random streams of its own; errors are taken over chains."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.flat_histogram.multicanonical import Plan
from hpcrg.flat_histogram.run import FlatHistogram, Walks, turns
from hpcrg.lattice import Lattice
from hpcrg.population import Cooling, Population, Schedule
from hpcrg.probability_changing import HALF, RULES, Finder
from hpcrg.producing import Producer
from hpcrg.specs import MOST, Natural, Positive, Sizes, Spec, Temperature, distinct, known
from hpcrg.system import System
from hpcrg.updates import UPDATES

Finite = Annotated[float, Field(allow_inf_nan=False)]
Energy = Annotated[float, Field(ge=-1e6, le=1e6)]
"""An energy per site, J = 1."""


class SeriesSpec(Spec):
    """What all of them have: linear sizes, and how many chains of each."""

    needs_model: ClassVar[bool] = True
    fewest_sizes: ClassVar[int] = 1
    sizes: Sizes
    chains: int = Field(20, ge=2, le=MOST)

    @property
    def independent(self) -> int:
        """How many independent numbers the errors come from."""
        return self.chains

    @abstractmethod
    def producer(self, system: System | None, lattice: Lattice) -> Producer:
        """The producer for one size. Raises InputError or Unsupported for what physics does not allow."""

    @model_validator(mode="after")
    def _sizes_differ(self) -> SeriesSpec:
        distinct(self.sizes, "sizes")
        if len(self.sizes) < self.fewest_sizes:
            raise ValueError(f"expected at least {self.fewest_sizes} sizes to extrapolate from, found {self.sizes[0]}")
        return self


class PercolationSpec(SeriesSpec):
    """Percolation of one type by the method of Newman and Ziff: `realisations` a chain."""

    needs_model: ClassVar[bool] = False
    fewest_sizes: ClassVar[int] = 2
    type: Literal["site", "bond"]
    realisations: Positive

    def producer(self, system: System | None, lattice: Lattice) -> Producer:
        """See SeriesSpec. Kernels are loaded by those who ask for them."""
        from hpcrg.percolation import Percolation

        if lattice.boundary != "periodic" or lattice.dimension < 2:
            wanted, found = "a torus of 2 dimensions or more to wrap around", (lattice.boundary, lattice.dimension)
            raise Unsupported(expected("lattice", wanted, found))
        return Percolation(lattice, self.type, self.realisations)


class DimersSpec(SeriesSpec):
    """Close-packed dimers with `coupling` K = v / T between parallel neighbours: in each chain `thermalise` samples are
    dropped and `samples` kept, with `moves` loops or clusters before each."""

    needs_model: ClassVar[bool] = False
    fewest_sizes: ClassVar[int] = 2
    coupling: Finite = 0.0
    algorithm: Literal["directed_loop", "pocket"] = "directed_loop"
    moves: Positive = 10
    thermalise: Natural = 200
    samples: Positive

    def producer(self, system: System | None, lattice: Lattice) -> Producer:
        """See SeriesSpec. Kernels are loaded by those who ask for them."""
        from hpcrg.dimers import Dimers

        if lattice.shape[0] % 8:
            raise InputError(expected("sizes", "sides divisible by 8, for correlations half a torus apart",
                                      lattice.shape[0]))  # fmt: skip
        return Dimers(lattice, self.coupling, self.algorithm, self.moves, self.thermalise, self.samples)


class FlatHistogramSpec(SeriesSpec):
    """Wang-Landau and multicanonical sampling of energies per site between `lowest` and `highest` (all that bonds could
    have, if not given): `walks` walks until f < `final` make the weights, then every chain takes `blocks` of `rows`
    measurements, one every `stride` sweeps. Round trips are counted between the energies per site `turns`."""

    fewest_sizes: ClassVar[int] = 2
    lowest: Energy | None = None
    highest: Energy | None = None
    turns: tuple[Energy, Energy] = Field(strict=False)
    walks: Positive = 2
    final: float = Field(1e-6, ge=1e-15, lt=1)
    blocks: Positive = 8
    rows: Positive = 1000
    stride: Positive = 10
    thermalise: Natural = 1000
    chains: Positive = 4

    @property
    def independent(self) -> int:
        """See SeriesSpec."""
        return self.chains * self.blocks

    @model_validator(mode="after")
    def _order(self) -> FlatHistogramSpec:
        if not self.turns[0] < self.turns[1]:
            raise ValueError(f"expected turns in ascending order, found {self.turns[0]} and {self.turns[1]}")
        if self.lowest is not None and self.highest is not None and not self.lowest < self.highest:
            raise ValueError(f"expected lowest < highest, found {self.lowest} and {self.highest}")
        if self.independent < 2:
            raise ValueError(expected("blocks", "at least 2 jackknife blocks over all chains", 1))
        return self

    def producer(self, system: System | None, lattice: Lattice) -> FlatHistogram:
        """See SeriesSpec."""
        made = _required(system)
        bottom = -math.inf if self.lowest is None else self.lowest
        top = math.inf if self.highest is None else self.highest
        if self.turns[0] < bottom or self.turns[1] > top:
            raise InputError(expected("turns", f"energies from {bottom:g} to {top:g}", self.turns))
        low, high = (None if e is None else math.floor(e * lattice.volume) for e in (self.lowest, self.highest))
        plan = Plan(self.blocks, self.rows, self.stride, self.thermalise, turns(lattice.volume, self.turns))
        return FlatHistogram(Walks(made, low, high, self.final), self.walks, plan)


class PopulationSpec(SeriesSpec):
    """Population annealing from infinite temperature down to `coldest`: each chain a population of `walkers`, with
    `sweeps` of an update after every step, which culls the fraction `culled` of a pilot population."""

    coldest: Temperature
    update: str = Field("heat_bath", json_schema_extra={"enum": list(UPDATES)})
    walkers: int = Field(ge=10, le=MOST)
    sweeps: Positive = 5
    culled: float = Field(0.05, ge=1e-6, lt=1)

    @field_validator("update")
    @classmethod
    def _update(cls, name: str) -> str:
        return known(name, UPDATES)

    def producer(self, system: System | None, lattice: Lattice) -> Population:
        """See SeriesSpec."""
        cooling = Cooling(_required(system), self.update, self.walkers, self.sweeps)
        return Population(Schedule(cooling, 1.0 / self.coldest, self.culled))


class ProbabilityChangingSpec(SeriesSpec):
    """Clusters that find the critical point by themselves in `sweeps` sweeps a chain, by one of two rules: `self_dual`,
    on the square lattice, has no size shift; `half` needs several sizes and nu, the model's own if not given."""

    rule: str = Field("half", json_schema_extra={"enum": list(RULES)})
    sweeps: int = Field(ge=100, le=MOST)
    first: float = Field(0.005, gt=0, lt=1)
    nu: float | None = Field(None, gt=0, allow_inf_nan=False)

    @field_validator("rule")
    @classmethod
    def _rule(cls, name: str) -> str:
        return known(name, RULES)

    def producer(self, system: System | None, lattice: Lattice) -> Finder:
        """See SeriesSpec."""
        finder = Finder(_required(system), self.rule, self.sweeps, self.first)
        model = finder.system.model
        if self.rule == HALF and self.nu is None and model.exact(lattice).nu is None:
            raise InputError(expected("nu", f"a value, since none is known of {model.name}", None))
        return finder

    @model_validator(mode="after")
    def _several_sizes_for_a_shift(self) -> ProbabilityChangingSpec:
        if self.rule != HALF and self.nu is not None:
            raise ValueError(expected("nu", f"none, since the rule {self.rule} has no shift with size", self.nu))
        if self.rule == HALF and len(self.sizes) < 2:
            raise ValueError(expected("sizes", f"at least 2 for the rule {HALF}", len(self.sizes)))
        return self


def _required(system: System | None) -> System:
    if system is None:
        raise InputError(expected("model", "a model", None))
    return system


SPECS: Mapping[str, type[SeriesSpec]] = {
    "percolation": PercolationSpec, "dimers": DimersSpec, "flat_histogram": FlatHistogramSpec,
    "population": PopulationSpec, "probability_changing": ProbabilityChangingSpec,
}  # fmt: skip
"""The keys of a campaign that ask for series."""
