"""Reading ahead: the same items in the same order from one thread, which ends whatever happens."""

import threading
import time
import traceback
from itertools import islice

import numpy as np
import pytest

from hpcrg import checkpoint
from hpcrg.bank import write_bank
from hpcrg.errors import InputError, Interrupted
from hpcrg.learn import data, train
from hpcrg.learn import read_ahead as module
from hpcrg.learn.limits import Limits
from hpcrg.learn.read_ahead import ahead
from hpcrg.learning_specs import LANES, TrainSpec


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not threads()


def threads():
    return [t for t in threading.enumerate() if t.name == "hpcrg-ahead"]


class Source:
    """Numbers, and where they were asked for."""

    def __init__(self, count, fails=None):
        self.made, self.threads, self.closed_in = 0, set(), None
        self.items = self.numbers(count, fails)

    def numbers(self, count, fails):
        try:
            for k in range(count):
                self.threads.add(threading.get_ident())
                if k == fails:
                    raise ValueError(f"number {k}")
                self.made += 1
                yield k
        finally:
            self.closed_in = threading.get_ident()


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_the_same_items_in_one_thread(count, depth):
    source = Source(count)
    assert list(ahead(source.items, depth)) == list(range(count))
    assert source.threads | {source.closed_in} == {source.closed_in} != {threading.get_ident()}


def test_so_many_are_made_before_they_are_asked_for_and_no_more():
    source = Source(50)
    items = ahead(source.items, 3)
    for taken in (1, 2, 3):
        next(items)
        until(lambda wanted=taken + 3: source.made == wanted)
        time.sleep(0.05)
        assert source.made == taken + 3
    items.close()


def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("taken", [1, 5])
def test_closed_anywhere_the_source_is_closed_in_its_thread(taken):
    source = Source(50)
    items = ahead(source.items)
    assert list(islice(items, taken)) == list(range(taken))
    items.close()
    assert source.threads == {source.closed_in}
    assert source.made <= taken + module.DEPTH


def test_closed_while_an_item_is_being_made():
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        yield 0
        begun.set()
        go_on.wait(30)
        yield 1

    items = ahead(slow())
    next(items)
    begun.wait(30)
    threading.Timer(0.05, go_on.set).start()
    items.close()
    assert go_on.is_set()


def test_never_begun_and_forgotten():
    source = Source(50)
    ahead(source.items).close()
    items = ahead(source.items)
    next(items)
    del items
    assert source.closed_in is not None


def test_an_error_comes_in_its_place_with_its_traceback():
    source, got = Source(50, fails=5), []
    with pytest.raises(ValueError, match="number 5") as caught:
        got.extend(ahead(source.items))
    assert "numbers" in [frame.name for frame in traceback.extract_tb(caught.tb)]
    items = ahead(Source(50, fails=5).items)
    assert list(islice(items, 5)) == list(range(5))
    with pytest.raises(ValueError, match="number 5"):
        next(items)
    assert list(items) == []


def test_an_error_of_the_caller_ends_the_thread():
    def fail(item):
        raise KeyError(item)

    with pytest.raises(KeyError):
        list(map(fail, ahead(Source(50).items)))


@pytest.fixture
def bank(small, tmp_path):
    spins = np.where(np.random.default_rng(1).random((4, 5, 40, 8, 8)) < 0.7, 1, -1).astype(np.int8)
    bonds = spins.astype(np.int64) * (np.roll(spins, 1, -1) + np.roll(spins, 1, -2))
    series = {"energy": -bonds.sum((-1, -2)), "order": spins.sum((-1, -2), dtype=np.int64)}
    ensemble = small(betas=(0.6, 0.5, 0.4, 0.3, 0.2), chains=4, draws=40, measure=4, keep=4)
    write_bank(tmp_path / "bank.h5", ensemble, spins, series)
    return tmp_path / "bank.h5"


def test_batches_are_the_same_bit_for_bit(bank):
    source = data.source(bank)
    runs = data.runs(source, (0, 1, 2), (0, 1, 4), LANES)
    for rank, world in ((0, 1), (1, 3)):
        plain, read = (f(data.batches(source, runs, 32, 7, (1,), rank, world)) for f in (list, ahead))
        for a, b in zip(plain, read, strict=True):
            assert a.total == b.total
            for x, y in ((a.codes, b.codes), (a.slot, b.slot), (a.real, b.real)):
                np.testing.assert_array_equal(x, y)
                assert x.dtype == y.dtype


def test_training_is_the_same_and_ends_with_its_thread(bank, tmp_path, place, monkeypatch):
    """Stopped, diverged, and with a bank that goes away in an epoch."""
    spec = TrainSpec(ensemble="small", cold=2, hot=2, seeds=1, epochs=2, batch=16)

    def go(name, spec=spec, stop=lambda: False):
        output, limits = tmp_path / name / "series.h5", Limits(1e9, stop)
        train.run([bank], "cnn", spec, 5, output, tmp_path / name, place, limits, lambda f, text: None)

    def state(name):
        (file,) = (tmp_path / name).rglob("*.checkpoint")
        return checkpoint.load(file)

    go("plain")
    monkeypatch.setattr(train, "READ_AHEAD", frozenset({"cpu"}))
    calls = 0

    def stop():
        nonlocal calls
        calls += 1
        assert threads() or not 0 < calls % 10 < 7, "near the end of an epoch of 10 steps all is made"
        return calls == 5

    with pytest.raises(Interrupted):
        go("ahead", stop=stop)
    assert not threads()
    go("ahead")
    plain, read = state("plain"), state("ahead")
    assert plain.keys() == read.keys()
    for name, values in plain.items():
        np.testing.assert_array_equal(values, read[name])
    with pytest.raises(InputError, match="a loss that stays below"):
        go("diverged", spec.model_copy(update={"learning_rate": 1e6}))
    assert not threads()
    batches = data.batches

    def lost(*args):
        yield from islice(batches(*args), 5)
        raise OSError("the file server is gone")

    monkeypatch.setattr(data, "batches", lost)
    with pytest.raises(OSError, match="file server"):
        go("lost")
