"""No space while a file is written: the error names the file, what was committed stays, and with space the same command
ends with the undisturbed result."""

import subprocess

import pytest
from injection import datasets, finish, grow, hpcrg, producing, refused, run, sampling, small_disk, small_files, written

from hpcrg.bank import open_bank
from hpcrg.comm import Alone
from hpcrg.errors import Unusable
from hpcrg.sampler import Limits, chain_directory, sample

STEP = 8 << 10


def sampled(ensemble, place):
    sample(ensemble, place / "bank.h5", place / "state", Alone(), Limits(interval=0.0), lambda *_: None)
    return datasets(place / "bank.h5")


def test_a_disk_that_grows_page_by_page(small, tmp_path):
    """The disk is full in every kind of file, again and again; nothing that a checkpoint names is ever lost."""
    ensemble, disk = small(draws=10, chains=2), tmp_path / "disk"
    wanted, full, kept = sampled(ensemble, tmp_path), [], 0
    with small_disk(disk, "16k"):
        size = 2 * STEP
        while True:
            try:
                found = sampled(ensemble, disk)
                break
            except Unusable as error:
                full.append(str(error))
            draws = committed(ensemble, disk / "state")
            assert draws >= kept
            kept, size = draws, size + STEP
            grow(disk, str(size))
            assert not list(disk.rglob("*.tmp"))
    assert found == wanted
    assert all("found a full disk" in text for text in full), full
    names = {text.split(":")[0].rpartition("/")[2].split("-")[0] for text in full}
    assert names == {"draws", "checkpoint", "bank.h5"}


def committed(ensemble, state):
    """Draws that checkpoints name; their segments are there, and whole."""
    from hpcrg.bank.hdf5 import opened
    from hpcrg.chainfile import ChainFile
    from hpcrg.files import sha256

    draws = 0
    for chain in range(ensemble.chains):
        record = ChainFile(chain_directory(state, ensemble, chain), ensemble.id, chain)
        for segment in record.contents().segments if record.path.exists() else ():
            file = record.directory / segment.name
            assert sha256(file) == segment.sha256
            with opened(file):
                draws += segment.draws
    return draws


@pytest.mark.mpi
@pytest.mark.slow
def test_two_ranks_on_a_full_disk(calm, tmp_path):
    """One cannot write, and the other does not wait for ever."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        commands = sampling(written(disk), ranks=2), producing(disk, ranks=2)
        for command in commands:
            refused(run(command), str(disk / "state"), "full disk")
        assert not list(disk.glob("*.h5"))
        grow(disk, "30m")
        for command in commands:
            finish(command)
        for name in ("bank.h5", "series.h5"):
            assert datasets(disk / name) == datasets(calm / name)


@pytest.mark.parametrize(
    ("command", "name", "part"), [(sampling, "bank.h5", "draws-"), (producing, "series.h5", ".npz")]
)
def test_a_limit_on_the_size_of_files(command, name, part, calm, tmp_path):
    """As a quota gives, and without a mount."""
    verb = command(written(tmp_path))
    refused(run(verb, small_files(20_000)), part, "limit on the size of files")
    finish(verb)
    assert datasets(tmp_path / name) == datasets(calm / name)


def test_kernels_that_cannot_be_stored(calm, tmp_path):
    """They are compiled, used and compiled again by the next process."""
    with small_disk(tmp_path / "disk", "16k") as disk:
        said = finish(producing(written(tmp_path)), HPCRG_CACHE_DIR=str(disk))
    assert said.count(f"{disk}: expected a directory to store compiled kernels in, found: No space left") == 1
    assert datasets(tmp_path / "series.h5") == datasets(calm / "series.h5")


@pytest.mark.parametrize(("verb", "name"), [("flow", "majority"), ("scale", "fss")])
def test_estimates(verb, name, calm, tmp_path):
    banks = {"flow": ["critical-L16.h5"], "scale": ["bank.h5", "scan-L8.h5"]}[verb]
    command = hpcrg(verb, written(tmp_path), *(str(calm / b) for b in banks), f"--{verb}", name, "--threads",
                    "--output", str(tmp_path / "e.json"))  # fmt: skip
    refused(run(command, small_files(500)), "e.figures.json", "limit on the size of files")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.yaml"]


@pytest.mark.ddp
@pytest.mark.slow
def test_training(calm, tmp_path):
    """The first process cannot write its checkpoint; the second ends with it, and the error is said once."""
    written(tmp_path)
    command = hpcrg("train", tmp_path, str(calm / "scan-L8.h5"), "--train", "cnn", "--processes", "2", "--output",
                    str(tmp_path / "s.h5"), "--state", str(tmp_path / "state"))  # fmt: skip
    done = run(command, small_files(5_000))
    refused(done, ".checkpoint", "limit on the size of files")
    assert done.stderr.count("error:") == 1
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.ddp
@pytest.mark.slow
def test_logs_of_training(calm, tmp_path):
    """One warning when there is no more space for them; the training ends with the undisturbed outputs."""
    pytest.importorskip("tensorboard")
    with small_disk(calm.parent / "logs", "4k") as disk:
        for place in ("whole", "full"):
            written(tmp_path / place)
            if place == "full":
                (tmp_path / place / "tensorboard").symlink_to(disk)
            done = run(hpcrg("train", tmp_path / place, str(calm / "scan-L8.h5"), "--train", "cnn", "--output",
                             str(tmp_path / place / "s.h5"), "--state", str(tmp_path / place / "state")))  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert done.stderr.count("No space left") == done.stderr.count("warning:") == (place == "full")
        assert list(disk.rglob("events*"))
    assert datasets(tmp_path / "whole/s.h5") == datasets(tmp_path / "full/s.h5")


def test_what_was_committed_is_read_while_the_disk_is_full(calm):
    """Reading needs no space."""
    with small_disk(calm.parent / "reading", "2m") as disk:
        for file in ("bank.h5", "state"):
            subprocess.run(["cp", "-r", str(calm / file), str(disk)], check=True)
        with pytest.raises(OSError, match="No space"):
            (disk / "ballast").write_bytes(bytes(4 << 20))
        with open_bank(disk / "bank.h5") as bank:
            assert bank.spins(0, 0, 0, bank.draws).shape == (300, 16, 16)
