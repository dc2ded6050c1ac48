"""Percolation as a producer: a chain is a number of realisations, each a sweep of Newman and Ziff in its own order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hpcrg.comm import Comm
from hpcrg.errors import Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.percolation.graph import Graph, graph_of
from hpcrg.percolation.newman_ziff import QUANTITIES, bond_block, site_block
from hpcrg.producing import Place, State
from hpcrg.rng import Purpose

VERSION = 2
KINDS = ("site", "bond")
TRIAL = 2**21
"""Items occupied to time a chain."""
PIECE = 2**23
"""Items occupied in one piece of work. Orders go on from those of the piece, so this is part of the version."""


@dataclass(frozen=True)
class Percolation:
    """What is occupied at random on a lattice, and how many realisations make a chain. A record holds `first`
    int32[realisation, axis], x first: occupied items at the first wrapping; and `sums` int64[quantity, n]: sums over
    the realisations, as in hpcrg/percolation/newman_ziff.py.

    Raises Unsupported where the sums of squares of one chain could leave int64, and for helical boundaries."""

    lattice: Lattice
    kind: str
    realisations: int

    pilot: ClassVar[None] = None
    divisible: ClassVar[bool] = False
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"first": ("realisation", "axis"), "sums": ("quantity", "occupied")}
    )

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Unsupported(expected("percolation: type", "site or bond", self.kind, KINDS))
        most = 2**62 // self.lattice.volume**2
        if not 1 <= self.realisations <= most:
            raise Unsupported(expected("percolation: realisations", f"from 1 to {most} a chain", self.realisations))
        if self.lattice.boundary == "helical":
            raise Unsupported(expected("lattice.boundary", "periodic or free for percolation", "helical"))

    @cached_property
    def graph(self) -> Graph:
        """The lattice as bonds with displacements."""
        return graph_of(self.lattice)

    @property
    def items(self) -> int:
        """Sites or bonds that can be occupied."""
        a = self.lattice
        bonds = len(a.bond_sites) * len(a.bond_columns(a.coordination))
        return a.volume if self.kind == "site" else (bonds if a.boundary == "periodic" else len(self.graph.bonds))

    @property
    def work(self) -> float:
        """Items occupied in one chain."""
        return float(self.realisations) * self.items

    def trial(self) -> tuple[Percolation, State]:
        """As many realisations as take some tenths of a second."""
        return replace(self, realisations=min(self.realisations, 1 + TRIAL // self.items)), {}

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        a = self.lattice
        return {
            "method": "percolation", "version": VERSION, "type": self.kind, "lattice": a.kind, "shape": list(a.shape),
            "boundary": a.boundary, "realisations": self.realisations,
        }  # fmt: skip

    def start(self, place: Place, given: State) -> State:
        """No realisation yet."""
        return {
            "rng": place.stream(Purpose.PERCOLATION), "done": np.zeros(1, np.int64),
            "first": np.zeros((self.realisations, self.lattice.dimension), np.int32),
            "sums": np.zeros((QUANTITIES, self.items + 1), np.int64),
        }  # fmt: skip

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """The realisations of one piece."""
        graph, done = self.graph, int(state["done"][0])
        first = state["first"][done : done + max(1, PIECE // self.items)]
        if self.kind == "site":
            site_block(state["rng"], *graph.star, graph.moves, graph.width, first, state["sums"])
        else:
            bonds = (graph.sites, graph.bonds, graph.codes, graph.moves, graph.width)
            bond_block(state["rng"], *bonds, first, state["sums"])
        state["done"] += len(first)
        return bool(state["done"][0] == self.realisations)

    def record(self, state: State) -> State:
        """The first wrappings and the sums."""
        return {"first": state["first"], "sums": state["sums"]}
