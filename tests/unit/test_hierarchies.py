"""Hierarchical networks on banks of rings: the entropy of the Ising ring is reached, by trees it is not."""

import math

import numpy as np
import pytest
import torch

from hpcrg.bank import write_bank
from hpcrg.errors import InputError, Interrupted
from hpcrg.learn import data, hierarchies
from hpcrg.learn.hierarchy import ring
from hpcrg.learning_specs import HierarchySpec

K, SITES, CHAINS, DRAWS = 0.5, 8, 4, 4000
SPEC = HierarchySpec(ensemble="small", levels=1, window=4, starts=3, folds=2, iterations=100)


@pytest.fixture
def bank(small, tmp_path):
    """A function that writes a bank of independent draws of the ring, after a change to the spins."""

    def make(change=lambda spins: spins):
        rng = np.random.default_rng(3)
        p = ring(K, SITES).softmax(0).numpy()
        numbers = rng.choice(len(p), (CHAINS, 1, DRAWS), p=p)
        spins = (2 * (numbers[..., None] >> np.arange(SITES - 1, -1, -1) & 1) - 1).astype(np.int8)
        spins = change(spins)
        energy = -(spins.astype(np.int64) * np.roll(spins, 1, -1)).sum(-1)
        ensemble = small(size=SITES, lattice={"type": "hypercubic", "dimension": 1}, betas=(K,), exchange=False,
                         chains=CHAINS, draws=DRAWS, measure=4, keep=4)  # fmt: skip
        path = tmp_path / "bank.h5"
        write_bank(path, ensemble, spins, {"energy": energy, "order": spins.sum(-1, dtype=np.int64)})
        return data.source(path)

    return make


def go(source, spec=SPEC, stop=lambda: False):
    return hierarchies.run(source, "x", spec, 7, stop, lambda fraction, text: None)


def number(cell):
    return float(cell.split(" ")[0])


@pytest.mark.parametrize("window", [4, "whole"])
def test_it_learns_the_ring_and_a_tree_does_not(window, bank):
    (estimate,), shown = go(bank(), SPEC.model_copy(update={"window": window}))
    exact = ring(K, SITES).softmax(0)
    assert estimate.reference.value == pytest.approx(float(-(exact * exact.log()).sum()) / SITES, abs=1e-12)
    assert abs(estimate.value - estimate.reference.value) < 3 * estimate.error
    network, tree = shown.tables[0].rows
    assert [network[0], tree[0]] == ["network", "tree"]
    assert -1e-4 < number(network[4]) < 2e-3 < 0.02 < number(tree[4])
    assert number(tree[3].split("(")[1][:-1]) > 10
    assert not shown.notes
    curves = {c.label: c for c in shown.figures[0].curves}
    t = math.tanh(K)
    assert curves["decimation"].y == pytest.approx([(t + t**7) / (1 + t**8), (t**2 + t**6) / (1 + t**8)])
    assert curves["network"].y[0] == pytest.approx(curves["decimation"].y[0], abs=0.03)


def test_draws_that_are_more_ordered_than_they_may_be_are_a_failure(bank):
    """All spins of half of the draws are up: what is learned of them has less entropy than the ring."""

    def order(spins):
        spins[:, :, ::2] = 1
        return spins

    _, shown = go(bank(order))
    assert any(n.level == "failure" and "below the exact entropy" in n.text for n in shown.notes)


def test_the_marginals_of_windows_are_those_of_all_places():
    p = torch.rand((2,) * 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p /= p.sum()
    found = hierarchies.windows(p, (6,), 3)
    wanted = sum(p.permute([(s + k) % 6 for k in range(6)]).sum((3, 4, 5)) for s in range(6)) / 6
    assert (found - wanted).abs().max() < 1e-14
    assert (found - p.sum((3, 4, 5))).abs().max() > 1e-3
    square = hierarchies.windows(p, (2, 3), 2)
    places = [(0, 1, 3, 4), (1, 2, 4, 5), (2, 0, 5, 3)]
    places += [(c, d, a, b) for a, b, c, d in places]
    wanted = sum(p.permute([*kept, *(k for k in range(6) if k not in kept)]).sum((4, 5)) for kept in places) / 6
    assert (square - wanted).abs().max() < 1e-14


@pytest.mark.parametrize("coupling", [0.2, 0.9])
def test_products_of_neighbours_are_those_of_the_ring(coupling):
    p = ring(coupling, 5).softmax(0).reshape((2,) * 5).numpy()
    t = math.tanh(coupling)
    assert hierarchies.product_of_neighbours(p, (5,)) == pytest.approx((t + t**4) / (1 + t**5), abs=1e-12)


def test_the_same_seed_learns_the_same(bank):
    source = bank()
    (a,), (b,) = (go(source)[0] for _ in range(2))
    assert a.value == b.value


def test_a_ring_that_does_not_halve_so_often_is_refused_and_a_stop_is_heard(bank):
    source = bank()
    with pytest.raises(InputError, match="that 8 divides into 2 or more, found 8"):
        go(source, SPEC.model_copy(update={"levels": 3}))
    with pytest.raises(Interrupted):
        go(source, stop=lambda: True)
