"""Streams and the counter hash: published vectors, addresses that never collide, bits that all matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from hpcrg.rng import Purpose, below, hash64, id_words, key_of, next_u64, stream, uniform

# xoshiro256++ from the state (1, 2, 3, 4): the vectors of its reference implementation.
REFERENCE = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
GRID = [(seed, rank) for seed in range(1, 40) for rank in range(40)]


def test_the_generator_gives_the_published_numbers():
    state = np.array([1, 2, 3, 4], np.uint64)
    assert [int(next_u64(state)) for _ in REFERENCE] == REFERENCE


def test_the_purposes_keep_their_numbers():
    """They are part of the file format."""
    assert [(p.name, p.value) for p in Purpose][:3] == [("INITIAL", 1), ("WALKER", 2), ("EXCHANGE", 3)]
    assert len({p.value for p in Purpose}) == len(Purpose)


def test_streams_of_different_addresses_never_begin_alike():
    states = [stream(s, Purpose.WALKER, r) for s, r in GRID]
    states += [stream(1, p, 1) for p in Purpose if p is not Purpose.WALKER]
    states += [stream(1, Purpose.WALKER, 1, 0), stream(1, Purpose.WALKER, 0, 1)]
    assert len({tuple(s.tolist()) for s in states}) == len(states)


def test_seeds_computed_from_a_rank_collide():
    """Twin: seed * (1 + rank), as some codes do: seed 1 of rank 1 is seed 2 of rank 0."""
    assert len({seed * (1 + rank) for seed, rank in GRID}) < len(GRID)


@pytest.mark.parametrize("word", [-1, 2**32])
def test_an_address_word_that_could_collide_is_refused(word):
    with pytest.raises(ValueError, match="address: expected words"):
        stream(1, Purpose.WALKER, word)


def test_streams_of_neighbouring_addresses_are_uncorrelated():
    first = np.array([uniform_block(stream(1, Purpose.WALKER, w), 500) for w in range(40)])
    correlation = np.corrcoef(first)[np.triu_indices(40, 1)]
    assert np.sqrt(500) * np.abs(correlation).max() < 6
    twin = np.array([uniform_block(stream(1, Purpose.WALKER, w // 2), 500) for w in range(40)])
    assert np.sqrt(500) * np.abs(np.corrcoef(twin)[np.triu_indices(40, 1)]).max() > 6


def uniform_block(state, n):
    """n uniforms."""
    return np.array([uniform(state) for _ in range(n)])


def test_below_is_uniform_and_a_wrong_range_is_not():
    state = stream(5, Purpose.SYNTHETIC)
    values = np.array([below(state, 6) for _ in range(60_000)], np.int64)
    assert set(values) == set(range(6))
    assert p_value(np.bincount(values, minlength=6)) > 1e-9
    twin = np.minimum(np.array([below(state, 7) for _ in range(60_000)], np.int64), 5)
    assert p_value(np.bincount(twin, minlength=6)) < 1e-9


def test_below_rejects_words_that_would_bias_it():
    """n = 3 * 2^30: without rejection the residues modulo 3 would come in the ratio 2 : 1 : 1."""
    state, n = stream(6, Purpose.SYNTHETIC), 3 * 2**30
    values = np.array([below(state, n) for _ in range(30_000)], np.int64)
    assert p_value(np.bincount(values % 3, minlength=3)) > 1e-9
    plain = np.array([(int(next_u64(state)) >> 32) * n >> 32 for _ in range(30_000)], np.int64)
    assert p_value(np.bincount(plain % 3, minlength=3)) < 1e-9


def p_value(counts):
    """Of a uniform distribution."""
    expected = counts.sum() / len(counts)
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


def bits_changed(function):
    """How many of 64 output bits change, on average, for each flipped bit of each argument."""
    rows = []
    for argument in range(4):
        for bit in range(0, 63, 3):
            changes = []
            for trial in range(40):
                words = [trial * 7919 + 1, trial, 3 * trial, 5]
                flipped = list(words)
                flipped[argument] ^= 1 << bit
                difference = int(function(*words)) ^ int(function(*flipped))
                changes.append(difference.bit_count())
            rows.append(np.mean(changes))
    return np.array(rows)


def test_every_bit_of_every_argument_changes_half_of_the_hash():
    changed = bits_changed(hash64)
    assert np.abs(changed - 32).max() < 6 * 4 / np.sqrt(40)
    twin = bits_changed(lambda key, a, b, c: (key ^ a ^ (b << 1) ^ (c << 2)) & (2**64 - 1))
    assert np.abs(twin - 32).max() > 6 * 4 / np.sqrt(40)


def test_the_place_of_an_argument_matters():
    assert len({int(hash64(9, *words)) for words in [(1, 2, 3), (1, 3, 2), (2, 1, 3), (3, 2, 1)]}) == 4


def test_keys_and_ids():
    assert key_of(1, Purpose.TIES, 1) != key_of(1, Purpose.TIES, 2)
    assert id_words("00000001000000ff") == (1, 255)
    with pytest.raises(ValueError, match="hexadecimal"):
        id_words("abc")
