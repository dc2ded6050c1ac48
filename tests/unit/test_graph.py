"""The fold over chunks: the same bits for every chunk size and scheduler, every draw once and in order."""

from dataclasses import dataclass

import dask.threaded
import numpy as np
import pytest

from hpcrg.analysis import graph
from hpcrg.analysis.graph import Unit, block_ranges, compute_here, evaluate, fold, partition
from hpcrg.bank import write_bank
from hpcrg.errors import InputError


@dataclass(frozen=True)
class Visit:
    """A step that is sensitive to the order of draws and to the split into chunks of a careless sum."""

    chunked: bool = False

    def __call__(self, acc, bank, chain, slot, start, stop):
        energy = bank.series("energy", chain, slot, start, stop) / 7.0
        total = acc["sum"] + energy.sum() if self.chunked else acc["sum"]
        for value in () if self.chunked else energy.tolist():
            total += value
        acc["sum"] = total
        acc["seen"] += [(chain, slot, i) for i in range(start, stop)]
        return acc


@pytest.fixture
def bank(small, tmp_path):
    ensemble = small(draws=120, measure=4)
    rng = np.random.default_rng(8)
    spins = rng.choice(np.array([-1, 1], np.int8), (3, 3, 120, 8, 8))
    write_bank(tmp_path / "bank.h5", ensemble, spins, {"energy": rng.integers(-128, 128, (3, 3, 120))})
    return tmp_path / "bank.h5"


UNITS = partition(3, 3, 120, 4)
NOTHING = {"sum": 0.0, "seen": []}


def results(bank, chunk, get=compute_here, step=Visit()):
    built, keys = fold(bank, UNITS, step, NOTHING, chunk)
    return list(get(built, keys))


def test_the_same_bits_for_every_chunk_size_and_scheduler(bank):
    whole = results(bank, 1000)
    for result, u in zip(whole, UNITS, strict=True):
        assert result["seen"] == [(u.chain, u.slot, i) for i in range(u.start, u.stop)]
    for chunk in (1, 7, 30):
        assert results(bank, chunk) == whole
    assert results(bank, 10, dask.threaded.get) == whole
    assert NOTHING == {"sum": 0.0, "seen": []}


def test_a_step_that_sums_chunks_first_is_seen(bank):
    """The broken twin: summing floats chunk by chunk depends on the chunks."""
    whole = [r["sum"] for r in results(bank, 1000, step=Visit(chunked=True))]
    split = [r["sum"] for r in results(bank, 7, step=Visit(chunked=True))]
    assert whole != split
    assert np.allclose(whole, split)


def test_waves_change_nothing(bank, monkeypatch):
    calls = []

    def compute(built, keys):
        calls.append(len(built))
        return compute_here(built, keys)

    monkeypatch.setattr(graph, "LONGEST_WAVE", 12)
    assert evaluate(bank, UNITS, Visit(), NOTHING, 7, compute) == results(bank, 1000)
    assert len(calls) == 18
    assert max(calls) <= 12


def test_blocks_are_equal_and_drop_the_remainder():
    assert block_ranges(11, 3) == [(0, 3), (3, 6), (6, 9)]
    both = [(0, 5), (5, 10)]
    assert partition(2, [4], 11, 2) == [Unit(chain, 4, *block) for chain in (0, 1) for block in both]
    for blocks in (0, 12):
        with pytest.raises(InputError, match="blocks: expected 1 to 11"):
            block_ranges(11, blocks)


def test_impossible_folds_are_refused(bank):
    with pytest.raises(InputError, match="chunk"):
        fold(bank, UNITS, Visit(), NOTHING, 0)
    with pytest.raises(InputError, match="unit"):
        fold(bank, [Unit(0, 0, 5, 5)], Visit(), NOTHING, 10)
