"""The training loop in one process: what it writes, repeats, keeps and refuses."""

import json

import numpy as np
import pytest
import torch

from hpcrg import checkpoint, figures
from hpcrg.bank import read_series, write_bank
from hpcrg.campaign import TrainSpec
from hpcrg.errors import CorruptFile, InputError, Interrupted, Leakage
from hpcrg.learn import data
from hpcrg.learn.limits import Limits
from hpcrg.learn.nets import NETS
from hpcrg.learn.objectives import OBJECTIVES, Classifier
from hpcrg.learn.train import run

BETAS = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
CHAINS, DRAWS = 6, 40
SPEC = TrainSpec(ensemble="small", cold=2, hot=2, seeds=3, epochs=2, batch=16)


@pytest.fixture(scope="module")
def drawn(exact_draws):
    return exact_draws(BETAS, CHAINS, DRAWS)


@pytest.fixture
def bank(small, drawn, tmp_path):
    """A function that writes a bank of exact draws, after a change to the spins."""

    def make(change=lambda spins: spins, chains=CHAINS):
        spins, energy, order = (a[:chains] for a in drawn)
        ensemble = small(size=4, betas=BETAS, chains=chains, draws=DRAWS, measure=4, keep=4)
        path = tmp_path / "bank.h5"
        write_bank(path, ensemble, change(spins.copy()), {"energy": energy, "order": order})
        return path

    return make


def go(bank, directory, place, spec=SPEC, stop=lambda: False, seed=5, interval=1e9):
    output, limits = directory / "series.h5", Limits(interval, stop)
    run([bank], "cnn", spec, seed, output, directory / "state", place, limits, lambda f, text: None)
    return output


def curves(directory):
    files = sorted((directory / "state").rglob("*.checkpoint"))
    return {f.stem: checkpoint.load(f) for f in files}


def test_it_writes_series_of_held_out_chains_figures_and_networks(bank, tmp_path, place):
    output = go(bank(), tmp_path, place)
    (block,) = read_series(output)
    assert block.held_out.sum(axis=0).tolist() == [1] * CHAINS
    assert set(block.values) == {"p", "p_abs_m", "abs_m", "m2", "m4", "energy"}
    for values in block.values.values():
        assert values.shape == (3, CHAINS, len(BETAS), DRAWS)
        held_out = np.broadcast_to(block.held_out[..., None, None], values.shape)
        np.testing.assert_array_equal(np.isfinite(values), held_out)
    p = np.nanmean(block.values["p"], axis=(0, 1, 3))
    assert p[0] > 0.75
    assert p[-1] < 0.25
    shown = figures.load(output.with_suffix(".figures.json"))
    assert [f.name for f in shown.figures] == ["cnn-training-cnn", "cnn-accuracy-small-L4"]
    assert shown.tables[0].rows[0][:2] == ["4", "6"]
    stored = [checkpoint.load(f) for f in sorted((tmp_path / "networks").iterdir())]
    about = [json.loads(s["about"].tobytes()) for s in stored]
    assert [a["test"] for a in about] == [[0, 3], [1, 4], [2, 5]]
    assert not any(set(a["test"]) & {*a["training"], *a["validation"]} for a in about)


def test_the_series_are_those_of_the_same_draws(bank, drawn, tmp_path, place):
    (block,) = read_series(go(bank(), tmp_path, place))
    _, energy, order = drawn
    for chain in range(CHAINS):
        seed = chain % 3
        np.testing.assert_array_equal(block.values["energy"][seed, chain], energy[chain])
        np.testing.assert_allclose(block.values["abs_m"][seed, chain], np.abs(order[chain]) / 16)


def test_networks_of_one_size_serve_all(small, bank, tmp_path, place):
    """The same weights as without `size`, and outputs on chains of the other size, of the same fold; |m| is judged by
    the threshold of the size that was trained on."""
    four = bank()
    spins = np.where(np.random.default_rng(1).random((CHAINS, len(BETAS), DRAWS, 8, 8)) < 0.9, 1, -1).astype(np.int8)
    bonds = spins.astype(np.int64) * (np.roll(spins, 1, -1) + np.roll(spins, 1, -2))
    series = {"energy": -bonds.sum((-1, -2)), "order": spins.sum((-1, -2), dtype=np.int64)}
    eight = tmp_path / "eight.h5"
    write_bank(eight, small(betas=BETAS, chains=CHAINS, draws=DRAWS, measure=4, keep=4), spins, series)
    for name, size in (("each", None), ("four", 4)):
        limits = Limits(1e9, lambda: False)
        spec = SPEC.model_copy(update={"size": size})
        run([four, eight], "cnn", spec, 5, tmp_path / name / "series.h5", tmp_path / name / "state", place, limits,
            lambda f, text: None)  # fmt: skip
    each, one = (read_series(tmp_path / name / "series.h5") for name in ("each", "four"))
    np.testing.assert_array_equal(each[0].values["p"], one[0].values["p"])
    np.testing.assert_array_equal(each[1].held_out, one[1].held_out)
    assert one[1].attrs["abs_m_threshold"] == one[0].attrs["abs_m_threshold"] != each[1].attrs["abs_m_threshold"]
    assert not np.array_equal(each[1].values["p"], one[1].values["p"], equal_nan=True)
    assert sorted(f.name for f in (tmp_path / "four/networks").iterdir()) == [
        f"cnn-small-L4-cnn-seed{k}.network" for k in range(3)
    ]
    with pytest.raises(InputError, match=r"size: expected that of a bank.*found 12"):
        run([four], "cnn", SPEC.model_copy(update={"size": 12}), 5, tmp_path / "x.h5", tmp_path / "x", place, limits,
            lambda f, text: None)  # fmt: skip


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(bank, tmp_path, place):
    path = bank()
    outputs = [go(path, tmp_path / name, place, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))]
    a, b, c = (read_series(output)[0].values["p"] for output in outputs)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c, equal_nan=True)


def test_stopped_anywhere_it_goes_on_as_if_undisturbed(bank, tmp_path, place):
    path = bank()
    go(path, tmp_path / "whole", place)
    calls = 0

    def stop():
        nonlocal calls
        calls += 1
        return calls % 13 == 0

    stops = 0
    while True:
        try:
            go(path, tmp_path / "cut", place, stop=stop)
            break
        except Interrupted:
            stops += 1
            assert not (tmp_path / "cut" / "series.h5").exists()
    whole, cut = curves(tmp_path / "whole"), curves(tmp_path / "cut")
    assert stops > 3
    assert whole.keys() == cut.keys()
    for job, arrays in whole.items():
        assert arrays.keys() == cut[job].keys()
        assert all(np.array_equal(arrays[k], cut[job][k]) for k in arrays)
    for a, b in zip(*(read_series(tmp_path / n / "series.h5") for n in ("whole", "cut")), strict=True):
        np.testing.assert_array_equal(a.values["p"], b.values["p"])


def test_an_altered_state_is_refused(bank, tmp_path, place):
    path = bank()
    with pytest.raises(Interrupted):
        go(path, tmp_path, place, stop=lambda: True)
    (file,) = (tmp_path / "state").rglob("*.checkpoint")
    whole = file.read_bytes()
    for position in np.random.default_rng(6).integers(0, len(whole) * 8, 12):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        file.write_bytes(bytes(flipped))
        with pytest.raises(CorruptFile, match="checkpoint"):
            go(path, tmp_path, place)


@pytest.mark.parametrize(
    ("rate", "batch", "found"), [(1e6, 16, "a loss"), (2e38, 16, "a loss"), (6e38, 10**6, "a validation loss")]
)
def test_a_diverging_loss_stops_and_keeps_the_last_good_state(rate, batch, found, bank, tmp_path, place):
    """Too large, infinite, and infinite after the only step of an epoch; what is no number is not written."""
    spec = SPEC.model_copy(update={"learning_rate": rate, "batch": batch})
    with pytest.raises(InputError, match=f"epoch 0, step 1: expected {found} that stays below"):
        go(bank(), tmp_path, place, spec, interval=0.0)
    assert_kept(tmp_path, steps=1)


def assert_kept(directory, steps):
    (arrays,) = curves(directory).values()
    assert all(np.isfinite(v).all() for v in arrays.values())
    assert len(arrays["loss"]) == arrays["place"][1] == steps
    assert not (directory / "series.h5").exists()


def test_two_chains_are_refused_before_any_work(bank, tmp_path, place):
    with pytest.raises(InputError, match="at least 3 chains"):
        go(bank(chains=2), tmp_path, place)
    assert not (tmp_path / "state").exists()


class Dense(torch.nn.Module):
    """A network without any symmetry: it can see a single pixel, and learn draws by heart."""

    def __init__(self, hidden):
        super().__init__()
        linear = torch.nn.Linear
        self.layers = torch.nn.Sequential(linear(16, hidden), torch.nn.ReLU(), linear(hidden, 1))

    def forward(self, codes):
        return self.layers(2 * codes.flatten(1).float() - 1)[:, 0]


class Logarithm(Dense):
    """It takes the logarithm of the number of spins that point up, which is 0 in some cold draws."""

    def forward(self, codes):
        return super().forward(codes) + 0.0 * codes.flatten(1).float().sum(1).log()


@pytest.mark.parametrize("cold", [False, True])
def test_a_loss_that_is_no_number(cold, bank, tmp_path, place, monkeypatch):
    """In a step, or, where some spin points up in all draws of the training chains, in the validation chain."""
    monkeypatch.setitem(NETS, "cnn", lambda inputs, channels: Logarithm(channels))

    def warm(spins):
        spins[2:, :, :, 0, 0] = 1
        return spins

    path, found = (bank(), "a loss") if cold else (bank(warm), "a validation loss")
    with pytest.raises(InputError, match=f"epoch 0, step .*expected {found} that stays .*found nan"):
        go(path, tmp_path, place)
    assert_kept(tmp_path, steps=0)


class Pixel(Dense):
    """It looks at the first spin only."""

    def forward(self, codes):
        return super().forward(codes * 0 + codes[:, :1, :1])


def tell(spins):
    """The first spin says which half of the ladder it is."""
    spins[..., 0, 0] = np.array([1, 1, 1, -1, -1, -1])[:, None]
    return spins


def test_a_pixel_that_knows_the_label_is_refused(bank, tmp_path, place, monkeypatch):
    monkeypatch.setitem(NETS, "cnn", lambda inputs, channels: Pixel(channels))
    with pytest.raises(Leakage, match="has seen its test data"):
        go(bank(tell), tmp_path, place)
    assert not (tmp_path / "series.h5").exists()
    assert figures.load(tmp_path / "series.figures.json").notes[0].level == "failure"


class EverySlot(Classifier):
    """Labels by the half of the ladder, on all slots."""

    def slots(self):
        return tuple(range(len(self.betas)))

    def loss(self, output, slot):
        target = (slot < len(self.betas) // 2).float()
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def test_training_on_the_test_chains_is_refused_and_on_others_is_not(bank, tmp_path, place, monkeypatch):
    monkeypatch.setitem(NETS, "cnn", lambda inputs, channels: Dense(channels))
    monkeypatch.setitem(OBJECTIVES, "classifier", EverySlot)
    spec = SPEC.model_copy(update={"channels": 256, "epochs": 20, "batch": 32})
    path = bank()
    assert go(path, tmp_path / "honest", place, spec).exists()
    everything = data.Split(tuple(range(CHAINS)), (0,), tuple(range(CHAINS)))
    monkeypatch.setattr(data, "split", lambda where, chains, seeds, seed: everything)
    with pytest.raises(Leakage, match="has seen its test data"):
        go(path, tmp_path / "leaky", place, spec.model_copy(update={"seeds": 1}))
