"""The sampling loop: stops, resumes and extensions change nothing; a replay finds what does."""

import h5py
import numpy as np
import pytest

from hpcrg.bank import open_bank
from hpcrg.comm import Alone
from hpcrg.ensemble import UpdateCall
from hpcrg.errors import CorruptFile, Interrupted
from hpcrg.sampler import Limits, chain_directory, replay, sample
from hpcrg.verification import faults


def run(ensemble, directory, limits=None):
    sample(ensemble, directory / "bank.h5", directory / "state", Alone(), limits or Limits(), lambda *_: None)
    return directory / "bank.h5"


def contents(path):
    with h5py.File(path) as file:
        return {k: v[()] for k, v in file.items()}, {
            k: file.attrs[k] for k in ("id", "ensemble", "seed", "kernel_version")
        }


def same(a, b):
    (data_a, attrs_a), (data_b, attrs_b) = contents(a), contents(b)
    return attrs_a == attrs_b and data_a.keys() == data_b.keys() and all(
        np.array_equal(data_a[k], data_b[k]) for k in data_a)  # fmt: skip


def stop_after(calls):
    left = [calls]

    def stop():
        left[0] -= 1
        return left[0] < 0

    return stop


@pytest.mark.parametrize("updates", [("metropolis",), ("swendsen_wang", "heat_bath"), ("wolff",)])
def test_stopping_at_every_boundary_changes_nothing(updates, small, tmp_path):
    e = small(updates=tuple(UpdateCall(u) for u in updates))
    whole = run(e, tmp_path / "whole")
    stops = 0
    while True:
        try:
            pieces = run(e, tmp_path / "pieces", Limits(stop=stop_after(stops % 4)))
            break
        except Interrupted:
            stops += 1
    assert stops > 5
    assert same(whole, pieces)


def test_more_draws_and_chains_extend_what_is_there(small, tmp_path):
    few = run(small(draws=5, chains=2), tmp_path / "grown")
    with open_bank(few) as bank:
        old = bank.spins(1, 2, 0, 5)
    grown = run(small(draws=12, chains=3), tmp_path / "grown")
    with open_bank(grown) as bank:
        assert np.array_equal(bank.spins(1, 2, 0, 5), old)
    assert same(grown, run(small(draws=12, chains=3), tmp_path / "at-once"))
    assert same(run(small(draws=5, chains=2), tmp_path / "grown"), run(small(draws=5, chains=2), tmp_path / "few"))


def test_chains_and_seeds_differ(small, tmp_path):
    with open_bank(run(small(), tmp_path / "a")) as a, open_bank(run(small(seed=12), tmp_path / "b")) as b:
        assert not np.array_equal(a.spins(0, 2, 0, 12), a.spins(2, 2, 0, 12))
        assert not np.array_equal(a.spins(0, 2, 0, 12), b.spins(0, 2, 0, 12))


def test_replay_agrees_and_sees_a_changed_stream(small, tmp_path):
    e = small()
    path = run(e, tmp_path)
    assert list(faults(path, replay_rounds=32)) == []
    with open_bank(path) as bank:
        stored = bank.state_hashes()
    assert sorted(stored) == [0, 1, 2, 4, 8, 16, 32, 64]
    other = replay(small(seed=12), 0, 4)
    assert all(other[r] != stored[r][0] for r in (0, 1, 2, 4))


def test_files_of_a_killed_run_are_removed_and_a_lost_segment_is_refused(small, tmp_path):
    e = small()
    run(e, tmp_path)
    directory = chain_directory(tmp_path / "state", e, 0)
    (directory / "draws-000000012-000000024.h5").write_bytes(b"half a segment")
    run(e, tmp_path)
    names = sorted(p.name for p in directory.iterdir())
    assert names == ["checkpoint", "draws-000000000-000000012.h5"]
    (directory / names[1]).unlink()
    with pytest.raises(CorruptFile, match="that its checkpoint names"):
        run(e, tmp_path)


def test_walkers_wander_and_exchanges_are_counted(small, tmp_path):
    e = small(betas=(0.46, 0.44, 0.42), draws=200)
    with open_bank(run(e, tmp_path)) as bank:
        walkers = np.stack([bank.series("walker", 0, s) for s in range(3)])
        tried = np.array([bank.series("exchange_attempted", 0, s).sum() for s in range(3)])
        accepted = np.array([bank.series("exchange_accepted", 0, s).sum() for s in range(3)])
    assert np.array_equal(np.sort(walkers, axis=0), np.tile(np.arange(3)[:, None], walkers.shape[1]))
    assert tried[2] == 0
    assert tried[0] == 400  # the even rounds from 22 to 820
    assert 0.3 < accepted[0] / tried[0] < 1


def test_segments_stay_when_their_checkpoint_is_gone(small, tmp_path):
    e = small()
    run(e, tmp_path)
    before = contents(tmp_path / "bank.h5")
    directory = chain_directory(tmp_path / "state", e, 1)
    (directory / "checkpoint").unlink()
    left = sorted(p.name for p in directory.iterdir())
    with pytest.raises(Interrupted):
        run(e, tmp_path, Limits(stop=lambda: True))
    assert set(left) <= {p.name for p in directory.iterdir()} | {"checkpoint"}
    run(e, tmp_path)
    after = contents(tmp_path / "bank.h5")
    assert all(np.array_equal(before[0][k], after[0][k]) for k in before[0])
