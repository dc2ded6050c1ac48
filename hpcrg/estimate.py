"""An Estimate: a number with its error, where it came from, and the replicas that carry its correlations.

Statistical errors are blocked jackknife errors. Replicas are kept per source (ensemble id): entry b of
`replicas[source]` is the value recomputed without block b of that source and with every other source whole.
Sources are independent, so

    statistical^2 = sum over sources of (n - 1)/n * sum_b (r_b - mean r)^2,

and a function of several estimates that share sources keeps their covariance by being applied replica by replica
(`derive`). Systematic parts (size effects, level, training seed) stand apart, by name, and are added in quadrature
to the total error. See Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 11.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from hpcrg.errors import CorruptFile, expected, other_schema
from hpcrg.files import parse_json, write_atomically
from hpcrg.validation import explain

SCHEMA = "hpcrg.estimates/1"
Replicas = Mapping[str, NDArray[np.float64]]
Measured = tuple[float, Replicas]
"""A value with its replicas."""


@dataclass(frozen=True)
class Reference:
    """An exact value (error 0) or a published one with its error, and where it stands."""

    value: float
    error: float = 0.0
    source: str = "exact"


def jackknife_error(replicas: NDArray[np.float64]) -> float:
    """The jackknife standard error from leave-one-block-out values, shape (blocks,)."""
    n = replicas.size
    if n < 2:
        return math.nan
    return float(np.sqrt((n - 1) / n * np.sum((replicas - replicas.mean()) ** 2)))


def combined_error(replicas: Replicas) -> float:
    """The standard error over independent sources."""
    return math.sqrt(sum(jackknife_error(r) ** 2 for r in replicas.values()))


@dataclass(frozen=True)
class Estimate:
    """One quantity by one method.

    `quantity` is a name such as T_c, nu, y_t, y_h; `method` such as fss/crossing; `model` the model's name;
    `sizes` the linear sizes used; `source` the ids of the ensembles; `replicas` as in the module's formula;
    `systematic` named parts, each one standard deviation in the unit of the value; `settings` what a reader needs to
    repeat it. `reference` is None where no exact or published value is known.
    """

    quantity: str
    method: str
    model: str
    sizes: tuple[int, ...]
    value: float
    replicas: Replicas = field(repr=False)
    systematic: Mapping[str, float] = field(default_factory=dict)
    source: tuple[str, ...] = ()
    reference: Reference | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def statistical(self) -> float:
        """The statistical standard error."""
        return combined_error(self.replicas)

    @property
    def error(self) -> float:
        """The total error: statistical and systematic parts in quadrature."""
        return math.hypot(self.statistical, *self.systematic.values())

    @property
    def pull(self) -> float | None:
        """(value - reference) / error, with the reference's own error; None without a reference."""
        if self.reference is None:
            return None
        return (self.value - self.reference.value) / math.hypot(self.error, self.reference.error)

    def __str__(self) -> str:
        return format_error(self.value, self.error)

    def as_json(self) -> dict[str, Any]:
        """The estimate as plain JSON values, derived numbers included for the reader."""
        return {
            "schema": SCHEMA, "quantity": self.quantity, "method": self.method, "model": self.model,
            "value": self.value, "error": self.error, "statistical": self.statistical,
            "systematic": dict(self.systematic), "text": str(self), "sizes": list(self.sizes),
            "source": list(self.source), "reference": vars(self.reference) if self.reference else None,
            "pull": self.pull, "settings": dict(self.settings),
            "replicas": {k: np.asarray(v).tolist() for k, v in self.replicas.items()},
        }  # fmt: skip


def format_error(value: float, error: float) -> str:
    """A value with its error in brackets, in units of the last digit: 0.9996(56)."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    shown = round(error * 10**digits)
    return f"{value:.{digits}f}({shown})" if error < 1 else f"{value:.{digits}f}({error:.{digits}f})"


def derive(f: Callable[..., float], *inputs: tuple[float, Replicas]) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """f of several (value, replicas), with the replicas that keep their covariance.

    Inputs that share a source must have equally many replicas of it, over the same blocks.
    Raises ValueError when they have not.
    """
    values = [value for value, _ in inputs]
    sizes: dict[str, int] = {}
    for _, replicas in inputs:
        for source, r in replicas.items():
            if sizes.setdefault(source, len(r)) != len(r):
                raise ValueError(expected(f"replicas of {source}", f"{sizes[source]} blocks", len(r)))
    out = {}
    for source, n in sizes.items():
        rows = [replicas.get(source, np.full(n, value)) for value, replicas in inputs]
        out[source] = np.array([f(*row) for row in zip(*rows, strict=True)], dtype=np.float64)
    return float(f(*values)), out


def difference(a: Estimate, b: Estimate) -> tuple[float, float]:
    """a - b and its joint jackknife error: shared draws cancel as they should; systematic parts are not included."""
    value, replicas = derive(lambda x, y: x - y, (a.value, a.replicas), (b.value, b.replicas))
    return value, combined_error(replicas)


def excess(a: Measured, b: Measured, known: float = 0.0) -> float:
    """How far two numbers from shared draws differ beyond two standard deviations of their difference, as
    sqrt(max(0, difference^2 - 4 variance)); `known` is a further standard deviation that is already accounted for."""
    value, replicas = derive(lambda x, y: x - y, a, b)
    return math.sqrt(max(0.0, value**2 - 4.0 * (combined_error(replicas) ** 2 + known**2)))


def save(path: Path, estimates: Sequence[Estimate]) -> None:
    """Write estimates as a JSON list, whole or not at all. Raises ValueError for a value that is not finite."""
    rows = [e.as_json() for e in estimates]
    write_atomically(path, json.dumps(rows, indent=1, allow_nan=False).encode())


class _Row(BaseModel):
    """What a file of estimates must tell of each; the rest follows from it."""

    quantity: str
    method: str
    model: str
    sizes: tuple[int, ...]
    value: float
    replicas: dict[str, list[float]]
    systematic: dict[str, float]
    source: tuple[str, ...]
    reference: Reference | None
    settings: dict[str, Any]


def load(path: Path) -> list[Estimate]:
    """Read estimates. Raises CorruptFile for another schema and for what is no estimate."""
    raw = parse_json(path.read_text())
    for row in raw if isinstance(raw, list) else [raw]:
        schema = row.get("schema") if isinstance(row, dict) else None
        if schema != SCHEMA:
            raise CorruptFile(other_schema(path, SCHEMA, schema))
    try:
        rows = TypeAdapter(list[_Row]).validate_python(raw)
    except ValidationError as error:
        raise CorruptFile("\n".join(explain(str(path), error))) from None
    return [
        Estimate(
            row.quantity, row.method, row.model, row.sizes, row.value,
            {source: np.array(values) for source, values in row.replicas.items()}, row.systematic, row.source,
            row.reference, row.settings,
        )
        for row in rows
    ]  # fmt: skip
