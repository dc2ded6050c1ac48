"""Dimers as a producer: a chain starts from the columnar covering and keeps sums and series of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpcrg.comm import Comm
from hpcrg.dimers import directed_loop, pocket
from hpcrg.dimers.covering import check, columnar
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.producing import Place, State
from hpcrg.rng import Purpose

ALGORITHMS = {"directed_loop": directed_loop.sample, "pocket": pocket.sample}
VERSIONS = {"directed_loop": 2, "pocket": 2}
SAMPLED = ("energy", "winding", "monomers", "pairs")
TRIAL = 2**21
"""Moves times sites to time a chain."""
PIECE = 2**22
"""About so many sites times moves in one piece of work; how samples are cut into pieces changes nothing."""


@dataclass(frozen=True)
class Dimers:
    """Close-packed dimers at `coupling` K = v / T (0: all coverings alike; K > 0 attracts), `moves` loops or clusters
    before each sample, `thermalise` samples dropped and `samples` kept in each chain. A record holds

    `energy` int32[sample] in units of v, minus the number of parallel plaquettes; `winding` int32[sample, 2], along x
    and y; `monomers` float64[y, x], M(r) summed over loops (zeros for the pocket algorithm); `pairs` int64[2, r], pairs
    of like dimers r apart along and across their axis, summed over samples, sites and both axes.

    Raises Unsupported for an algorithm that cannot reach every covering, InputError for numbers out of range."""

    lattice: Lattice
    coupling: float
    algorithm: str
    moves: int
    thermalise: int
    samples: int

    pilot: ClassVar[None] = None
    divisible: ClassVar[bool] = False
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"energy": ("sample",), "winding": ("sample", "axis"), "monomers": ("y", "x"), "pairs": ("direction", "r")}
    )

    def __post_init__(self) -> None:
        check(self.lattice)
        if self.algorithm not in ALGORITHMS:
            names = " or ".join(ALGORITHMS)
            raise Unsupported(expected("dimers: algorithm", names, self.algorithm, ALGORITHMS))
        if self.algorithm == "pocket" and len(set(self.lattice.shape)) > 1:
            wanted = "a square torus for the pocket algorithm, whose diagonals alone change the number of x-dimers"
            raise Unsupported(expected("dimers: lattice.shape", wanted, self.lattice.shape))
        if not np.isfinite(self.coupling):
            raise InputError(expected("dimers: coupling", "a finite number", self.coupling))
        for name, least in (("moves", 1), ("thermalise", 0), ("samples", 1)):
            if getattr(self, name) < least:
                raise InputError(expected(f"dimers: {name}", f"at least {least}", getattr(self, name)))

    @cached_property
    def near(self) -> NDArray[np.int32]:
        """The neighbour table."""
        return self.lattice.neighbours()

    @property
    def work(self) -> float:
        """Moves of one chain times sites."""
        return float(self.thermalise + self.samples) * self.moves * self.lattice.volume

    def trial(self) -> tuple[Dimers, State]:
        """As many samples as take some tenths of a second."""
        few = 1 + TRIAL // (self.moves * self.lattice.volume)
        return replace(self, thermalise=few // 4, samples=few), {}

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        return {
            "method": "dimers", "version": VERSIONS[self.algorithm], "shape": list(self.lattice.shape),
            "coupling": self.coupling, "algorithm": self.algorithm, "moves": self.moves,
            "thermalise": self.thermalise, "samples": self.samples,
        }  # fmt: skip

    def start(self, place: Place, given: State) -> State:
        """The columnar covering; `done` counts samples, the dropped ones as well."""
        return {
            "rng": place.stream(Purpose.DIMERS), "covering": columnar(self.lattice), "done": np.zeros(1, np.int64),
            **self._empty(self.samples),
        }  # fmt: skip

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """The samples of one piece, which ends where thermalisation does."""
        done, least = int(state["done"][0]), max(1, PIECE // (self.lattice.volume * self.moves))
        if done < self.thermalise:
            length = min(least, self.thermalise - done)
            out = self._empty(length)
        else:
            kept = slice(done - self.thermalise, done - self.thermalise + least)
            out = {name: state[name][kept] if name in ("energy", "winding") else state[name] for name in SAMPLED}
            length = len(out["energy"])
        arguments = (self.near, self.lattice.shape[1], self.coupling, self.moves)
        ALGORITHMS[self.algorithm](state["rng"], state["covering"], *arguments, *(out[name] for name in SAMPLED))
        state["done"] += length
        return bool(state["done"][0] == self.thermalise + self.samples)

    def record(self, state: State) -> State:
        """What was sampled."""
        return {name: state[name] for name in SAMPLED}

    def _empty(self, length: int) -> State:
        reach = min(self.lattice.shape) // 2
        return {
            "energy": np.zeros(length, np.int32), "winding": np.zeros((length, 2), np.int32),
            "monomers": np.zeros(self.lattice.shape), "pairs": np.zeros((2, reach + 1), np.int64),
        }  # fmt: skip
