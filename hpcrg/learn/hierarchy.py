"""Hierarchical Bayesian networks of binary spins on a ring, wired as the multi-scale entanglement renormalisation
ansatz.

From the ring of a level the next one, twice as long, is made by two stochastic tables: each spin becomes a pair,

    p(s_2i, s_2i+1 | t_i)                        (in place of an isometry),

and the neighbours that come from different spins are changed together,

    p(s'_2i+1, s'_2i+2 | s_2i+1, s_2i+2)         (in place of a disentangler).

Tables sum to one, so whatever lies outside the causal cone of a window of neighbours drops out: its marginal is an
exact sum over a cone of bounded width at every level, and no sampling is needed. The wiring is this package's reading
of Beny, arXiv:1301.3124 (2013). Without disentanglers the network is a tree.

The Ising chain is such a network: a spin is copied, and the copy on the right of each pair is drawn anew between its
neighbours, as decimation read backwards: p(s | l, r) = exp(K s (l + r)) / 2 cosh(K (l + r)), tanh K' = tanh^2 K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from hpcrg.errors import Unsupported, expected
from hpcrg.learning_specs import MOST_SITES

COPY = ((0.0, -math.inf, -math.inf, -math.inf), (-math.inf, -math.inf, -math.inf, 0.0))


@dataclass
class Hierarchy:
    """`top` [2^n] are logits of the coarsest ring of n spins; `pairs[l]` [2, 4] those of the pair that a spin of level
    l becomes, `joints[l]` [4, 4] those of neighbours given themselves, none for a tree; level 0 is the coarsest. Of two
    spins the left one is the higher bit; bit 1 is spin +1."""

    top: Tensor
    pairs: list[Tensor]
    joints: list[Tensor]
    _known: dict[tuple[int, int, int], Tensor] = field(default_factory=dict, repr=False)

    @property
    def coarsest(self) -> int:
        """Spins of the coarsest ring."""
        return int(self.top.numel()).bit_length() - 1

    def sites(self, level: int | None = None) -> int:
        """Spins of a ring; of the finest one by default."""
        return self.coarsest << (len(self.pairs) if level is None else level)

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that is learned."""
        return [self.top, *self.pairs, *self.joints]

    def distribution(self, level: int | None = None) -> Tensor:
        """Probabilities of all configurations of a ring, one axis of 2 a site. Raises Unsupported beyond MOST_SITES."""
        level = len(self.pairs) if level is None else level
        if self.sites(level) > MOST_SITES:
            raise Unsupported(expected("a whole distribution: sites", f"at most {MOST_SITES}", self.sites(level)))
        p = self.top.softmax(0).reshape((2,) * self.coarsest)
        for k in range(level):
            p = _split(p, self.pairs[k])
            if self.joints:
                for left in range(1, p.dim(), 2):
                    p = _together(p, self.joints[k], left, (left + 1) % p.dim())
        return p

    def marginal(self, start: int, width: int, level: int | None = None) -> Tensor:
        """Probabilities of the spins start, ..., start + width - 1 of a ring, one axis of 2 a site, from their causal
        cone. What cones have in common is computed once, until `forget`."""
        level = len(self.pairs) if level is None else level
        start %= self.sites(level)
        key = (level, start, width)
        if key not in self._known:
            self._known[key] = self._cone(start, width, level)
        return self._known[key]

    def forget(self) -> None:
        """To be called when tables have changed."""
        self._known.clear()

    def _cone(self, start: int, width: int, level: int) -> Tensor:
        n = self.sites(level)
        first, last = start, start + width - 1
        if self.joints:  # neighbours (odd, even) are made together
            first, last = first - (first % 2 == 0), last + (last % 2 == 1)
        above, below = first // 2, last // 2
        if level == 0 or below - above + 1 >= n // 2:  # the cone is the whole ring
            kept, p = [(start + k) % n for k in range(width)], self.distribution(level)
            others = [k for k in range(n) if k not in kept]
            return (p.sum(others) if others else p).permute([sorted(kept).index(k) for k in kept])
        p = _split(self.marginal(above, below - above + 1, level - 1), self.pairs[level - 1])
        if self.joints:
            for left in range(first, last, 2):
                p = _together(p, self.joints[level - 1], left - 2 * above, left - 2 * above + 1)
        begin = start - 2 * above
        return p.sum([k for k in range(p.dim()) if not begin <= k < begin + width]) if p.dim() > width else p


def _split(p: Tensor, pairs: Tensor) -> Tensor:
    """Every spin becomes a pair."""
    table = pairs.softmax(-1).reshape(2, 2, 2)
    for k in range(p.dim()):
        p = torch.tensordot(p, table, dims=([2 * k], [0])).movedim((-2, -1), (2 * k, 2 * k + 1))
    return p


def _together(p: Tensor, joint: Tensor, left: int, right: int) -> Tensor:
    """Two spins are changed by a table of both."""
    table = joint.softmax(-1).reshape(2, 2, 2, 2)
    changed: Tensor = torch.tensordot(p, table, dims=([left, right], [0, 1]))
    return changed.movedim((-2, -1), (left, right))


def insertion(coupling: float, coarsest: int, levels: int) -> Hierarchy:
    """The Ising ring with coupling K at the finest of `levels` + 1 levels, exactly."""
    pairs, joints = [], []
    for _ in range(levels):
        table = torch.full((4, 4), -math.inf, dtype=torch.float64)
        for left in (0, 1):
            for right in (0, 1):
                for new in (0, 1):  # the right spin stays; the left one is drawn anew between both
                    field_of_both = (2 * left - 1) + (2 * right - 1)
                    table[2 * left + right, 2 * new + right] = coupling * (2 * new - 1) * field_of_both
        pairs.append(torch.tensor(COPY, dtype=torch.float64))
        joints.append(table)
        coupling = math.atanh(math.tanh(coupling) ** 2)
    return Hierarchy(ring(coupling, coarsest), pairs[::-1], joints[::-1])


def ring(coupling: float, sites: int) -> Tensor:
    """Logits of the Ising ring, [2^sites]; site 0 is the highest bit."""
    bits = (torch.arange(1 << sites)[:, None] >> torch.arange(sites - 1, -1, -1)) & 1
    spins = (2 * bits - 1).to(torch.float64)
    return coupling * (spins * spins.roll(-1, 1)).sum(1)


def random_hierarchy(coarsest: int, levels: int, tree: bool, generator: torch.Generator) -> Hierarchy:
    """A start for learning: noise, and neighbours that rather stay as they are."""

    def noise(*shape: int) -> Tensor:
        return (0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()

    joints = [] if tree else [(noise(4, 4).detach() + 2 * torch.eye(4)).requires_grad_() for _ in range(levels)]
    return Hierarchy(noise(1 << coarsest), [noise(2, 4) for _ in range(levels)], joints)


def log_loss(network: Hierarchy, data: Tensor) -> Tensor:
    """-sum p ln p_network per spin over whole configurations of the finest ring; `data` are probabilities or counts,
    one axis of 2 a site. It is the entropy per spin of the data and the divergence of the network from them."""
    p = network.distribution()
    return -torch.where(data > 0, data * p.log(), 0.0).sum() / data.sum() / p.dim()


def window_loss(network: Hierarchy, windows: Sequence[Tensor]) -> Tensor:
    """The mean over the windows of all starts of -sum p ln p_network; `windows[k]` are probabilities of the window that
    starts at site k, one axis of 2 a site."""
    network.forget()
    losses = [-(w * network.marginal(k, w.dim()).log()).sum() for k, w in enumerate(windows)]
    return torch.stack(losses).mean()


class Tables(Protocol):
    """A network of stochastic tables."""

    @property
    def parameters(self) -> list[Tensor]: ...

    def forget(self) -> None: ...


Network = TypeVar("Network", bound=Tables)
Data = TypeVar("Data")


def fit(network: Network, loss: Callable[[Network, Data], Tensor], data: Data, iterations: int = 400) -> float:
    """Descend `loss(network, data)` by L-BFGS; the loss at the end."""
    optimiser = torch.optim.LBFGS(
        network.parameters, max_iter=iterations, line_search_fn="strong_wolfe", tolerance_grad=1e-10,
        tolerance_change=1e-14,
    )  # fmt: skip

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(network, data)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    network.forget()
    with torch.no_grad():
        return float(loss(network, data))
