"""What one seed of a stack left (learn/rbm/evaluate.py), and means over seeds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpcrg import checkpoint
from hpcrg.analysis import fields
from hpcrg.errors import CorruptFile, InputError, expected, other_schema
from hpcrg.estimate import format_error
from hpcrg.learning_specs import STACK_SCHEMA
from hpcrg.local_sums import LocalSums
from hpcrg.validation import explain

PERMUTED = "permuted"
Values = NDArray[np.float64]


class About(BaseModel):
    """What a file says of itself: the stack and its seed, the bank, `units` of every layer with the sites first, the
    stack and its controls as `variants`, what was measured, and the chains it was tested on."""

    model_config = ConfigDict(frozen=True)
    stack: str
    number: int
    id: str
    label: str
    model: str
    beta: float = Field(gt=0, allow_inf_nan=False)
    size: int = Field(ge=2)
    shape: tuple[int, ...] = Field(min_length=1)
    units: tuple[int, ...] = Field(min_length=2)
    variants: tuple[str, ...] = Field(min_length=1)
    operators: tuple[str, ...] = Field(min_length=1)
    passes: tuple[int, ...]
    test: tuple[int, ...] = Field(min_length=1)
    draws: int


@dataclass(frozen=True)
class Seed:
    """One file: what it says of itself, and its arrays (learn/rbm/evaluate.py)."""

    about: About
    arrays: dict[str, NDArray[Any]]

    @property
    def number(self) -> int:
        """Which seed of the stack this is."""
        return self.about.number

    @property
    def variants(self) -> tuple[str, ...]:
        """The stack and its controls."""
        return self.about.variants

    @property
    def layers(self) -> int:
        """Machines of the stack."""
        return len(self.about.units) - 1

    @cached_property
    def fields(self) -> dict[str, list[Values]]:
        """The fields of every variant and layer on the lattice, [site, unit]."""
        found = {}
        for variant in self.variants:
            weights = [self.arrays[f"{variant}/weights/{k}"] for k in range(self.layers)]
            if variant == PERMUTED:
                back = np.empty_like(weights[0])
                back[self.arrays["order"].astype(np.int64)] = weights[0]
                weights[0] = back
            found[variant] = fields.of_stack(weights)
        return found

    @cached_property
    def radii(self) -> dict[str, list[Values]]:
        """Of every unit that has weights."""
        shape = self.about.shape
        return {name: [_finite(fields.radii(f, shape)) for f in layers] for name, layers in self.fields.items()}

    @cached_property
    def spreads(self) -> dict[str, list[Values]]:
        """The participation ratio of every unit that has weights."""
        return {name: [_finite(fields.participation(f)) for f in layers] for name, layers in self.fields.items()}


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its standard error, and the values of the seeds."""

    values: Values

    @property
    def value(self) -> float:
        """The mean."""
        return float(np.mean(self.values))

    @property
    def error(self) -> float:
        """NaN for one seed."""
        n = len(self.values)
        return float(np.std(self.values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan

    @property
    def effect(self) -> float:
        """In standard errors from zero: 0 where all seeds have 0, infinite where all have the same other number."""
        if self.error == 0:
            return math.copysign(math.inf, self.value) if self.value else 0.0
        return self.value / self.error

    def __str__(self) -> str:
        return format_error(self.value, self.error)


def read(path: Path) -> Seed:
    """One file of `hpcrg stack`. Raises CorruptFile for another, and for one whose arrays are not what it says."""
    arrays = checkpoint.load(path)
    try:
        raw = json.loads(bytes(arrays.pop("about")))
        schema = raw["schema"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise CorruptFile(other_schema(path, STACK_SCHEMA, None)) from None
    if schema != STACK_SCHEMA:
        raise CorruptFile(other_schema(path, STACK_SCHEMA, schema))
    try:
        seed = Seed(About.model_validate(raw), arrays)
        _check(path, seed)
    except ValidationError as error:
        raise CorruptFile("\n".join(explain(str(path), error))) from None
    except InputError as error:
        raise CorruptFile(f"{path}: {error}") from None
    return seed


def _check(path: Path, seed: Seed) -> None:
    about, (sites, *_) = seed.about, seed.about.units
    sums = LocalSums(about.operators, len(about.shape))
    chains, depths = len(about.test), len(about.units)
    wanted: dict[str, tuple[int, ...]] = {"order": (sites,)}
    for variant in about.variants:
        wanted |= {f"{variant}/weights/{k}": pair for k, pair in enumerate(pairwise(about.units))}
        wanted[f"{variant}/sets"] = (depths, chains, sums.sets)
        wanted[f"{variant}/overlap"] = (depths, chains)
        if f"{variant}/lines" in seed.arrays:  # earlier files have none
            wanted[f"{variant}/lines"] = (depths, chains, about.size // 2 + 1)
        wanted[f"{variant}/passes"] = (len(about.passes), chains, sums.sets)
    if "log_z" in seed.arrays:
        wanted |= {"log_z": (2, 4), "energy": (chains,)}
    for name, shape in wanted.items():
        found = seed.arrays.get(name)
        if found is None or found.shape != shape or found.dtype.kind not in "if" or not np.isfinite(found).all():
            other = None if found is None else f"{found.dtype} of shape {found.shape}"
            raise CorruptFile(expected(f"{path}: {name}", f"finite numbers of shape {shape}", other))
    order = seed.arrays["order"]
    if math.prod(about.shape) != sites or not np.array_equal(np.sort(order), np.arange(sites)):
        raise CorruptFile(expected(f"{path}: order", f"a permutation of {math.prod(about.shape)} sites", "another"))


def _finite(values: Values) -> Values:
    return values[np.isfinite(values)]
