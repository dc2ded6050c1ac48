"""Networks of another campaign: what is read of them, what is refused, and that their outputs are those of the training
campaign wherever both have them."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hpcrg import checkpoint, figures, status
from hpcrg.analysis.binder import references
from hpcrg.bank import read_series, write_bank
from hpcrg.campaign import TrainSpec, parse
from hpcrg.errors import CorruptFile, InputError, Interrupted, Leakage
from hpcrg.forecast import _train
from hpcrg.learn import network_files, taught, train
from hpcrg.learn.limits import Limits

BETAS = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
CHAINS, DRAWS = 6, 40
NETS = ("cnn", "resnet")
TRAINED = TrainSpec(ensemble="small", net=NETS, cold=2, hot=2, seeds=2, epochs=1, batch=16)
TEACHER = {"campaign": "square", "train": "first", "ensemble": "small", "size": 8}
TAUGHT = TrainSpec(ensemble="other", net=NETS, cold=2, hot=2, seeds=2, taught_by=TEACHER)
CAMPAIGN = f"""
name: other
seed: 5
model: {{type: ising}}
lattice: {{type: triangular, dimension: 2}}
ensembles:
  other: {{sizes: [8, 12], ladder: {{betas: {list(BETAS)}}}, updates: [{{type: metropolis}}], chains: 6, draws: 40}}
train:
  far: {{ensemble: other, net: [cnn, resnet], cold: 2, hot: 2, seeds: 2, taught_by: {json.dumps(TEACHER)}}}
"""


def write(path, ensemble, diagonal):
    """Spins that are ordered in the cold half and random in the hot one, with the energies that they have."""
    rng = np.random.default_rng(ensemble.size)
    keep = np.array([0.97, 0.93, 0.85, 0.65, 0.55, 0.52])[:, None, None, None]
    shape = (ensemble.chains, len(BETAS), DRAWS, ensemble.size, ensemble.size)
    spins = np.where(rng.random(shape) < keep, 1, -1).astype(np.int8)
    bonds = np.roll(spins, 1, -1) + np.roll(spins, 1, -2) + diagonal * np.roll(spins, (1, -1), (-1, -2))
    series = {"energy": -(spins.astype(np.int64) * bonds).sum((-1, -2)), "order": spins.sum((-1, -2), dtype=np.int64)}
    write_bank(path, ensemble, spins, series)
    return path


@pytest.fixture
def square(small, tmp_path):
    """The bank that networks are trained on."""
    ensemble = small(betas=BETAS, chains=CHAINS, draws=DRAWS, measure=4, keep=4)
    return write(tmp_path / "square.h5", ensemble, 0)


@pytest.fixture
def triangular(small, tmp_path):
    """Banks of two sizes on another lattice."""
    lattice = {"type": "triangular", "dimension": 2}
    e = small(group="other", lattice=lattice, betas=BETAS, chains=CHAINS, draws=DRAWS, measure=4, keep=4)
    return [write(tmp_path / f"other-L{n}.h5", replace(e, size=n), 1) for n in (12, 8)]


@pytest.fixture
def teacher(square, tmp_path, place):
    """What the training campaign left: its series, with `networks` beside them."""
    output = tmp_path / "square/series.h5"
    limits = Limits(1e9, lambda: False)
    train.run([square], "first", TRAINED, 5, output, tmp_path / "state", place, limits, lambda f, text: None)
    return output


def evaluate(banks, output, teacher, place, spec=TAUGHT, stop=lambda: False):
    taught.run(banks, "far", spec, teacher.parent / "networks", output, place, stop, lambda f, text: None)
    return read_series(output)


def file(teacher, net="cnn", seed=1):
    return teacher.parent / f"networks/first-small-L8-{net}-seed{seed}.network"


def change(path, to=None, weights=None, **about):
    """A whole file with another content."""
    found = network_files.load(path)
    network_files.save(to or path, replace(found.about, **about), {**found.weights, **(weights or {})})


def same(a, b):
    return all(np.array_equal(a.values[key], b.values[key], equal_nan=True) for key in a.values)


def test_on_the_bank_that_they_were_trained_on_they_say_what_the_training_found(square, teacher, tmp_path, place):
    """Bit for bit, on the chains that every seed held out there; validation chains stay unused, as there."""
    (wanted,) = read_series(teacher)
    (found,) = evaluate([square], tmp_path / "again.h5", teacher, place)
    np.testing.assert_array_equal(found.held_out, wanted.held_out)
    assert found.values.keys() == wanted.values.keys()
    assert same(found, wanted)
    assert found.attrs["abs_m_threshold"] == wanted.attrs["abs_m_threshold"]
    np.testing.assert_array_equal(found.attrs["nets"], wanted.attrs["nets"])
    shown, before = (figures.load(p.with_suffix(".figures.json")) for p in (tmp_path / "again.h5", teacher))
    assert shown.tables == before.tables


def test_weights_in_another_order_are_noticed(square, teacher, tmp_path, place):
    """The broken twin: a file that is whole and says the same, but whose weights are not those that were trained."""
    (wanted,) = read_series(teacher)
    path = file(teacher)
    first = network_files.load(path).weights["first.weight"]
    change(path, weights={"first.weight": np.random.default_rng(1).permutation(first.ravel()).reshape(first.shape)})
    (found,) = evaluate([square], tmp_path / "again.h5", teacher, place)
    assert not same(found, wanted)


def test_all_chains_of_other_banks_are_held_out(triangular, teacher, tmp_path, place):
    blocks = evaluate(triangular, tmp_path / "far/series.h5", teacher, place)
    assert [b.size for b in blocks] == [8, 12]
    before = read_series(teacher)[0].attrs["abs_m_threshold"]
    for block in blocks:
        assert block.held_out.shape == (4, CHAINS)
        assert block.held_out.all()
        assert all(np.isfinite(v).all() for v in block.values.values())
        assert block.attrs["abs_m_threshold"] == before
        assert references(block).t_c.value == pytest.approx(3.640957, abs=1e-6)
        assert block.attrs["taught_by"] == "square, train.first"
        assert sorted(block.attrs["networks"]) == sorted(p.name for p in (teacher.parent / "networks").iterdir())
        np.testing.assert_array_equal(block.values["m2"][0], block.values["m2"][3])
    shown = figures.load(tmp_path / "far/series.figures.json")
    assert [f.name for f in shown.figures] == ["far-accuracy-other-L8", "far-accuracy-other-L12"]
    assert [row[1] for row in shown.tables[0].rows] == ["6"] * 4
    assert shown.notes[0].level == "info"
    assert "small-L8" in shown.notes[0].text
    assert not (tmp_path / "far/networks").exists()


def test_a_stop_leaves_nothing_and_the_same_call_begins_again(triangular, teacher, tmp_path, place):
    output, calls = tmp_path / "far/series.h5", iter(range(100))
    with pytest.raises(Interrupted, match="the same command begins again"):
        evaluate(triangular, output, teacher, place, stop=lambda: next(calls) == 5)
    assert not output.parent.exists()
    whole = evaluate(triangular, tmp_path / "whole.h5", teacher, place)
    assert all(same(a, b) for a, b in zip(evaluate(triangular, output, teacher, place), whole, strict=True))


def test_better_than_the_posterior_is_refused(triangular, teacher, tmp_path, place, monkeypatch):
    monkeypatch.setattr("hpcrg.learn.posterior.LIMIT", -1e9)
    with pytest.raises(Leakage, match="other-L8, cnn"):
        evaluate(triangular, tmp_path / "far/series.h5", teacher, place)
    assert not (tmp_path / "far/series.h5").exists()
    assert (tmp_path / "far/series.figures.json").exists()


REFUSED = {
    "another seed": ({"seed": 0}, {}, r"cnn-seed1.network: seed: expected 1, found 0"),
    "another architecture": ({"net": "resnet"}, {}, r"net: expected 'cnn', found 'resnet'"),
    "another bank": ({"label": "small-L16"}, {}, r"label: expected 'small-L8', found 'small-L16'"),
    "another objective": ({"objective": "guess"}, {}, r"objective: expected 'classifier', found 'guess'"),
    "other states": ({"states": 3}, {}, r"for other-L8: states of a spin: expected 2, found 3"),
    "another dimension": ({"dimension": 3}, {}, r"for other-L8: dimension of the lattice: expected 2, found 3"),
    "more channels": ({"channels": 9}, {}, r"expected weights of cnn with 9 channels in float32, .*found"),
    "no number": ({}, {"head.bias": np.array([np.nan], np.float32)}, "expected finite weights"),
    "other weights": ({}, {"tail.bias": np.zeros(1, np.float32)}, r"found .*tail.bias"),
    "a text for a number": ({"channels": "many"}, {}, r"channels"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what, triangular, teacher, tmp_path, place):
    about, weights, message = REFUSED[what]
    change(file(teacher), weights=weights, **about)
    with pytest.raises(InputError, match=message):
        evaluate(triangular, tmp_path / "far.h5", teacher, place)
    assert not (tmp_path / "far.h5").exists()


def test_the_file_of_another_seed_is_refused(triangular, teacher, tmp_path, place):
    change(file(teacher, seed=0), to=file(teacher))
    with pytest.raises(InputError, match=r"cnn-seed1.network: seed: expected 1, found 0"):
        evaluate(triangular, tmp_path / "far.h5", teacher, place)


def test_a_missing_file_says_what_has_to_be_run(triangular, teacher, tmp_path, place):
    file(teacher).unlink()
    wanted = r"cnn-seed1.network: expected a network of train.first of the campaign square, which has to be run first"
    with pytest.raises(InputError, match=wanted):
        evaluate(triangular, tmp_path / "far.h5", teacher, place)


def test_altered_files_are_refused(triangular, teacher, tmp_path, place):
    path = file(teacher)
    whole = path.read_bytes()
    for position in np.random.default_rng(6).integers(0, len(whole) * 8, 12):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(bytes(flipped))
        with pytest.raises(CorruptFile, match=r"cnn-seed1.network"):
            evaluate(triangular, tmp_path / "far.h5", teacher, place)


def test_files_that_are_no_networks_and_those_of_earlier_versions(tmp_path):
    path = tmp_path / "a.network"
    checkpoint.save(path, {"place": np.zeros(2)})
    with pytest.raises(CorruptFile, match="expected the file of a network"):
        network_files.load(path)
    checkpoint.save(path, {"about": np.frombuffer(b"{", np.uint8)})
    with pytest.raises(CorruptFile, match="about: expected JSON"):
        network_files.load(path)
    checkpoint.save(path, {"about": np.frombuffer(b'{"label": "a-L8"}', np.uint8)})
    with pytest.raises(InputError, match=r"`train` of this version writes them.*no ensemble, net"):
        network_files.load(path)


def test_another_precision_and_chains_that_were_all_trained_on(square, triangular, teacher, tmp_path, place):
    spec = TAUGHT.model_copy(update={"precision": "float64"})
    with pytest.raises(InputError, match=r"in float64, .*float64.*found .*float32"):
        evaluate(triangular, tmp_path / "far.h5", teacher, place, spec)
    change(file(teacher), training=tuple(range(CHAINS)))
    with pytest.raises(InputError, match="for small-L8: expected chains that it was not trained on"):
        evaluate([square], tmp_path / "far.h5", teacher, place)


def test_status_waits_for_the_networks_and_the_forecast_for_no_updates(tmp_path):
    campaign = parse(CAMPAIGN, "c.yaml")
    rows = {r.name: r for r in status.of_campaign(campaign, tmp_path)}
    assert rows["train far"].told == "waits for 6 of 6 files"
    stands = tmp_path / "square/train/first/networks"
    stands.mkdir(parents=True)
    for file in campaign.train["far"].taught_files:
        (tmp_path / file).touch()
    assert sorted(p.name for p in stands.iterdir())[0] == "first-small-L8-cnn-seed0.network"
    rows = {r.name: r for r in status.of_campaign(campaign, tmp_path)}
    assert rows["train far"].told == "waits for 2 of 6 files"
    ensemble = campaign.ensemble("other-L8")
    trained = campaign.train["far"].model_copy(update={"taught_by": None})
    ratio = _train(trained, ensemble) / _train(campaign.train["far"], ensemble)
    assert ratio == pytest.approx((3 * 3 * 4 + 6) / (2 * 6)), "3 passes and epochs on 4 of 6 slots, for half the chains"


@pytest.mark.ddp
def test_two_processes_say_the_same(triangular, teacher, tmp_path, place):
    """By the command; without the directory of the networks it is refused."""
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    command = [sys.executable, "-m", "hpcrg", "train", "c.yaml", *map(str, triangular), "--train", "far",
               "--output", "two/series.h5", "--state", "state", "--processes", "2"]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert "--networks: expected one for a `train` with taught_by" in run.stderr
    told = [*command, "--networks", str(teacher.parent / "networks")]
    run = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    alone = evaluate(triangular, tmp_path / "one.h5", teacher, place)
    assert all(same(a, b) for a, b in zip(read_series(tmp_path / "two/series.h5"), alone, strict=True))
    assert (tmp_path / "two/series.provenance.json").exists()
    file(teacher).unlink()
    run = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert "which has to be run first" in run.stderr
