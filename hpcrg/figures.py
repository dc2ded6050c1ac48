"""Figure data: what an analysis wants drawn, as numbers with labels. The report draws them and computes nothing.

One file beside each estimates file, schema `hpcrg.figures/1`: figures, notes and tables.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hpcrg.errors import CorruptFile, other_schema
from hpcrg.files import write_atomically

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
class FigureData:
    """Everything that one analysis shows."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def save(path: Path, data: FigureData) -> None:
    """Write the figure data as JSON, whole or not at all."""
    write_atomically(path, json.dumps({"schema": SCHEMA} | asdict(data), indent=1).encode())


def load(path: Path) -> FigureData:
    """Read figure data. Raises CorruptFile for another schema."""
    raw: dict[str, Any] = json.loads(path.read_text())
    if raw.get("schema") != SCHEMA:
        raise CorruptFile(other_schema(path, SCHEMA, raw.get("schema")))
    figures = [
        Figure(
            **{
                **f,
                "curves": [Curve(**c) for c in f["curves"]],
                "reference": Mark(**f["reference"]) if f["reference"] else None,
            }
        )
        for f in raw["figures"]
    ]
    return FigureData(figures, [Note(**n) for n in raw["notes"]], [Table(**t) for t in raw["tables"]])
