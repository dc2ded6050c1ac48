"""Hierarchical networks on the torus against sums over all configurations."""

import math

import pytest
import torch

from hpcrg.errors import Unsupported
from hpcrg.learn.hierarchy import fit
from hpcrg.learn.plane import Plane, plane_log_loss, plane_window_loss, random_plane

ENTROPY = 0.28016999
"""Of the 4 x 4 torus at T_c per site, row B3 of the reference tables."""


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def critical():
    """Probabilities of the 4 x 4 Ising torus at T_c, an axis of 2 a site."""
    bits = (torch.arange(2**16)[:, None] >> torch.arange(15, -1, -1)) & 1
    s = (2 * bits - 1).double().reshape(-1, 4, 4)
    bonds = (s * s.roll(1, 1) + s * s.roll(1, 2)).sum((1, 2))
    return (math.log(1 + math.sqrt(2)) / 2 * bonds).softmax(0).reshape((2,) * 16)


def of_window(whole, row, column, width, n=4):
    kept = [(row + i) % n * n + (column + j) % n for i in range(width) for j in range(width)]
    return whole.sum([k for k in range(n * n) if k not in kept]).permute([sorted(kept).index(k) for k in kept])


def by_hand(network):
    """The distribution of a 4 x 4 torus, configuration of 2 x 2 by configuration, block by block and corner by corner."""
    p = torch.zeros((2,) * 16, dtype=torch.float64)
    blocks = network.blocks[0].softmax(-1)
    for number, weight in enumerate(network.top.softmax(0)):
        parts = [blocks[number >> (3 - k) & 1].reshape(2, 2, 2, 2) for k in range(4)]
        joint = torch.einsum("abcd,efgh,ijkl,mnop->abefcdghijmnklop", *parts)
        p += weight * joint
    if network.corners:
        table = network.corners[0].softmax(-1).reshape((2,) * 8)
        for sites in ((5, 6, 9, 10), (7, 4, 11, 8), (13, 14, 1, 2), (15, 12, 3, 0)):
            order = [*sites, *(k for k in range(16) if k not in sites)]
            moved = torch.tensordot(table, p.permute(order), dims=([0, 1, 2, 3], [0, 1, 2, 3]))
            p = moved.permute([order.index(k) for k in range(16)])
    return p


@pytest.mark.parametrize("tree", [False, True])
def test_marginals_of_causal_cones_are_those_of_the_whole(tree):
    network = random_plane(2, 1, tree, seeded(1))
    whole = by_hand(network).detach()
    assert float(whole.sum()) == pytest.approx(1.0, abs=1e-12)
    assert (network.distribution().detach() - whole).abs().max() < 1e-12
    for width in (1, 2, 3):
        for row in range(4):
            for column in range(4):
                found = network.marginal(range(row, row + width), range(column, column + width)).detach()
                assert (found - of_window(whole, row, column, width)).abs().max() < 1e-12
    other = Plane(
        network.top, [b + 0.1 * torch.randn(2, 16, generator=seeded(2)) for b in network.blocks], network.corners
    )
    assert (other.distribution().detach() - whole).abs().max() > 1e-6


def test_a_cone_of_a_torus_that_is_too_large_to_hold_whole():
    """64 x 64 sites; windows within windows agree, wherever they lie."""
    network = random_plane(2, 5, False, seeded(3))
    with pytest.raises(Unsupported, match="at most 20, found 4096"):
        network.distribution()
    for row, column in ((0, 0), (31, 7), (62, 63)):
        p = network.marginal(range(row, row + 3), range(column, column + 3)).detach()
        assert float(p.sum()) == pytest.approx(1.0, abs=1e-12)
        for i in (0, 1):
            inner = network.marginal(range(row + i, row + i + 2), range(column + i, column + i + 2)).detach()
            kept = [3 * (i + a) + i + b for a in (0, 1) for b in (0, 1)]
            assert (p.sum([k for k in range(9) if k not in kept]) - inner).abs().max() < 1e-12


def test_the_critical_torus_is_learned_and_a_tree_learns_less():
    """No network is below the entropy; corners bring one to a tenth of what a tree is off."""
    p = critical()
    left = {}
    for tree in (False, True):
        networks = [random_plane(2, 1, tree, seeded(s)) for s in range(2)]
        left[tree] = min(fit(n, plane_log_loss, p, 150) for n in networks) - ENTROPY
    assert -1e-8 < left[False] < 0.003
    assert 0.015 < left[True] < 0.02


def test_it_is_learned_from_windows_of_three_by_three():
    p = critical()
    window = of_window(p, 0, 0, 3)
    network = random_plane(2, 1, False, seeded(0))
    before = float(plane_log_loss(network, p).detach()) - ENTROPY
    fit(network, plane_window_loss, window, 60)
    assert before > 0.1
    assert 0 < float(plane_log_loss(network, p).detach()) - ENTROPY < 0.005
