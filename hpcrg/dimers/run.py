"""Dimer runs: independent blocks, each from the columnar covering with a random stream of its own, one file a block.

Block b of (seed, words) is the same on every machine and in every division of work: its stream has the address (words,
b).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg import checkpoint
from hpcrg.dimers import directed_loop, pocket
from hpcrg.dimers.covering import check, columnar
from hpcrg.errors import CorruptFile, InputError, Interrupted, Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.rng import Purpose, stream

SCHEMA = "hpcrg.dimers/1"
ALGORITHMS = {"directed_loop": directed_loop.sample, "pocket": pocket.sample}
KERNEL_VERSIONS = {"directed_loop": 1, "pocket": 1}


@dataclass(frozen=True)
class Dimers:
    """Close-packed dimers at `coupling` K = v / T (0: all coverings alike; K > 0 attracts), `moves` loops or clusters
    before each sample, `thermalise` samples dropped and `samples` kept in each block.

    Raises Unsupported for an algorithm that cannot reach every covering, InputError for numbers out of range."""

    lattice: Lattice
    coupling: float
    algorithm: str
    moves: int
    thermalise: int
    samples: int

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

    def as_json(self) -> dict[str, Any]:
        """The identity of a run as plain JSON values."""
        return {
            "schema": SCHEMA, "kernel_version": KERNEL_VERSIONS[self.algorithm], "shape": list(self.lattice.shape),
            "coupling": self.coupling, "algorithm": self.algorithm, "moves": self.moves,
            "thermalise": self.thermalise, "samples": self.samples,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """Blocks of one run, first axis the block: `energy` int32[B, sample] in units of v, minus the number of parallel
    plaquettes; `winding` int32[B, sample, 2], along x and y; `monomers` float64[B, y, x], M(r) per loop (zeros for the
    pocket algorithm); `pairs` int64[B, 2, r], pairs of like dimers r apart along and across their axis, summed over
    samples, sites and both axes."""

    spec: Dimers
    seed: int
    words: tuple[int, ...]
    blocks: tuple[int, ...]
    energy: NDArray[np.int32]
    winding: NDArray[np.int32]
    monomers: NDArray[np.float64]
    pairs: NDArray[np.int64]

    @property
    def source(self) -> str:
        """A name that tells independent runs apart."""
        shape = "x".join(map(str, self.spec.lattice.shape))
        tail = ".".join(map(str, self.words))
        return f"dimers-{shape}-{self.spec.coupling!r}-{self.spec.algorithm}-{self.seed}-{tail}"


ARRAYS = tuple(f.name for f in fields(Result))[4:]


def _block(spec: Dimers, seed: int, words: tuple[int, ...], block: int) -> dict[str, NDArray[Any]]:
    rng = stream(seed, Purpose.WALKER, *words, block)
    near, covering = spec.lattice.neighbours(), columnar(spec.lattice)
    lx, reach = spec.lattice.shape[1], min(spec.lattice.shape) // 2
    for length in (spec.thermalise, spec.samples):
        out: dict[str, NDArray[Any]] = {
            "energy": np.empty(length, np.int32), "winding": np.empty((length, 2), np.int32),
            "monomers": np.zeros(spec.lattice.shape), "pairs": np.zeros((2, reach + 1), np.int64),
        }  # fmt: skip
        ALGORITHMS[spec.algorithm](rng, covering, near, lx, spec.coupling, spec.moves, *out.values())
    out["monomers"] /= spec.moves * spec.samples
    return out


def run(spec: Dimers, seed: int, words: tuple[int, ...], blocks: Sequence[int]) -> Result:
    """Sample the numbered blocks. A result does not depend on which blocks are run together."""
    done = [_block(spec, seed, words, block) for block in blocks]
    return Result(spec, seed, words, tuple(blocks), *(np.stack([d[name] for d in done]) for name in ARRAYS))


def merge(results: Sequence[Result]) -> Result:
    """The blocks of several results of one run, in order. Raises ValueError for different runs or a block twice."""
    head = results[0]
    if any((r.spec, r.seed, r.words) != (head.spec, head.seed, head.words) for r in results):
        raise ValueError(expected("results", "blocks of one run", "different runs"))
    blocks = [b for r in results for b in r.blocks]
    if len(set(blocks)) != len(blocks):
        raise ValueError(expected("results", "every block once", sorted(blocks)))
    order = np.argsort(blocks)
    arrays = (np.concatenate([getattr(r, name) for r in results])[order] for name in ARRAYS)
    return Result(head.spec, head.seed, head.words, tuple(sorted(blocks)), *arrays)


def save(path: Path, result: Result) -> None:
    """Write a result, checksummed, whole or not at all."""
    told = {**result.spec.as_json(), "seed": result.seed, "words": list(result.words)}
    identity = np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8)
    arrays = {name: getattr(result, name) for name in ARRAYS}
    checkpoint.save(path, {"identity": identity, "blocks": np.array(result.blocks, np.int64), **arrays})


def load(path: Path) -> Result:
    """Read a result. Raises CorruptFile for an altered file or one of another schema or kernel."""
    arrays = checkpoint.load(path)
    if "identity" not in arrays:
        raise CorruptFile(expected(f"{path}: content", SCHEMA, "no identity"))
    told = json.loads(arrays["identity"].tobytes())
    if told["schema"] != SCHEMA or told["kernel_version"] != KERNEL_VERSIONS[told["algorithm"]]:
        raise CorruptFile(expected(f"{path}: schema", f"{SCHEMA} of these kernels", told["schema"]))
    names = ("coupling", "algorithm", "moves", "thermalise", "samples")
    spec = Dimers(Lattice(tuple(told["shape"])), *(told[name] for name in names))
    blocks = tuple(int(b) for b in arrays["blocks"])
    return Result(spec, told["seed"], tuple(told["words"]), blocks, *(arrays[name] for name in ARRAYS))


def produce(
    spec: Dimers, seed: int, words: tuple[int, ...], blocks: Sequence[int], directory: Path,
    stop: Callable[[], bool] = lambda: False,
) -> Result:  # fmt: skip
    """Sample the blocks that have no file in `directory` yet, one file each, and give all of them.

    A killed run loses at most the block it was at. Raises Interrupted between two blocks when `stop` says so, and
    CorruptFile for a file that is altered or belongs to another run."""
    results = []
    for block in blocks:
        path = directory / f"block-{block:05d}.npz"
        if not path.exists():
            if stop():
                raise Interrupted(f"{directory}: stopped before block {block}; the same command goes on from there")
            save(path, run(spec, seed, words, [block]))
        result = load(path)
        if (result.spec, result.seed, result.words, result.blocks) != (spec, seed, words, (block,)):
            raise CorruptFile(expected(f"{path}", f"block {block} of this run", result.source))
        results.append(result)
    return merge(results)
