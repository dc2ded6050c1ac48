"""Which update serves which model on which lattice, and why not: the table that `hpcrg models` prints and that the
tests of exactness loop over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any

from hpcrg.errors import Unsupported
from hpcrg.figures import Table
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, make_model
from hpcrg.system import System
from hpcrg.updates import UPDATES, check_round

KINDS: Mapping[str, tuple[str, int]] = {
    "chain": ("hypercubic", 1), "square": ("hypercubic", 2), "cubic": ("hypercubic", 3), "4d": ("hypercubic", 4),
    "triangular": ("triangular", 2), "honeycomb": ("honeycomb", 2),
}  # fmt: skip
EXTENTS = (192, 768)
"""Multiples of 64 and of 3: what an update asks of a size, some size has."""
LADDERS = ((1, 1), (32, 2))
"""Slots and copies: a single walker, and as many as there are bits in a word."""


@dataclass(frozen=True)
class Cell:
    """`verdict` is works, beside (it needs another update beside it) or refused; `reason` says why where not works."""

    verdict: str
    reason: str = ""


def cell(spec: Mapping[str, Any], update: str, kind: str) -> Cell:
    """What is said of a model, an update and a lattice of KINDS with periodic boundaries: the best over sizes and
    ladders."""
    cells = [judge(spec, update, kind, *setting) for setting in product(EXTENTS, LADDERS)]
    return min(cells, key=lambda c: ("works", "beside", "refused").index(c.verdict))


def judge(spec: Mapping[str, Any], update: str, kind: str, extent: int, ladder: tuple[int, int]) -> Cell:
    """The same for one size and one ladder."""
    name, dimension = KINDS[kind]
    try:
        system = System(make_model(spec), Lattice((extent,) * dimension, name))
        UPDATES[update].check(system, *ladder)
    except Unsupported as refused:
        return Cell("refused", reason(str(refused)))
    try:
        check_round(system, [update], *ladder)
    except Unsupported as refused:
        return Cell("beside", reason(str(refused)))
    return Cell("works")


def label(spec: Mapping[str, Any]) -> str:
    """A model by name and parameters."""
    return " ".join([spec["type"], *(f"{k}={v}" for k, v in spec.items() if k != "type")])


def reason(text: str) -> str:
    """A refusal without what it found, which the table says already."""
    return re.sub(r", found .*?(: |$)", r"\1", text)


def table(specs: Sequence[Mapping[str, Any]] = EXAMPLES) -> tuple[Table, list[str]]:
    """The whole matrix, lattices of equal rows in one row, and the footnotes that its cells refer to."""
    rows, notes = [], list[str]()
    for spec in specs:
        found = [(kind, [cell(spec, update, kind) for update in UPDATES]) for kind in KINDS]
        order = sorted(found, key=lambda row: [c.verdict + c.reason for c in row[1]])
        for cells, group in groupby(order, key=lambda row: row[1]):
            kinds = sorted((kind for kind, _ in group), key=list(KINDS).index)
            notes += dict.fromkeys(c.reason for c in cells if c.reason and c.reason not in notes)
            shown = [c.verdict + (f" [{notes.index(c.reason) + 1}]" if c.reason else "") for c in cells]
            rows.append([label(spec), " ".join(kinds) if len(kinds) < len(KINDS) else "all", *shown])
    return Table("Models, lattices and updates", ["model", "lattices", *UPDATES], rows), notes
