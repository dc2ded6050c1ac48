"""Percolation runs: blocks of realisations, each with a random stream of its own, kept one file a block.

Block b of (seed, words) is the same on every machine and in every division of work: its stream has the address (words,
b), and its sums are integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg import checkpoint
from hpcrg.errors import CorruptFile, Interrupted, Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.percolation.graph import Graph, graph_of
from hpcrg.percolation.newman_ziff import QUANTITIES, bond_block, site_block
from hpcrg.rng import Purpose, stream

SCHEMA = "hpcrg.percolation/1"
KERNEL_VERSION = 1
KINDS = ("site", "bond")


@dataclass(frozen=True)
class Percolation:
    """What is occupied at random on a lattice, and how many realisations make a block.

    Raises Unsupported where the sums of squares of one block could leave int64, and for helical boundaries."""

    lattice: Lattice
    kind: str
    realisations: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Unsupported(expected("percolation", "site or bond", self.kind, KINDS))
        most = 2**62 // self.lattice.volume**2
        if not 1 <= self.realisations <= most:
            raise Unsupported(expected("realisations", f"from 1 to {most} a block", self.realisations))
        if self.lattice.boundary == "helical":
            raise Unsupported(expected("lattice.boundary", "periodic or free for percolation", "helical"))

    def as_json(self) -> dict[str, object]:
        """The identity of a run as plain JSON values."""
        a = self.lattice
        return {
            "schema": SCHEMA, "kernel_version": KERNEL_VERSION, "kind": self.kind, "lattice": a.kind,
            "shape": list(a.shape), "boundary": a.boundary, "realisations": self.realisations,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """Blocks of one run. `first` int32[block, realisation, axis], x first: occupied items at the first wrapping;
    `sums` int64[block, quantity, n]: sums over the realisations, as in hpcrg/percolation/newman_ziff.py."""

    spec: Percolation
    seed: int
    words: tuple[int, ...]
    blocks: tuple[int, ...]
    first: NDArray[np.int32]
    sums: NDArray[np.int64]

    @property
    def items(self) -> int:
        """Sites or bonds that can be occupied."""
        return int(self.sums.shape[2]) - 1

    @property
    def source(self) -> str:
        """A name that tells independent runs apart."""
        shape = "x".join(map(str, self.spec.lattice.shape))
        return f"{self.spec.kind}-{self.spec.lattice.kind}-{shape}-{self.seed}-{'.'.join(map(str, self.words))}"


def run(spec: Percolation, seed: int, words: tuple[int, ...], blocks: Sequence[int]) -> Result:
    """Sample the numbered blocks. A result does not depend on which blocks are run together."""
    graph = graph_of(spec.lattice)
    done = [_block(spec, graph, seed, words, block) for block in blocks]
    return Result(spec, seed, words, tuple(blocks), np.stack([f for f, _ in done]), np.stack([s for _, s in done]))


def _block(
    spec: Percolation, graph: Graph, seed: int, words: tuple[int, ...], block: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    rng = stream(seed, Purpose.WALKER, *words, block)
    items = graph.sites if spec.kind == "site" else len(graph.bonds)
    first = np.empty((spec.realisations, graph.dimension), np.int32)
    sums = np.zeros((QUANTITIES, items + 1), np.int64)
    if spec.kind == "site":
        site_block(rng, *graph.star, graph.moves, graph.width, first, sums)
    else:
        bond_block(rng, graph.sites, graph.bonds, graph.codes, graph.moves, graph.width, first, sums)
    return first, sums


def merge(results: Sequence[Result]) -> Result:
    """The blocks of several results of one run, in order. Raises ValueError for different runs or a block twice."""
    head = results[0]
    if any((r.spec, r.seed, r.words) != (head.spec, head.seed, head.words) for r in results):
        raise ValueError(expected("results", "blocks of one run", "different runs"))
    blocks = [b for r in results for b in r.blocks]
    if len(set(blocks)) != len(blocks):
        raise ValueError(expected("results", "every block once", sorted(blocks)))
    order = np.argsort(blocks)
    first, sums = (np.concatenate([getattr(r, name) for r in results])[order] for name in ("first", "sums"))
    return replace(head, blocks=tuple(sorted(blocks)), first=first, sums=sums)


def _identity(spec: Percolation, seed: int, words: tuple[int, ...]) -> NDArray[np.uint8]:
    text = json.dumps({**spec.as_json(), "seed": seed, "words": list(words)}, sort_keys=True)
    return np.frombuffer(text.encode(), np.uint8)


def save(path: Path, result: Result) -> None:
    """Write a result, checksummed, whole or not at all."""
    identity = _identity(result.spec, result.seed, result.words)
    blocks = np.array(result.blocks, np.int64)
    checkpoint.save(path, {"identity": identity, "blocks": blocks, "first": result.first, "sums": result.sums})


def load(path: Path) -> Result:
    """Read a result. Raises CorruptFile for an altered file or one of another schema or kernel."""
    arrays = checkpoint.load(path)
    if "identity" not in arrays:
        raise CorruptFile(expected(f"{path}: content", SCHEMA, "no identity"))
    told = json.loads(arrays["identity"].tobytes())
    if (told["schema"], told["kernel_version"]) != (SCHEMA, KERNEL_VERSION):
        found = (told["schema"], told["kernel_version"])
        raise CorruptFile(expected(f"{path}: schema and kernel version", f"{(SCHEMA, KERNEL_VERSION)}", found))
    lattice = Lattice(tuple(told["shape"]), told["lattice"], told["boundary"])
    spec = Percolation(lattice, told["kind"], told["realisations"])
    blocks = tuple(int(b) for b in arrays["blocks"])
    return Result(spec, told["seed"], tuple(told["words"]), blocks, arrays["first"], arrays["sums"])


def produce(
    spec: Percolation, seed: int, words: tuple[int, ...], blocks: Sequence[int], directory: Path,
    stop: Callable[[], bool] = lambda: False,
) -> Result:  # fmt: skip
    """Sample the blocks that have no file in `directory` yet, one file each, and give all of them.

    A killed run loses at most the block it was at. Raises Interrupted between two blocks when `stop` says so, and
    CorruptFile for a file that is altered or belongs to another run."""
    graph, results = graph_of(spec.lattice), []
    for block in blocks:
        path = directory / f"block-{block:05d}.npz"
        if not path.exists():
            if stop():
                raise Interrupted(f"{directory}: stopped before block {block}; the same command goes on from there")
            first, sums = _block(spec, graph, seed, words, block)
            save(path, Result(spec, seed, words, (block,), first[None], sums[None]))
        result = load(path)
        if (result.spec, result.seed, result.words, result.blocks) != (spec, seed, words, (block,)):
            raise CorruptFile(expected(f"{path}", f"block {block} of this run", result.source))
        results.append(result)
    return merge(results)
