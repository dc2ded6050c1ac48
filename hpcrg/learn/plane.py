"""Hierarchical Bayesian networks of binary spins on a torus: hierarchy.py in two dimensions.

From the torus of a level the next one, twice as wide, is made by two stochastic tables: each spin becomes a block,

    p(four spins | t),

and the four spins that meet at the corner of four blocks are changed together,

    p(four spins' | four spins).

Whatever lies outside the causal cone of a window drops out. A window of at most 3 x 3 sites has a cone of at most 3 x 3
spins at every level above, since 4 x 4 spins of the level before their change come from 3 x 3 blocks, so its marginal
is an exact sum of at most 2^16 terms a level on tori of any size. Decimation of the square lattice makes couplings of
all ranges, so the Ising model is no such network of few levels exactly; how near one comes is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hpcrg.errors import Unsupported, expected
from hpcrg.learning_specs import MOST_SITES

Site = tuple[int, int]
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass
class Plane:
    """`top` [2^(n n)] are logits of the coarsest torus of n x n spins; `blocks[l]` [2, 16] those of the block that a
    spin of level l becomes, `corners[l]` [16, 16] those of the spins around a corner given themselves, none for a tree;
    level 0 is the coarsest. Spins are bits, the highest first, row by row; bit 1 is spin +1."""

    top: Tensor
    blocks: list[Tensor]
    corners: list[Tensor]
    _known: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Tensor] = field(default_factory=dict, repr=False)

    @property
    def coarsest(self) -> int:
        """Spins along a side of the coarsest torus."""
        return math.isqrt(int(self.top.numel()).bit_length() - 1)

    def side(self, level: int | None = None) -> int:
        """Spins along a side of a torus; of the finest one by default."""
        return self.coarsest << (len(self.blocks) if level is None else level)

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that is learned."""
        return [self.top, *self.blocks, *self.corners]

    def distribution(self, level: int | None = None) -> Tensor:
        """Probabilities of all configurations of a torus, one axis of 2 a site, row by row. Raises Unsupported beyond
        MOST_SITES."""
        level = len(self.blocks) if level is None else level
        n = self.side(level)
        if n * n > MOST_SITES:
            raise Unsupported(expected("a whole distribution: sites", f"at most {MOST_SITES}", n * n))
        return self.marginal(range(n), range(n), level)

    def marginal(self, rows: Sequence[int], columns: Sequence[int], level: int | None = None) -> Tensor:
        """Probabilities of the spins where neighbouring rows and columns cross, one axis of 2 a site, row by row, from
        their causal cone. What cones have in common is computed once, until `forget`."""
        level = len(self.blocks) if level is None else level
        n = self.side(level)
        key = level, tuple(r % n for r in rows), tuple(c % n for c in columns)
        if key not in self._known:
            self._known[key] = self._cone(*key)
        return self._known[key]

    def forget(self) -> None:
        """To be called when tables have changed."""
        self._known.clear()

    def _cone(self, level: int, rows: tuple[int, ...], columns: tuple[int, ...]) -> Tensor:
        n = self.side(level)
        wanted = [(r, c) for r in rows for c in columns]
        if level == 0:
            sites = [(r, c) for r in range(n) for c in range(n)]
            return _kept(self.top.softmax(0).reshape((2,) * len(sites)), sites, wanted)
        made = _lines(rows, n) if self.corners else rows, _lines(columns, n) if self.corners else columns
        above = tuple(dict.fromkeys(k // 2 for k in made[0])), tuple(dict.fromkeys(k // 2 for k in made[1]))
        needed = {(r, c) for r in made[0] for c in made[1]}
        p = self.marginal(above[0], above[1], level - 1)
        labels: list[Site] = [(-1 - r, -1 - c) for r in above[0] for c in above[1]]  # apart from those of this level
        for r in above[0]:
            for c in above[1]:
                block = [(2 * r + i, 2 * c + j) for i, j in CORNERS]
                p, labels = _changed(p, labels, self.blocks[level - 1], [(-1 - r, -1 - c)], block, needed)
        if self.corners:
            for r in (k for k in made[0] if k % 2):
                for c in (k for k in made[1] if k % 2):
                    corner = [((r + i) % n, (c + j) % n) for i, j in CORNERS]
                    p, labels = _changed(p, labels, self.corners[level - 1], corner, corner, set(wanted))
        return _kept(p, labels, wanted)


def _lines(lines: Sequence[int], n: int) -> tuple[int, ...]:
    """These rows and those that are changed together with them: an odd one with the next."""
    both = [k for line in lines for k in ((line, line + 1) if line % 2 else (line - 1, line))]
    return tuple(dict.fromkeys(k % n for k in both))


def _changed(
    p: Tensor, labels: list[Site], logits: Tensor, given: list[Site], made: list[Site], needed: set[Site]
) -> tuple[Tensor, list[Site]]:
    """The spins `given` are replaced by those `made` that are needed, by a table [2^given, 2^made]."""
    table = logits.softmax(-1).reshape((2,) * (len(given) + len(made)))
    idle = [len(given) + k for k, site in enumerate(made) if site not in needed]
    table = table.sum(idle) if idle else table
    axes = [labels.index(site) for site in given]
    p = torch.tensordot(p, table, dims=(axes, list(range(len(given)))))
    return p, [s for s in labels if s not in given] + [s for s in made if s in needed]


def _kept(p: Tensor, labels: list[Site], wanted: list[Site]) -> Tensor:
    """The marginal of the spins wanted, in their order."""
    others = [k for k, site in enumerate(labels) if site not in wanted]
    left = [site for site in labels if site in wanted]
    return (p.sum(others) if others else p).permute([left.index(site) for site in wanted])


def random_plane(coarsest: int, levels: int, tree: bool, generator: torch.Generator) -> Plane:
    """A start for learning: noise, and blocks and corners that rather stay as they are."""

    def noise(*shape: int) -> Tensor:
        return 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)

    corners = [] if tree else [(noise(16, 16) + 2 * torch.eye(16)).requires_grad_() for _ in range(levels)]
    blocks = []
    for _ in range(levels):
        block = noise(2, 16)
        block[0, 0] += 2
        block[1, 15] += 2
        blocks.append(block.requires_grad_())
    return Plane(noise(1 << coarsest**2).requires_grad_(), blocks, corners)


def plane_log_loss(network: Plane, data: Tensor) -> Tensor:
    """-sum p ln p_network per spin over whole configurations of the finest torus; `data` are probabilities or counts,
    one axis of 2 a site."""
    network.forget()
    p = network.distribution()
    return -torch.where(data > 0, data * p.log(), 0.0).sum() / data.sum() / p.dim()


def plane_window_loss(network: Plane, window: Tensor) -> Tensor:
    """The mean over all places of a square window of -sum p ln p_network; `window` are its probabilities, one axis of 2
    a site, row by row, the same at all places."""
    network.forget()
    width, n = math.isqrt(window.dim()), network.side()
    losses = [
        -(window * network.marginal(range(r, r + width), range(c, c + width)).log()).sum()
        for r in range(n)
        for c in range(n)
    ]
    return torch.stack(losses).mean()
