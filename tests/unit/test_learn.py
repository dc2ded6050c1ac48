"""Learning without its training loop: splits, batches, the network's symmetries, the two baselines."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hpcrg.bank import write_bank
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError
from hpcrg.learn import abs_m, data, posterior
from hpcrg.learn.nets import NETS, Inputs
from hpcrg.learn.nets.cnn import CNN
from hpcrg.learn.nets.resnet import ResNet
from hpcrg.learn.objectives import OBJECTIVES, Classifier
from hpcrg.learning_specs import LANES, Net

BETAS = (0.6, 0.5, 0.44, 0.4, 0.3, 0.2)


def torus_states():
    """All 2^16 states of the 4 x 4 torus, int8 [state, y, x], and their energies."""
    bits = np.arange(2**16, dtype=np.uint32)[:, None] >> np.arange(16) & 1
    spins = (2 * bits.astype(np.int8) - 1).reshape(-1, 4, 4)
    right = (spins * np.roll(spins, 1, 2)).sum((1, 2), dtype=np.int64)
    down = (spins * np.roll(spins, 1, 1)).sum((1, 2), dtype=np.int64)
    return spins, -(right + down)


@pytest.fixture(scope="module")
def torus():
    return torus_states()


@pytest.fixture
def numbered_bank(small, tmp_path):
    """A bank whose every configuration spells its own number in binary."""
    ensemble = small(chains=4, draws=50, betas=BETAS)
    number = np.arange(4 * 6 * 50).reshape(4, 6, 50)
    bits = (number[..., None] >> np.arange(64) & 1).reshape(4, 6, 50, 8, 8)
    path = tmp_path / "bank.h5"
    write_bank(path, ensemble, (2 * bits - 1).astype(np.int8), {})
    return data.source(path), number


def numbers(batch):
    codes = batch.codes[batch.real > 0].reshape(-1, 64).astype(np.int64)
    return (codes << np.arange(64)).sum(axis=1)


def test_two_chains_cannot_be_split():
    with pytest.raises(InputError, match=r"at least 3 chains.*found 2"):
        data.split("train", 2, 4, 0)


@pytest.mark.parametrize(("chains", "seeds"), [(3, 1), (3, 4), (4, 3), (8, 4), (8, 20)])
def test_no_chain_has_two_uses_and_every_chain_is_tested(chains, seeds):
    tested = set()
    for seed in range(seeds):
        s = data.split("train", chains, seeds, seed)
        assert all((s.training, s.validation, s.test))
        assert sorted((*s.training, *s.validation, *s.test)) == list(range(chains))
        tested |= set(s.test)
    assert seeds < 3 or tested == set(range(chains))


def epoch(source, runs, world, address=(5, 0)):
    """Each global batch of an epoch: the numbers of its examples, rank after rank."""
    ranks = [data.batches(source, runs, 32, 7, address, rank, world) for rank in range(world)]
    return [np.concatenate([numbers(b) for b in together]) for together in zip(*ranks, strict=True)]


def test_an_epoch_is_every_draw_once_in_the_same_batches_on_any_number_of_processes(numbered_bank):
    source, number = numbered_bank
    runs = data.runs(source, (1, 3), (0, 1, 5), LANES)
    alone = epoch(source, runs, 1)
    assert sorted(np.concatenate(alone)) == sorted(number[[1, 3]][:, [0, 1, 5]].ravel())
    for world in (2, 3, 16):
        for a, b in zip(alone, epoch(source, runs, world), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_order_is_shuffled_and_follows_from_the_epoch(numbered_bank):
    source, _ = numbered_bank
    runs = data.runs(source, (0, 1), range(6), LANES)
    first, again, second = (epoch(source, runs, 1, (5, e)) for e in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    distinct = [len(set(batch // 50 % 6)) for batch in first]
    assert np.mean(distinct) > 5, "6 slots in a batch of 32 when shuffled, 1 or 2 when not"


def test_a_batch_says_the_slot_of_each_example(numbered_bank):
    source, _ = numbered_bank
    for batch in data.batches(source, data.runs(source, (2,), (0, 5), 16), 20, 7, (1,), 1, 2):
        np.testing.assert_array_equal(numbers(batch) // 50 % 6, batch.slot[batch.real > 0])


@pytest.mark.parametrize("shape", [(13,), (20, 20), (5, 6, 17), (4, 8)])
def test_packed_spins_are_the_same_where_they_are_unpacked(shape):
    codes = np.random.default_rng(len(shape)).integers(0, 2, (9, *shape), dtype=np.uint8)
    stored = np.packbits(codes, axis=-1)
    np.testing.assert_array_equal(data.unpacked(stored, shape[-1]), codes)
    there = data.codes_on(torch.device("cpu"), stored, shape[-1])
    assert there.dtype == torch.uint8
    np.testing.assert_array_equal(there.numpy(), codes)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(data.codes_on(torch.device("cpu"), stored, shape[-1]).numpy()[..., ::-1], codes)


def test_batches_hold_packed_spins_and_codes_of_more_states(numbered_bank, small, tmp_path):
    source, _ = numbered_bank
    batch = next(data.batches(source, data.runs(source, (0,), (0, 1)), 32, 7, (1,), 0, 1))
    assert batch.stored.shape[1:] == (8, 1)
    assert batch.codes.shape[1:] == (8, 8)
    potts = small(model={"type": "potts", "q": 3}, chains=3, draws=40)
    spins = np.random.default_rng(1).integers(0, 3, (3, 3, 40, 8, 8)).astype(np.int8)
    write_bank(tmp_path / "potts.h5", potts, spins, {})
    source = data.source(tmp_path / "potts.h5")
    batch = next(data.batches(source, data.runs(source, (0,), (1,)), 64, 7, (1,), 0, 1))
    assert batch.width is None
    assert sorted(c.tobytes() for c in batch.codes) == sorted(s.astype(np.uint8).tobytes() for s in spins[0, 1])


def test_a_process_holds_a_window_of_its_own_lanes_only(numbered_bank, monkeypatch):
    source, _ = numbered_bank
    read = []
    original = data.read

    def counting(of, wanted):
        read.extend(wanted)
        return original(of, wanted)

    monkeypatch.setattr(data, "read", counting)
    runs = data.runs(source, range(4), range(6), 400)
    next(data.batches(source, runs, 32, 7, (1,), 0, 4))
    assert 0 < len(read) <= data.WINDOW * LANES // 4 < len(runs) / 4


def network(states, dimension=2, make=CNN):
    torch.manual_seed(3)
    return make(Inputs(states, (8,) * dimension), 4)


class Biased(CNN):
    """The broken twin: biases in the convolutions take the symmetry away."""

    def forward(self, codes):
        self.first.bias = torch.nn.Parameter(torch.full((4,), 0.5))
        return super().forward(codes)


@pytest.mark.parametrize("states", [2, 3, 5])
@pytest.mark.parametrize(("make", "stride"), [(CNN, 2), (ResNet, 8)])
@torch.no_grad()
def test_the_network_has_the_symmetries_of_the_model(states, make, stride):
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, states, (6, 16, 16), dtype=np.uint8))
    net = network(states, make=make)
    expected = net(codes)
    assert expected.std() > 1e-4
    torch.testing.assert_close(net((codes + 1) % states), expected)
    torch.testing.assert_close(net(codes.roll((stride, -stride), (1, 2))), expected)
    assert (net(codes.roll((1, 0), (1, 2))) - expected).abs().max() > 1e-6, "a stride is seen"


@torch.no_grad()
def test_without_its_symmetry_it_would_see_a_flip():
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (6, 8, 8), dtype=np.uint8))
    twin = Biased(Inputs(2, (8, 8)), 4)
    twin.load_state_dict(network(2).state_dict())
    assert (twin(1 - codes) - twin(codes)).abs().max() > 1e-4


@pytest.mark.parametrize("states", [2, 3])
@torch.no_grad()
def test_a_dense_network_is_told_nothing(states):
    """Neither a flip nor a shift leaves its output, and each of its inputs counts."""
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, states, (6, 8, 8), dtype=np.uint8))
    net = network(states, make=NETS["dense"])
    expected = net(codes)
    for changed in ((codes + 1) % states, codes.roll(1, 1)):
        assert (net(changed) - expected).abs().min() > 1e-4
    for site in range(64):
        changed = codes.flatten(1).clone()
        changed[:, site] = (changed[:, site] + 1) % states
        assert (net(changed.reshape(6, 8, 8)) - expected).abs().min() > 1e-6


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("make", [CNN, ResNet])
@torch.no_grad()
def test_the_network_takes_any_dimension_and_an_odd_size(dimension, make):
    assert network(2, dimension, make)(torch.zeros((2, *(5,) * dimension), dtype=torch.uint8)).shape == (2,)


SEVEN = tuple(np.linspace(0.7, 0.1, 7))


def test_labels_are_at_the_ends_of_the_ladder_and_weigh_the_same():
    objective = Classifier(SEVEN, 1, 3)
    assert objective.slots() == (0, 4, 5, 6)
    losses = objective.loss(torch.zeros(4), torch.tensor(objective.slots()))
    assert losses[0].item() == pytest.approx(losses[1:].sum().item())
    assert losses.mean().item() == pytest.approx(np.log(2))
    with pytest.raises(InputError, match="found 3 and 4"):
        Classifier(SEVEN, 3, 4)


def test_every_registered_name_is_known_to_the_campaign():
    fields = TrainSpec.model_fields
    assert set(get_args(Net)) == set(NETS)
    assert set(get_args(fields["objective"].annotation)) == set(OBJECTIVES)


def test_the_abs_m_threshold_has_the_least_cross_entropy():
    rng = np.random.default_rng(2)
    cold, hot = rng.beta(9, 2, 400), rng.beta(2, 6, 900)

    def loss(threshold):
        a, b = abs_m.probability(cold, threshold), abs_m.probability(hot, threshold)
        return -(np.log(a).mean() + np.log(1 - b).mean())

    grid = np.linspace(0, 1, 2001)
    assert abs_m.fit(cold, hot) == pytest.approx(grid[np.argmin([loss(g) for g in grid])], abs=1e-3)


def test_the_posterior_is_that_of_exact_enumeration(torus):
    _, energy = torus
    levels, degeneracy = np.unique(energy, return_counts=True)
    betas = np.array(BETAS)
    logs = np.log(degeneracy) - betas[:, None] * levels
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    exact = p[:3].sum(axis=0) / p.sum(axis=0)
    counts = np.stack([np.random.default_rng(k).multinomial(20_000 + 5000 * k, p[k]) for k in range(6)])
    f = posterior.free_energies(posterior.Histogram(levels.astype(float), counts.astype(float)), betas)
    weight = p.mean(axis=0)
    error = np.abs(posterior.cold_probability(levels.astype(float), betas, f) - exact)
    assert error @ weight < 0.004
    assert error.max() < 0.02
    twin = np.abs(posterior.cold_probability(levels.astype(float), betas, np.zeros(6)) - exact)
    assert twin @ weight > 0.05, "the twin leaves the free energies out"


def test_free_energies_of_slots_that_do_not_overlap():
    counts = np.array([[50.0, 50, 0, 0], [0, 0, 50, 50]])
    energies = posterior.Histogram(np.array([-2000.0, -1990, -100, -90]), counts)
    betas = np.array([1.0, 0.1])
    f = posterior.free_energies(energies, betas)
    cold = posterior.cold_probability(energies.levels, betas, f)
    np.testing.assert_allclose(cold, [1, 1, 0, 0], atol=1e-6)


def test_significance_is_honest_for_few_chains():
    """With 4 chains and no leak 2 sigma is passed as often as it should be; without Student too often."""
    trials = 0.5 + 0.01 * np.random.default_rng(8).standard_normal((4000, 4))
    half = np.full((4, 50, 50), 0.5)
    sigma = [posterior.paired(np.broadcast_to(x[:, None, None], half.shape), half).sigma for x in trials]
    assert np.mean(np.array(sigma) > 2) == pytest.approx(norm.sf(2), abs=0.012), "5 standard errors"
    twin = (trials.mean(axis=1) - 0.5) / (trials.std(axis=1, ddof=1) / 2)
    assert np.mean(twin > 2) > 2 * norm.sf(2)


def test_a_leak_is_seen_and_one_chain_says_nothing():
    right = np.ones((8, 4, 50))
    wrong = right.copy()
    wrong[:, 2, ::5] = 0
    assert posterior.paired(right, wrong).leak
    assert not posterior.paired(wrong, right).leak
    assert not posterior.paired(right, right).leak
    assert np.isnan(posterior.paired(right[:1], wrong[:1]).sigma)
    assert not posterior.paired(right[:1], wrong[:1]).leak
