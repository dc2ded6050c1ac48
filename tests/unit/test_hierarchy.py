"""Hierarchical Bayesian networks against sums over all configurations and the exact Ising chain."""

import math

import pytest
import torch

from hpcrg.errors import Unsupported
from hpcrg.learn.hierarchy import (
    Hierarchy,
    fit,
    insertion,
    log_loss,
    random_hierarchy,
    ring,
    window_loss,
)

COUPLINGS = [1.0, 0.6625013737, 0.3500611389, 0.1136720675, 0.0128115420]
"""Decimation of K = 1, row A5 of the reference tables."""
ENTROPY = {0.25: 0.6628473186, 0.5: 0.5822031089, 1.0: 0.3653338551}
"""Of the infinite chain, per spin, row B1."""


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def entropy(p):
    return float(-torch.where(p > 0, p * p.log(), 0.0).sum())


def chain(coupling, sites):
    return ring(coupling, sites).softmax(0).reshape((2,) * sites)


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize(("coarsest", "levels"), [(2, 3), (3, 2), (4, 2)])
def test_marginals_of_causal_cones_are_those_of_the_whole(coarsest, levels, tree):
    network = random_hierarchy(coarsest, levels, tree, seeded(coarsest))
    n = network.sites()
    whole = network.distribution().detach()
    assert float(whole.sum()) == pytest.approx(1.0, abs=1e-12)
    for width in (1, 2, 3, 4, 5):
        for start in range(n):
            kept = [(start + k) % n for k in range(width)]
            wanted = whole.sum([k for k in range(n) if k not in kept])
            wanted = wanted.permute([sorted(kept).index(k) for k in kept])
            assert (network.marginal(start, width).detach() - wanted).abs().max() < 1e-12


def test_a_cone_of_a_ring_that_is_too_long_to_hold_whole():
    """1024 sites; an insertion network's neighbours have the correlations of the ring."""
    network = insertion(0.5, 4, 8)
    with pytest.raises(Unsupported, match="at most 20, found 1024"):
        network.distribution()
    for start in (0, 1, 511):
        p = network.marginal(start, 4)
        spin = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        for distance in (1, 3):
            ends = p.sum([k for k in range(4) if k not in (0, distance)])
            assert float(spin @ ends @ spin) == pytest.approx(math.tanh(0.5) ** distance, abs=1e-12)


@pytest.mark.parametrize("coupling", [0.25, 0.5, 1.0])
def test_the_insertion_network_is_the_ising_ring(coupling):
    network = insertion(coupling, 2, 3)
    assert (network.distribution() - chain(coupling, 16)).abs().max() < 1e-12
    other = insertion(coupling + 0.01, 2, 3).distribution()
    assert (other - chain(coupling, 16)).abs().max() > 1e-6


def test_its_levels_have_the_couplings_of_decimation():
    """The coupling of a ring follows from its distribution: ln of the ratio of two that differ by one bond."""
    network = insertion(1.0, 2, 3)
    for level, wanted in zip((3, 2, 1, 0), COUPLINGS[:4], strict=True):
        p = network.distribution(level)
        n = network.sites(level)
        up, one = p[(1,) * n], p[(0, *(1,) * (n - 1))]
        assert float((up / one).log()) / 4 == pytest.approx(wanted, abs=1e-10)  # two bonds turn, each by 2 K


@pytest.mark.parametrize("coupling", ENTROPY)
def test_its_entropy_by_levels_is_that_of_the_chain(coupling):
    """Half of the spins are inserted between neighbours that are coupled as the next level is; and so on."""
    total, share, K = 0.0, 0.5, coupling
    while share > 1e-14:
        above = math.atanh(math.tanh(K) ** 2)
        same = math.exp(above) / (2 * math.cosh(above))
        up = 1 / (1 + math.exp(-4 * K))  # between two spins up
        mixed = -(up * math.log(up) + (1 - up) * math.log1p(-up)) if up < 1 else 0.0
        total += share * (same * mixed + (1 - same) * math.log(2))
        share, K = share / 2, above
    wanted = math.log(2 * math.cosh(coupling)) - coupling * math.tanh(coupling)
    assert total == pytest.approx(wanted, abs=1e-10)
    assert total == pytest.approx(ENTROPY[coupling], abs=1e-10)
    network = insertion(coupling, 4, 2)
    assert entropy(network.distribution()) / 16 == pytest.approx(entropy(chain(coupling, 16)) / 16, abs=1e-12)


@pytest.mark.slow
def test_the_chain_is_learned_and_a_tree_cannot_learn_it():
    """From all probabilities: the best of three starts has the entropy of the ring, and that of trees stays above it.
    How far a descent gets before its steps vanish (1e-8 to 5e-6) is a matter of rounding, and so of the machine."""
    data = chain(0.5, 16)
    exact = entropy(data) / 16
    excess = {
        tree: min(fit(random_hierarchy(4, 2, tree, seeded(s)), log_loss, data) for s in range(3)) - exact
        for tree in (False, True)
    }
    assert -1e-12 < excess[False] < 2e-5
    assert excess[True] > 0.02


@pytest.mark.slow
def test_learned_from_draws_it_has_the_entropy_of_the_chain_on_others():
    """Held-out draws, three errors of their mean; the tree is many errors above."""
    p, n = ring(0.5, 16).softmax(0), 40_000
    drawn = torch.multinomial(p, 2 * n, replacement=True, generator=seeded(5))
    counts = torch.bincount(drawn[:n], minlength=len(p)).double().reshape((2,) * 16)
    found = {}
    for tree in (False, True):
        networks = [random_hierarchy(4, 2, tree, seeded(s)) for s in range(3)]
        losses = [fit(network, log_loss, counts) for network in networks]
        best = networks[losses.index(min(losses))]
        each = -best.distribution().detach().reshape(-1).log()[drawn[n:]] / 16
        found[tree] = float(each.mean()), float(each.std()) / math.sqrt(n)
    wanted = ENTROPY[0.5]  # that of the ring of 16 is 3.4e-6 lower
    assert abs(found[False][0] - wanted) < 3 * found[False][1]
    assert found[True][0] - wanted > 20 * found[True][1]


@pytest.mark.slow
def test_windows_of_four_fix_the_network_and_windows_of_three_do_not():
    """A network that has the chain's marginals of all windows of three sites need not be the chain; one that has those of
    four sites is."""
    data = chain(0.5, 16)
    for width, low, high in ((3, 1e-3, 1.0), (4, 0.0, 1e-4)):
        target = data.sum(list(range(width, 16)))
        network = random_hierarchy(4, 2, False, seeded(0))
        excess = fit(network, window_loss, [target] * 16, 200) - entropy(target)
        assert excess < 1e-6
        assert low < float(log_loss(network, data).detach()) - entropy(data) / 16 < high


def test_a_network_that_gives_nothing_where_there_are_draws():
    copies = Hierarchy(torch.zeros(4, dtype=torch.float64), insertion(1.0, 2, 1).pairs, [])
    assert float(log_loss(copies, chain(0.5, 4))) == math.inf
