"""Restricted Boltzmann machines against sums over all configurations."""

import math
import time

import numpy as np
import pytest
import torch

from hpcrg.enumeration import enumerate_all
from hpcrg.errors import Unsupported
from hpcrg.lattice import Lattice
from hpcrg.learn.rbm import annealing, exact, training, variational
from hpcrg.learn.rbm.machine import LOW, Machine, random_machine, states
from hpcrg.models import make_model
from hpcrg.system import System

KC = math.log(1 + math.sqrt(2)) / 2


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ising():
    """All configurations of the 4x4 torus at T_c: spins, H = E / T and ln p, by number."""
    found = enumerate_all(System(make_model({"type": "ising"}), Lattice((4, 4))))
    hamiltonian = torch.from_numpy(KC * found.energy)
    return torch.from_numpy(found.spins.astype(np.float64)), hamiltonian, -hamiltonian - (-hamiltonian).logsumexp(0)


def numbers(v):
    """The numbers of configurations of +-1."""
    return ((v > 0).long() << torch.arange(v.shape[-1])).sum(-1)


def test_the_order_of_states_is_that_of_the_enumeration(ising):
    assert torch.equal(states(16, -1.0), ising[0])
    assert torch.equal(states(5, 0.0, 3, 5), torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]).double())


@pytest.mark.parametrize("units", LOW)
def test_sums_over_one_layer_are_those_over_both(units):
    m = random_machine(6, 4, 0.8, seeded(1), units, biases=0.5)
    v, h = states(6, m.low), states(4, m.low)
    both = -m.energy(v[:, None], h[None])
    assert torch.allclose(m.visible_energy(v), -both.logsumexp(1), atol=1e-12)
    assert torch.allclose(m.hidden_energy(h), -both.logsumexp(0), atol=1e-12)
    assert exact.log_partition(m) == pytest.approx(float(both.logsumexp((0, 1))), abs=1e-12)
    turned = Machine(m.weights.T, m.hidden, m.visible, m.low)
    assert exact.log_partition(turned) == pytest.approx(exact.log_partition(m), abs=1e-12)


def test_large_fields_are_not_cut_off():
    m = Machine(torch.full((1, 1), 40.0).double(), torch.zeros(1).double(), torch.zeros(1).double(), 0.0)
    assert float(m.log_sum(torch.tensor(10.0).double())) == pytest.approx(10 + math.log1p(math.exp(-10.0)), abs=1e-15)


def test_a_sum_that_would_take_for_ever_is_refused():
    with pytest.raises(Unsupported, match="at most 26, found 40"):
        exact.log_partition(random_machine(40, 40, 0.1, seeded(1)))


@pytest.mark.parametrize("units", LOW)
def test_gibbs_sampling_leaves_the_distribution(units):
    """Frequencies of all 64 configurations of both layers, from exact samples; the twin draws v at another
    temperature."""
    m = random_machine(4, 2, 0.9, seeded(2), units, biases=0.4)
    v, h = states(4, m.low), states(2, m.low)
    p = (-m.energy(v[:, None], h[None])).flatten().softmax(0)
    n, generator = 200_000, seeded(3)
    first = torch.multinomial(p.reshape(16, 4).sum(1), n, replacement=True, generator=generator)

    def chi2(v, h):
        bits = torch.cat([v, h], 1) > m.low
        number = 4 * (bits[:, :4].long() << torch.arange(4)).sum(1) + (bits[:, 4:].long() << torch.arange(2)).sum(1)
        counts = torch.bincount(number, minlength=64).double()
        return float(((counts - n * p) ** 2 / (n * p)).sum())

    new, hidden = m.gibbs(v[first], 2, generator)
    assert chi2(new, hidden) < 63 + 5 * math.sqrt(126)
    assert chi2(m.draw(m.scaled(0.9).field_on_visible(hidden), generator), hidden) > 63 + 50 * math.sqrt(126)


# A1 to A4 of the reference tables: the exact mapping


@pytest.mark.parametrize("seed", range(3))
def test_the_coarse_hamiltonian_is_the_hidden_one_for_any_weights(seed):
    m = random_machine(8, 4, 0.7, seeded(seed), biases=0.5)
    hamiltonian = torch.randn(256, generator=seeded(seed + 10), dtype=torch.float64)
    h = states(4, m.low)
    apart = variational.coarse_hamiltonian(m, hamiltonian, h) - m.hidden_energy(h)
    assert apart.abs().max() < 1e-12
    wrong = variational.coarse_hamiltonian(m, torch.zeros(256), h) - m.scaled(1.01).hidden_energy(h)
    assert wrong.abs().max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_trace_of_the_operator_is_the_ratio_of_weights(seed):
    m = random_machine(8, 4, 0.7, seeded(seed), biases=0.5)
    hamiltonian = torch.randn(256, generator=seeded(seed + 10), dtype=torch.float64)
    wanted = hamiltonian - m.visible_energy(states(8, m.low))
    assert (variational.trace_over_hidden(m, hamiltonian) - wanted).abs().max() < 1e-12


def test_equal_free_energies_do_not_make_a_step_exact(ising):
    """ln <sum_h exp T> in the exact distribution is minus the difference of free energies; a hidden unit that is coupled
    to nothing adds a constant to the energy, which makes that zero and leaves the divergence where it was."""
    _, hamiltonian, log_p = ising
    m = random_machine(16, 2, 0.2, seeded(4), biases=0.2)
    difference = variational.free_energy_difference(m, hamiltonian)
    mean = (variational.trace_over_hidden(m, hamiltonian) + log_p).logsumexp(0)
    assert float(mean) == pytest.approx(-difference, abs=1e-12)
    divergence = exact.divergence(m, lambda v: log_p[numbers(v)])
    assert divergence > 1
    bias = torch.tensor([math.acosh(math.exp(difference) / 2)], dtype=torch.float64)
    more = Machine(torch.cat([m.weights, torch.zeros(16, 1).double()], 1), m.visible, torch.cat([m.hidden, bias]))
    assert variational.free_energy_difference(more, hamiltonian) == pytest.approx(0.0, abs=1e-12)
    assert exact.divergence(more, lambda v: log_p[numbers(v)]) == pytest.approx(divergence, abs=1e-12)


@pytest.mark.parametrize("coupling", [0.2, KC, 1.0])
def test_one_hidden_spin_a_bond_is_the_ising_model(coupling):
    lattice = Lattice((3, 3))
    m = variational.bond_machine(lattice, coupling)
    hamiltonian = torch.from_numpy(coupling * enumerate_all(System(make_model({"type": "ising"}), lattice)).energy)
    log_p = -hamiltonian - (-hamiltonian).logsumexp(0)
    assert abs(exact.divergence(m, lambda v: log_p[numbers(v)])) < 1e-12
    trace = hamiltonian - m.visible_energy(states(9, m.low))
    assert (trace - trace[0]).abs().max() < 1e-12  # exact up to a constant
    if coupling == KC:
        assert float(m.weights.max()) == pytest.approx(0.764285459740499, abs=1e-12)


# training


def trained(ising, settings, seed, hidden=16, examples=20_000):
    spins, _, log_p = ising
    generator = seeded(seed)
    drawn = torch.multinomial(log_p.exp(), examples, replacement=True, generator=generator)
    data = spins[drawn].float()
    trainer = training.start(data, hidden, settings, generator)

    def batches():
        while True:
            order = torch.randperm(examples, generator=generator)
            for k in range(0, examples - 499, 500):
                yield data[order[k : k + 500]]

    begun = time.process_time()
    machine = training.fit(trainer, batches())
    return exact.divergence(machine, lambda v: log_p[numbers(v)]), time.process_time() - begun, machine


def test_sixteen_hidden_units_learn_the_small_torus(ising):
    """In ten seconds to less than 0.1 nats."""
    divergence, seconds, _ = trained(ising, training.Settings(updates=2500), 1)
    print(f"divergence {divergence:.4f} nats in {seconds:.1f} s")
    assert divergence < 0.1
    assert seconds < 10


def test_tempered_chains_exchange_without_bias():
    """Exchanges alone, between exact samples at four temperatures, leave each distribution; the twin with the sign of
    the gain turned does not."""
    m = random_machine(6, 3, 1.0, seeded(5), biases=0.3)
    ladder, n = [1.0, 0.7, 0.4, 0.0], 100_000
    v = states(6, m.low)
    exact_p = [(-m.scaled(beta).visible_energy(v)).softmax(0) for beta in ladder]
    generator = seeded(6)
    chosen = [torch.multinomial(p, n, replacement=True, generator=generator) for p in exact_p]

    def worst(machine):
        chains = torch.stack([v[c] for c in chosen])
        for parity in (0, 1, 0):
            training.exchange(machine, ladder, chains, parity, generator)
        counts = [torch.bincount(numbers(c), minlength=64).double() for c in chains]
        return max(float(((c - n * p) ** 2 / (n * p)).sum()) for c, p in zip(counts, exact_p, strict=True))

    assert worst(m) < 63 + 5 * math.sqrt(126)
    assert worst(Machine(-m.weights, -m.visible, -m.hidden)) > 63 + 50 * math.sqrt(126)


# annealed importance sampling


@pytest.mark.parametrize(("visible", "hidden", "scale"), [(12, 8, 0.3), (16, 12, 0.4), (36, 12, 0.25)])
def test_both_directions_bracket_the_exact_sum(visible, hidden, scale):
    m = random_machine(visible, hidden, scale, seeded(visible), biases=0.2)
    exact_z = exact.log_partition(m)
    generator, betas = seeded(7), torch.linspace(0, 1, 101, dtype=torch.float64)
    fore = annealing.forward(m, betas, 1000, generator)
    h = states(hidden, m.low)
    chosen = torch.multinomial((-m.hidden_energy(h)).softmax(0), 1000, replacement=True, generator=generator)
    samples = m.draw(m.field_on_visible(h[chosen]), generator)
    back = annealing.reverse(m, betas, samples, generator)
    for found in (fore, back):
        assert abs(found.value - exact_z) < 4 * found.error
    assert fore.bound - 3 * fore.bound_error < exact_z < back.bound + 3 * back.bound_error
    assert fore.bound < back.bound
    other = Machine(m.weights, m.visible, 1.2 * m.hidden + 0.1, m.low)
    assert abs(annealing.forward(other, betas, 1000, generator).value - exact_z) > 4 * fore.error


def test_annealing_from_units_that_are_no_part_of_the_machine():
    m = random_machine(12, 8, 0.3, seeded(1), "bernoulli", biases=0.5)
    base = torch.linspace(-1, 1, 12).double()
    found = annealing.forward(m, torch.linspace(0, 1, 201).double(), 2000, seeded(2), base)
    assert abs(found.value - exact.log_partition(m)) < 4 * found.error


@pytest.mark.parametrize("units", ["spin", "bernoulli"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_fields_overflow_nothing(units, dtype):
    """ln(exp(u f) + exp(f)) is f, or u f, where f is large."""
    m = random_machine(4, 3, 0.1, torch.Generator().manual_seed(1), units)
    field = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], dtype=dtype)
    wanted = [m.low * -1e4, m.low * -50.0, math.log(2.0), 50.0, 1e4]
    assert m.log_sum(field).tolist() == pytest.approx(wanted, rel=1e-6, abs=1e-6)
