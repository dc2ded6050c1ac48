"""The majority rule and decimation against plain Python, and the symmetry that random ties keep."""

from collections import Counter

import numpy as np
import pytest

from hpcrg.models import ising, potts
from hpcrg.rng import hash64
from hpcrg.schemes import Decimation, Majority, tie_keys


def blocks(spins, b):
    """Pairs (site of the block, its spins) of one configuration, blocks in C order."""
    shape = [n // b for n in spins.shape]
    for site, index in enumerate(np.ndindex(*shape)):
        yield site, spins[tuple(slice(i * b, (i + 1) * b) for i in index)].ravel().tolist()


def plurality(spins, b, key):
    """Block spins with ties as documented: state number hash % ties, in order of states."""
    out = []
    for site, block in blocks(spins, b):
        count = Counter(block)
        tied = sorted(s for s, n in count.items() if n == max(count.values()))
        out.append(tied[int(hash64(key, site)) % len(tied)])
    return out


@pytest.mark.parametrize(("shape", "b"), [((12,), 2), ((12,), 3), ((4, 6), 2), ((6, 9), 3), ((4, 4, 6), 2)])
@pytest.mark.parametrize("model", [ising(), potts(3), potts(5)])
def test_majority_is_the_plurality_with_hashed_ties(model, shape, b):
    rng = np.random.default_rng(4)
    spins = model.from_codes(rng.integers(0, model.states, (6, *shape)).astype(np.uint8))
    keys = tie_keys(np.uint64(9), 1, 0, 100, 6, 2)
    found = Majority(b).coarsen(model, spins, keys)
    assert found.shape == (6, *(n // b for n in shape))
    for draw in range(6):
        assert found[draw].ravel().tolist() == plurality(spins[draw], b, keys[draw])


@pytest.mark.parametrize("shape", [(12,), (6, 9), (6, 6, 9)])
def test_decimation_keeps_the_first_spin_of_each_block(shape):
    spins = np.random.default_rng(5).integers(0, 3, (2, *shape)).astype(np.int8)
    found = Decimation(3).coarsen(potts(3), spins, np.zeros(2, np.uint64))
    for draw in range(2):
        assert found[draw].ravel().tolist() == [block[0] for _, block in blocks(spins[draw], 3)]


def tie_bias(model, coarsen):
    """|z| of the state of tied blocks against equal shares: every block holds each state equally often."""
    tied = np.resize(np.arange(model.states, dtype=np.uint8), (model.states, model.states)).T
    tied = np.tile(tied if model.states > 2 else np.array([[0, 1], [1, 0]], np.uint8), (500, 8, 8))
    found = model.codes(coarsen(model, model.from_codes(tied), tie_keys(np.uint64(3), 0, 0, 0, 500, 0)))
    share = np.bincount(found.ravel(), minlength=model.states) / found.size
    return float(np.abs(share - 1 / model.states).max() / np.sqrt(0.25 / found.size))


def first_of_the_tied(model, spins, keys):
    """The broken twin: ties go to the lowest state, which breaks the symmetry between states."""
    b = model.states if model.states > 2 else 2
    counts = np.array([[Counter(block) for _, block in blocks(draw, b)] for draw in spins[:20]])
    return np.array([[min(c, key=lambda s: (-c[s], s)) for c in row] for row in counts]).astype(np.int8)


@pytest.mark.parametrize("model", [ising(), potts(3)])
def test_ties_break_no_symmetry(model):
    b = model.states if model.states > 2 else 2
    assert tie_bias(model, Majority(b).coarsen) < 5
    assert tie_bias(model, first_of_the_tied) > 20


def test_tie_keys_belong_to_draws_and_not_to_chunks():
    whole = tie_keys(np.uint64(7), 2, 1, 0, 40, 1)
    assert np.array_equal(whole[13:40], tie_keys(np.uint64(7), 2, 1, 13, 27, 1))
    others = [tie_keys(np.uint64(k), c, s, 0, 40, n) for k, c, s, n in
              ((8, 2, 1, 1), (7, 3, 1, 1), (7, 2, 0, 1), (7, 2, 1, 0))]  # fmt: skip
    assert len(set(np.concatenate([whole, *others]).tolist())) == 200
