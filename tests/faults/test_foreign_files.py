"""Something else in the place of a file: refused with its name, or made anew where nothing is lost; never taken for it."""

import shutil
import sys

import h5py
import numpy as np
import pytest
from injection import datasets, obey_permissions, refused, run, sampling

from hpcrg import checkpoint
from hpcrg.bank import SeriesBlock, open_bank, read_produced, read_series, write_series
from hpcrg.campaign import load
from hpcrg.chains import produce
from hpcrg.comm import Alone
from hpcrg.errors import InputError
from hpcrg.sampler import Limits, sample


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def of_another_program(path):
    path.unlink()
    with h5py.File(path, "w") as file:
        file["entry/data"] = np.arange(10)


def text(path):
    path.write_text("temperature,energy\n2.0,-1.7\n")


def directory(path):
    path.unlink()
    path.mkdir()


def dangling(path):
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def lost(path):
    path.unlink()


KINDS = [empty, truncated, of_another_program, text, directory, dangling, lost]


@pytest.fixture
def place(calm, tmp_path):
    """A copy of what is there undisturbed, with the outputs of a network."""
    shutil.copytree(calm, tmp_path / "here")
    values = {"p": np.random.default_rng(1).random((1, 2, 2, 40))}
    block = SeriesBlock("scan-L8", 8, "a", {"type": "ising"}, 2, np.array([2.0, 2.2]), values, np.ones((1, 2), bool))
    write_series(tmp_path / "here" / "outputs.h5", [block])
    return tmp_path / "here"


def every_spin(path):
    with open_bank(path) as bank:
        return [bank.spins(c, s, 0, bank.draws) for c in range(bank.chains) for s in range(bank.slots)]


def segment(place):
    with open_bank(place / "bank.h5") as bank:
        return place / bank.segments[1][0]["file"]


def bank(place):
    return place / "bank.h5"


def produced(place):
    return place / "series.h5"


def outputs(place):
    return place / "outputs.h5"


def record(place):
    return segment(place).with_name("checkpoint")


LOADS = [(bank, every_spin), (produced, read_produced), (outputs, read_series), (record, checkpoint.load)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("which", "load"), LOADS)
def test_what_is_read(which, load, kind, place):
    path = which(place)
    load(path)
    kind(path)
    with pytest.raises(InputError, match=path.name):
        load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_of_a_bank(kind, place):
    kind(segment(place))
    with pytest.raises(InputError, match=r"bank\.h5"):
        every_spin(bank(place))


def sampled(place):
    ensemble = load(place / "c.yaml").ensemble("scan-L16", None)
    sample(ensemble, bank(place), place / "state", Alone(), Limits(), lambda *_: None)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_over_something_else(kind, place, calm):
    """A bank is made anew from its segments, but not over a directory; a link that leads nowhere is replaced."""
    kind(bank(place))
    if kind is directory:
        with pytest.raises(InputError, match=r"bank\.h5"):
            sampled(place)
        bank(place).rmdir()
    sampled(place)
    assert datasets(bank(place)) == datasets(bank(calm))


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_from_something_else(kind, place, calm):
    """A checkpoint that is not there is a chain that has not begun, and it is made again; any other is refused."""
    kind(record(place))
    if kind not in (dangling, lost):
        with pytest.raises(InputError, match="checkpoint"):
            sampled(place)
        shutil.rmtree(record(place), ignore_errors=True)
        record(place).unlink(missing_ok=True)
    sampled(place)
    assert datasets(bank(place)) == datasets(bank(calm))


@pytest.mark.parametrize("kind", KINDS)
def test_producing_from_something_else(kind, place):
    series = load(place / "c.yaml").one_series("site-L64")
    file = place / "state" / series.id / "chain-00001.npz"
    kind(file)

    def again():
        return produce(series, place / "state" / series.id, Alone(), lambda: False, 1e9, lambda fraction: None)[0]

    if kind not in (dangling, lost):
        with pytest.raises(InputError, match=file.name):
            again()
    else:
        wanted = read_produced(produced(place)).arrays
        assert all(np.array_equal(values, wanted[name]) for name, values in again().items())


@pytest.mark.parametrize(
    ("which", "said"), [(bank, "not readable"), (segment, "ermission denied"), (record, "ermission denied")]
)
def test_no_permission(which, said, place):
    """Of root the right to read everything is taken."""
    which(place).chmod(0)
    inspect = [sys.executable, "-m", "hpcrg", "inspect", str(bank(place))]
    refused(run(sampling(place) if which is record else inspect, obey_permissions), which(place).name, said)


def test_a_directory_that_cannot_be_written(place):
    (place / "state").chmod(0o500)
    campaign = (place / "c.yaml").read_text()
    (place / "c.yaml").write_text(campaign.replace("seed: 3", "seed: 4"))
    refused(run(sampling(place), obey_permissions), "state", "ermission denied")
