"""The parts of a campaign file, each checked by itself: types, ranges, names, one key a quantity.

What concerns several parts at once is checked in campaign.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from hpcrg.errors import Unsupported, expected
from hpcrg.lattice import BOUNDARIES, LATTICES, Lattice
from hpcrg.models import MODELS, Model, make_model
from hpcrg.operators import EVEN, ODD
from hpcrg.schemes import SCHEMES
from hpcrg.updates import UPDATES

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
MOST = 2**31 - 1
"""The largest number of anything that is counted: what is numbered by 32 bits (chains, sites) stays within them."""
MOST_SIZES = 256
MOST_LEVELS = 30
"""So many times a lattice can be halved."""
Positive = Annotated[int, Field(ge=1, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Size = Annotated[int, Field(ge=2, le=MOST)]
Sizes = Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=MOST_SIZES)]
MOST_SLOTS = 2**16
"""Walkers are numbered by 16 bits."""
MOST_MEASURE = 2**16 - 1
"""Exchanges between two measurements are counted in 16 bits."""


Temperature = Annotated[float, Field(ge=1e-12, le=1e12)]
"""One that has an inverse, and room to count the steps to it."""


def distinct(values: Sequence[float], what: str) -> None:
    """Raises ValueError for a value given twice."""
    twice = [v for v, n in Counter(values).items() if n > 1]
    if twice:
        raise ValueError(f"expected distinct {what}, found {twice[0]} {Counter(values)[twice[0]]} times")


def known(name: str, registry: Collection[str]) -> str:
    """The name, if it is registered. Raises ValueError."""
    if name not in registry:
        raise ValueError(expected("", f"one of {', '.join(registry)}", name, registry).removeprefix(": "))
    return name


class Spec(BaseModel):
    """A part of a campaign: no unknown keys, no silent conversions, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelSpec(BaseModel):
    """A model by its registered name, with that model's parameters beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str = Field(json_schema_extra={"enum": list(MODELS)})

    @model_validator(mode="after")
    def _make(self) -> ModelSpec:
        make_model(self.model_dump())
        return self


class LatticeSpec(Spec):
    """A lattice family; the sizes stand with the ensembles."""

    type: str = Field("hypercubic", json_schema_extra={"enum": list(LATTICES)})
    dimension: Literal[1, 2, 3, 4] = 2
    boundary: str = Field("periodic", json_schema_extra={"enum": list(BOUNDARIES)})

    @field_validator("type")
    @classmethod
    def _type(cls, name: str) -> str:
        return known(name, LATTICES)

    @field_validator("boundary")
    @classmethod
    def _boundary(cls, name: str) -> str:
        return known(name, BOUNDARIES)

    @model_validator(mode="after")
    def _exists(self) -> LatticeSpec:
        self.of_size(8)
        return self

    def of_size(self, size: int) -> Lattice:
        """The lattice of one linear size."""
        return Lattice((size,) * self.dimension, self.type, self.boundary)


class UpdateSpec(Spec):
    """An update and how many times it runs in a sweep (for Wolff: the fixed number of clusters)."""

    type: str = Field(json_schema_extra={"enum": list(UPDATES)})
    repeat: Positive = 1

    @field_validator("type")
    @classmethod
    def _type(cls, name: str) -> str:
        return known(name, UPDATES)


class TuneSpec(Spec):
    """A ladder found from fixed pilot chains: spacing at equal communication barrier between two temperatures."""

    coldest: Temperature
    hottest: Temperature
    slots: int = Field(ge=2, le=MOST_SLOTS)
    pilot_chains: Positive = 2
    pilot_rounds: int = Field(2000, ge=200, le=MOST)
    iterations: int = Field(4, ge=2, le=MOST)

    @model_validator(mode="after")
    def _order(self) -> TuneSpec:
        if self.coldest >= self.hottest:
            raise ValueError(f"expected coldest < hottest, found {self.coldest} and {self.hottest}")
        return self


class LadderSpec(Spec):
    """The temperatures of an ensemble, in any order: given as temperatures, as betas, as the exact critical point of
    the model (`critical: true`), or to be tuned."""

    temperatures: tuple[float, ...] | None = Field(None, strict=False)
    betas: tuple[float, ...] | None = Field(None, strict=False)
    critical: bool = False
    tune: TuneSpec | None = None

    @field_validator("temperatures", "betas")
    @classmethod
    def _values(cls, values: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        what = str(info.field_name)
        if values is None:
            return values
        if not values:
            raise ValueError(f"expected at least one of {what}, found an empty list")
        for v in values:
            if not (v > 0 and math.isfinite(v) and math.isfinite(1.0 / v)):
                raise ValueError(f"expected positive finite {what} with finite inverses, found {v}")
        distinct(values, what)
        return values

    @model_validator(mode="after")
    def _one(self) -> LadderSpec:
        given = [k for k in ("temperatures", "betas", "tune") if getattr(self, k) is not None]
        given += ["critical"] if self.critical else []
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of temperatures, betas, critical, tune; found {', '.join(given) or 'none'}"
            )
        return self

    @property
    def slots(self) -> int:
        """The number of temperatures."""
        return self.tune.slots if self.tune else len(self.temperatures or self.betas or (1,))

    def resolve(self, model: Model, lattice: Lattice) -> tuple[float, ...]:
        """The betas, coldest first; empty for a ladder still to be tuned."""
        if self.tune is not None:
            return ()
        if self.critical:
            beta_c = model.exact(lattice).beta_c
            if beta_c is None:
                raise Unsupported(f"ladder.critical: no exact or published critical point is known for {model.name} "
                                  f"in d = {lattice.dimension}; give temperatures")  # fmt: skip
            return (beta_c.value,)
        betas = self.betas if self.betas is not None else [1.0 / t for t in self.temperatures or ()]
        return tuple(sorted(betas, reverse=True))


class EnsembleSpec(Spec):
    """A group of ensembles that differ in lattice size only. A round is one exchange, then one pass over `updates`;
    `thermalise`, `measure` and `keep` count rounds; `draws` configurations are kept per chain, copy and slot.
    `copies` independent ladders share a chain (and its disorder); the model says how many unless given."""

    sizes: Sizes
    ladder: LadderSpec
    updates: tuple[UpdateSpec, ...] = Field(strict=False, min_length=1)
    exchange: bool | None = None
    chains: Positive = 8
    copies: Positive | None = None
    thermalise: Natural = 500
    measure: int = Field(1, ge=1, le=MOST_MEASURE)
    keep: Positive = 10
    draws: Positive

    @model_validator(mode="after")
    def _check(self) -> EnsembleSpec:
        distinct(self.sizes, "sizes")
        if self.keep % self.measure:
            raise ValueError(f"expected keep a multiple of measure, found keep {self.keep}, measure {self.measure}")
        return self

    @property
    def measurements(self) -> int:
        """Measurements per chain and slot."""
        return self.draws * self.keep // self.measure


class ScaleSpec(Spec):
    """Finite-size scaling of one group of ensembles; `blocks` jackknife blocks per chain."""

    ensemble: str
    blocks: Positive = 4
    check_equilibration: bool = True


class FlowSpec(Spec):
    """Monte Carlo renormalisation of one group of ensembles at a single temperature: `levels` applications of a
    block-spin scheme with block length `factor`, and the operators kept. The last level is the one quoted."""

    ensemble: str
    scheme: str = Field(json_schema_extra={"enum": list(SCHEMES)})
    factor: Size = 2
    levels: int = Field(3, ge=1, le=MOST_LEVELS)
    even: tuple[str, ...] = Field(("nn", "nnn", "plaquette", "third"), strict=False, min_length=1)
    odd: tuple[str, ...] = Field(("magnetisation", "corner"), strict=False, min_length=1)
    blocks: Positive = 4
    check_equilibration: bool = True

    @field_validator("scheme")
    @classmethod
    def _scheme(cls, name: str) -> str:
        return known(name, SCHEMES)

    @field_validator("even", "odd")
    @classmethod
    def _operators(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            known(name, EVEN if info.field_name == "even" else ODD)
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise ValueError(f"expected distinct operators, found {twice[0]} twice")
        return names


class ReportSpec(Spec):
    """What stands on top of the report."""

    title: str = ""


class Resources(Spec):
    """How many processes each step may use, and the seconds between checkpoints of sampling, which are the most that a
    kill can cost; never part of any result."""

    ranks: Positive = 2
    workers: Positive = 2
    processes: Positive = 2
    interval: float = Field(30.0, ge=0, le=86400, allow_inf_nan=False)
