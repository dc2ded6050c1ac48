"""Banks: what goes in comes out, in every reader; what is altered or missing is refused."""

import h5py
import numpy as np
import pytest
import xarray

from hpcrg import checkpoint
from hpcrg.bank import export, open_bank, read_series, write_bank, write_series
from hpcrg.bank.hdf5 import LENGTH
from hpcrg.bank.read import check_integrity
from hpcrg.bank.schema import decode, encode
from hpcrg.bank.series import SeriesBlock
from hpcrg.comm import Alone
from hpcrg.ensemble import UpdateCall
from hpcrg.errors import CorruptFile, InputError
from hpcrg.lattice import Lattice
from hpcrg.models import make_model
from hpcrg.sampler import Limits, sample
from hpcrg.verification import faults


def sampled(ensemble, directory, name="bank.h5"):
    sample(ensemble, directory / name, directory / "state", Alone(), Limits(), lambda *_: None)
    return directory / name


@pytest.mark.parametrize("shape", [(5,), (8,), (6, 13), (3, 4, 9)])
@pytest.mark.parametrize("params", [{"type": "ising"}, {"type": "potts", "q": 3}])
def test_packing_loses_nothing(shape, params):
    model, lattice = make_model(params), Lattice(shape)
    codes = np.random.default_rng(0).integers(0, model.states, (7, *shape)).astype(np.uint8)
    spins = model.from_codes(codes)
    assert np.array_equal(decode(model, lattice, encode(model, lattice, spins)), spins)


def test_a_sampled_bank_reads_back_in_every_reader(small, tmp_path):
    e = small()
    path = sampled(e, tmp_path)
    with open_bank(path) as bank:
        assert (bank.id, bank.chains, bank.slots, bank.draws, bank.measurements) == (e.id, 3, 3, 12, 24)
        spins = bank.spins(1, 2, 0, 12)
        energy = bank.at_draws("energy", 1, 2, 0, 12)
        order = bank.at_draws("order", 1, 2, 0, 12)[:, 0]
        whole = bank.series("walker", 0, 0)
    by_hand = -sum((spins * np.roll(spins, 1, axis)).sum(axis=(1, 2), dtype=int) for axis in (1, 2))
    assert np.array_equal(energy, by_hand)
    assert np.array_equal(order, spins.sum(axis=(1, 2), dtype=int))
    assert len(whole) == 24
    with xarray.open_dataset(path) as data:
        assert data["spins"].dims == ("chain", "slot", "draw", "y", "x_byte")
        assert data["energy"].dims == ("chain", "slot", "measurement")
        assert np.allclose(data["temperature"], e.temperatures)
        assert np.array_equal(data["energy"][1, 2].values[1::2], energy)


def test_export_stands_alone_and_equals_the_bank(small, tmp_path):
    path = sampled(small(), tmp_path)
    alone = tmp_path / "elsewhere" / "alone.h5"
    export(path, alone)
    with h5py.File(path) as a, h5py.File(alone) as b:
        assert set(a) == set(b)
        assert all(np.array_equal(a[k][()], b[k][()]) for k in a)
    (tmp_path / "state").rename(tmp_path / "gone")
    with open_bank(alone) as bank:
        assert bank.spins(0, 0, 0, 3).shape == (3, 8, 8)
    with xarray.open_dataset(alone) as data:
        assert data["energy"].dims == ("chain", "slot", "measurement")


def test_a_results_directory_can_be_moved(small, tmp_path):
    sampled(small(), tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    with open_bank(tmp_path / "there" / "bank.h5") as bank:
        assert abs(bank.spins(2, 2, 11, 12)).min() == 1


def test_a_missing_segment_is_an_error_and_not_zeros(small, tmp_path):
    path = sampled(small(), tmp_path)
    next((tmp_path / "state").rglob("draws-*.h5")).unlink()
    with pytest.raises(CorruptFile, match="no such file"), open_bank(path):
        pass


def test_flipped_bits_in_a_segment_are_found(small, tmp_path):
    path = sampled(small(), tmp_path)
    assert list(faults(path)) == []
    segment = next((tmp_path / "state").rglob("draws-*.h5"))
    content = bytearray(segment.read_bytes())
    for position in np.random.default_rng(5).integers(0, len(content), 10):
        altered = content.copy()
        altered[position] ^= 1 << int(position % 8)
        segment.write_bytes(altered)
        assert list(check_integrity(path))
    segment.write_bytes(content)
    assert list(check_integrity(path)) == []


def test_altered_attributes_are_found(small, tmp_path):
    path = sampled(small(), tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["seed"] = 12
    with pytest.raises(CorruptFile, match="digest"), open_bank(path):
        pass


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", None])
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "foreign.h5"
    if content is None:
        with h5py.File(path, "w") as file:
            file["spins"] = np.zeros(3)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"foreign\.h5"), open_bank(path):
        pass


def test_a_bank_from_memory_equals_what_was_given(small, tmp_path):
    e = small(chains=2, betas=(0.4,), exchange=False)
    rng = np.random.default_rng(0)
    spins = rng.choice(np.array([-1, 1], np.int8), (2, 1, 12, 8, 8))
    energy = rng.integers(-128, 128, (2, 1, 24))
    write_bank(tmp_path / "b.h5", e, spins, {"energy": energy})
    with open_bank(tmp_path / "b.h5") as bank:
        assert np.array_equal(bank.spins(1, 0, 3, 9), spins[1, 0, 3:9])
        assert np.array_equal(bank.series("energy", 1, 0), energy[1, 0])
    with pytest.raises(InputError, match="shape"):
        write_bank(tmp_path / "c.h5", e, spins, {"energy": energy[:, :, :5]})


def test_series_files_round_trip(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    block = SeriesBlock("phases-L16", 16, "abc", {"type": "ising"}, 2, np.arange(4.0), {"p": values},
                        np.ones((2, 3), bool), {"net": "cnn"})  # fmt: skip
    write_series(tmp_path / "s.h5", [block])
    (again,) = read_series(tmp_path / "s.h5")
    assert np.array_equal(again.values["p"], values)
    assert again.attrs == {"net": "cnn"}
    (tmp_path / "t.h5").write_bytes(b"nothing")
    with pytest.raises(CorruptFile):
        read_series(tmp_path / "t.h5")


def test_a_checkpoint_knows_every_flipped_bit(tmp_path):
    path = tmp_path / "checkpoint"
    checkpoint.save(path, {"round": np.array(3), "spins": np.ones((2, 5), np.int8)})
    assert int(checkpoint.load(path)["round"]) == 3
    content = path.read_bytes()
    for position in np.random.default_rng(1).integers(0, len(content), 200):
        altered = bytearray(content)
        altered[position] ^= 1 << int(position % 8)
        path.write_bytes(altered)
        with pytest.raises(CorruptFile):
            checkpoint.load(path)


def test_too_few_file_handles_are_an_error_or_no_matter_but_never_zeros(small, tmp_path):
    import resource

    e = small(chains=1, betas=(0.44,), exchange=False, draws=80)
    sample(e, tmp_path / "bank.h5", tmp_path / "state", Alone(), Limits(interval=0.0), lambda *_: None)
    assert len(list((tmp_path / "state").rglob("draws-*.h5"))) == 80
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
    try:
        export(tmp_path / "bank.h5", tmp_path / "alone.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with open_bank(tmp_path / "bank.h5") as bank, open_bank(tmp_path / "alone.h5") as alone:
        assert np.array_equal(bank.spins(0, 0, 0, 80), alone.spins(0, 0, 0, 80))
        assert np.array_equal(bank.series("energy", 0, 0), alone.series("energy", 0, 0))
        assert abs(alone.spins(0, 0, 0, 80).astype(int).sum(axis=(1, 2)) + 64).min() >= 0
        assert len(np.unique(alone.series("energy", 0, 0))) > 5


def test_a_segment_of_another_chain_is_refused(small, tmp_path):
    path = sampled(small(), tmp_path)
    first, second, *_ = sorted((tmp_path / "state").rglob("draws-*.h5"))
    first.write_bytes(second.read_bytes())
    with open_bank(path) as bank, pytest.raises(CorruptFile, match="chain 0"):
        bank.spins(0, 0, 0, 1)


def test_an_old_bank_keeps_its_identity_when_kernels_change(small, tmp_path, monkeypatch):
    path = sampled(small(), tmp_path)
    before = small().id
    monkeypatch.setattr("hpcrg.updates.GENERATOR_VERSION", 99)
    assert small().id != before
    assert small().request() != small(seed=1).request()
    with open_bank(path) as bank:
        assert bank.ensemble.id == bank.id == before
    assert "only its own version" in next(iter(faults(path, replay_rounds=4)))


def test_configurations_at_the_critical_point_are_stored_eleven_times_smaller_than_bytes(small, tmp_path):
    beta_c = np.log(1 + np.sqrt(2)) / 2
    e = small(size=128, betas=(beta_c,), exchange=False, updates=(UpdateCall("swendsen_wang"),), chains=2, thermalise=300,
              measure=5, keep=5, draws=128)  # fmt: skip
    sampled(e, tmp_path)
    segments = list((tmp_path / "state").rglob("draws-*.h5"))
    stored = 0
    for segment in segments:
        with h5py.File(segment) as file:
            stored += file["spins"].id.get_storage_size()
    assert len(segments) == 2
    assert 2 * 128 * 128**2 / stored > 11


def test_a_sealed_file_with_something_behind_its_seal_is_refused(small, tmp_path):
    """Neither sealed nor as long as HDF5 says: what was damaged before would not be seen."""
    e = small()
    path = sampled(e, tmp_path)
    whole = path.read_bytes()
    for content in (whole + b"x", whole[:-1], whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(CorruptFile, match="or a seal behind them"), open_bank(path):
            pass
    path.write_bytes(whole[:-LENGTH])  # as files were before they had seals
    with open_bank(path) as bank:
        assert bank.draws == e.draws
