"""Figure data: what an analysis wants drawn, as numbers with labels. The report draws them and computes nothing.

One file beside each estimates file, schema `hpcrg.figures/1`: figures, notes, tables and panels of pictures.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from hpcrg.errors import CorruptFile, other_schema
from hpcrg.files import parse_json, write_atomically
from hpcrg.validation import explain

SCHEMA = "hpcrg.figures/1"


@dataclass(frozen=True)
class Curve:
    """One line or set of points; `yerr` is one standard error, or None where there is none."""

    label: str
    x: list[float]
    y: list[float]
    yerr: list[float] | None = None
    style: Literal["points", "line", "both"] = "both"


@dataclass(frozen=True)
class Mark:
    """A reference position: a vertical line at `x`, a horizontal line at `y`, or both."""

    label: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True)
class Figure:
    """One pair of axes. Labels carry units; the caption says what a reader should see."""

    name: str
    title: str
    xlabel: str
    ylabel: str
    curves: list[Curve]
    caption: str = ""
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    reference: Mark | None = None


@dataclass(frozen=True)
class Note:
    """A sentence that the report must show: information, a warning, or a failure of a method."""

    level: Literal["info", "warning", "failure"]
    text: str


@dataclass(frozen=True)
class Table:
    """A small table of text cells."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Panels:
    """Small pictures in labelled rows: `rows` [row][picture][y][x] of whole numbers, -127 blue to 127 red, 0 white."""

    name: str
    title: str
    labels: list[str]
    rows: list[list[list[list[int]]]]
    caption: str = ""


@dataclass(frozen=True)
class FigureData:
    """Everything that one analysis shows."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    panels: list[Panels] = field(default_factory=list)


def save(path: Path, data: FigureData) -> None:
    """Write the figure data as JSON, whole or not at all."""
    write_atomically(path, json.dumps({"schema": SCHEMA} | asdict(data), indent=1).encode())


def load(path: Path) -> FigureData:
    """Read figure data. Raises CorruptFile for another schema and for what is no figure data."""
    raw = parse_json(path.read_text())
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise CorruptFile(other_schema(path, SCHEMA, schema))
    try:
        return TypeAdapter(FigureData).validate_python(raw)
    except ValidationError as error:
        raise CorruptFile("\n".join(explain(str(path), error))) from None
