"""Producers: chains that do not depend on their company, on stops or on ranks; identities; files and their refusals."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
import xarray

from hpcrg import producing
from hpcrg.bank import read_produced, write_produced
from hpcrg.chains import produce
from hpcrg.comm import Alone
from hpcrg.dimers import Dimers
from hpcrg.errors import CorruptFile, InputError, Interrupted
from hpcrg.flat_histogram.multicanonical import Plan
from hpcrg.flat_histogram.run import FlatHistogram, Walks
from hpcrg.lattice import Lattice
from hpcrg.models import ising, potts
from hpcrg.percolation import Percolation
from hpcrg.population import Cooling, Population, Schedule
from hpcrg.probability_changing import Finder
from hpcrg.producing import Series
from hpcrg.system import System
from hpcrg.verification import faults

SQUARE = System(ising(), Lattice((4, 4)))
PRODUCERS = {
    "site": Percolation(Lattice((6, 6)), "site", 20),
    "bond": Percolation(Lattice((4, 4), "honeycomb"), "bond", 20),
    "loops": Dimers(Lattice((4, 6)), 0.3, "directed_loop", 2, 3, 10),
    "pockets": Dimers(Lattice((8, 8)), 0.0, "pocket", 2, 3, 10),
    "flat": FlatHistogram(Walks(System(potts(3), Lattice((3, 3))), None, None, 1e-3), 2, Plan(3, 20, 2, 5, (-14, -4))),
    "population": Population(Schedule(Cooling(SQUARE, "heat_bath", 20, 1), 0.5, 0.2)),
    "clusters": Finder(SQUARE, "self_dual", 2500),
}
NAMES = sorted(PRODUCERS)


def series(name, chains=3, seed=5):
    return Series(name, 4, PRODUCERS[name], seed, chains)


def made(asked, directory, stop=lambda: False, interval=1e9):
    return produce(asked, directory, Alone(), stop, interval, lambda fraction: None)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])


@pytest.fixture(scope="module")
def whole():
    """Every producer's three chains, in memory."""
    return {name: producing.run(series(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_chains_differ_and_seeds_differ(name, whole):
    """No two chains are alike, nor two seeds; every array has named axes."""
    arrays, other = whole[name].arrays, producing.run(series(name, 1, seed=6)).arrays
    differing = [key for key in arrays if (arrays[key][0] != arrays[key][1]).any()]
    assert differing
    if not whole[name].given:  # the schedule of another seed has another length
        assert any((arrays[key][0] != other[key][0]).any() for key in differing)
    assert {key: len(names) + 1 for key, names in PRODUCERS[name].axes.items()} == {
        key: values.ndim for key, values in arrays.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_stopped_anywhere_it_ends_the_same(name, whole, tmp_path):
    """A stop before every single piece of work changes nothing, and complete chains are not written again."""
    stops = 0
    while True:
        asked = iter([False])
        try:
            arrays, given = made(series(name), tmp_path, lambda asked=asked: next(asked, True))
            break
        except Interrupted:
            stops += 1
    assert stops >= 2  # three chains of at least one piece each
    assert_same(arrays, whole[name].arrays)
    assert_same(given, whole[name].given)
    assert not list(tmp_path.glob("*.running.npz"))


@pytest.mark.parametrize("name", NAMES)
def test_more_chains_extend(name, whole, tmp_path):
    """Two chains, then three: the first two stay as they were, file by file, and the id is the same."""
    made(series(name, 2), tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    arrays, _ = made(series(name, 3), tmp_path)
    assert all((tmp_path / file).stat().st_mtime_ns == time for file, time in kept.items())
    assert_same(arrays, whole[name].arrays)
    assert series(name, 2).id == series(name, 3).id != series(name, seed=6).id


def test_identity_is_what_determines_the_numbers():
    """Each of these changes the id."""
    dimers, flat, finder = PRODUCERS["loops"], PRODUCERS["flat"], PRODUCERS["clusters"]
    cooling = PRODUCERS["population"].schedule.cooling
    others = [
        *PRODUCERS.values(), replace(PRODUCERS["site"], realisations=21), replace(PRODUCERS["site"], kind="bond"),
        replace(dimers, coupling=0.2), replace(dimers, samples=11), replace(flat, walks=3),
        replace(flat, walk=replace(flat.walk, final=1e-2)), replace(flat, plan=replace(flat.plan, stride=3)),
        replace(finder, first=0.01), replace(finder, rule="half"),
        Population(Schedule(replace(cooling, sweeps=2), 0.5, 0.2)), Population(Schedule(cooling, 0.5, 0.3)),
        Population(Schedule(cooling, 0.6, 0.2)), replace(finder, system=System(potts(2), Lattice((4, 4)))),
    ]  # fmt: skip
    assert len({Series("x", 4, producer, 5, 3).id for producer in others}) == len(others)


def test_foreign_and_altered_states_are_refused(tmp_path):
    """A chain of another series, or of another number, or with a bit changed."""
    made(series("site"), tmp_path)
    with pytest.raises(CorruptFile, match="series, stage, chain"):
        made(series("site", seed=6), tmp_path)
    first, second = tmp_path / "chain-00000.npz", tmp_path / "chain-00001.npz"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorruptFile, match="series, stage, chain"):
        made(series("site"), tmp_path)
    first.write_bytes(content[:-30] + bytes([content[-30] ^ 1]) + content[-29:])
    with pytest.raises(CorruptFile, match="sha256"):
        made(series("site"), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_files(name, whole, tmp_path):
    """What is written is read back, opens in xarray with named axes, and is refused when one number has changed."""
    path = tmp_path / "a.h5"
    write_produced(path, series(name), whole[name].arrays, whole[name].given)
    found = read_produced(path)
    assert_same(found.arrays, whole[name].arrays)
    assert_same(found.given, whole[name].given)
    assert found.attributes["id"] == series(name).id
    assert not list(faults(path))
    assert list(faults(path, 1))
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        for key, axes in PRODUCERS[name].axes.items():
            assert data[key].dims == ("chain", *axes)
    with h5py.File(path, "r+") as file:
        data = file[next(iter(PRODUCERS[name].axes))]
        data[...] = data[...] + 1
    with pytest.raises(CorruptFile, match="digest"):
        read_produced(path)
    assert "digest" in next(faults(path))


def test_other_files_are_refused(tmp_path):
    """No HDF5 at all, and another schema."""
    (tmp_path / "a.h5").write_text("no")
    with pytest.raises(CorruptFile, match="produced series"):
        read_produced(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["schema"] = "hpcrg.bank/1"
    with pytest.raises(InputError, match="schema"):
        read_produced(tmp_path / "b.h5")
