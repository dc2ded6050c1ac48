"""Monte Carlo RG against what is known exactly: decimation in one dimension, enumeration in two, and row E1.

Thresholds of 5 sigma on fixed seeds; every comparison has a twin with a fault that it must reject.
"""

from dataclasses import replace

import numpy as np
import pytest

from hpcrg.analysis import mcrg
from hpcrg.analysis.graph import compute_here
from hpcrg.bank import write_bank
from hpcrg.campaign import FlowSpec
from hpcrg.ensemble import UpdateCall
from hpcrg.models import ising, potts
from hpcrg.rng import Purpose, stream
from hpcrg.schemes import SCHEMES
from hpcrg.updates import UPDATES
from hpcrg.updates.base import compiled

CHUNK = 1 << 20
BETA_C = float(np.log1p(np.sqrt(2)) / 2)


def flow(path, **changes):
    spec = FlowSpec(**{"ensemble": "critical", "scheme": "majority", "levels": 3} | changes)
    subject = mcrg.subject_of(path, spec)
    return mcrg.measure(subject, spec, compute_here, CHUNK)


def pulls(found, wanted):
    """Pulls of y by level, with all operators."""
    return np.abs(found.value[:, -1] - wanted) / found.error[:, -1]


def ring(K, draws, size, rng):
    """Independent configurations of the periodic chain: free bonds, kept when their product is +1."""
    bonds = np.where(rng.random((3 * draws, size)) < 1 / (1 + np.exp(-2 * K)), 1, -1)
    bonds = bonds[bonds.prod(axis=1) == 1][:draws]
    assert len(bonds) == draws
    first = rng.choice([-1, 1], (draws, 1))
    return (first * np.cumprod(bonds, axis=1)).astype(np.int8)


def test_decimation_of_the_chain_is_exact_at_every_level(small, tmp_path):
    """tanh K' = tanh^2 K, so dK'/dK = tanh 2K, and dh'/dh = 1 + tanh 2K at h = 0, on every periodic chain."""
    chain = {"type": "hypercubic", "dimension": 1}
    ensemble = small(size=32, lattice=chain, betas=(0.9,), chains=4, draws=8000, exchange=False)
    spins = ring(0.9, 32000, 32, np.random.default_rng(21)).reshape(4, 1, 8000, 32)
    write_bank(tmp_path / "bank.h5", ensemble, spins, {})
    even, odd = flow(tmp_path / "bank.h5", scheme="decimation", levels=2, even=("nn",), odd=("magnetisation",))
    K = np.array([0.9, np.arctanh(np.tanh(0.9) ** 2)])
    assert pulls(even, np.log2(np.tanh(2 * K))).max() < 5
    assert pulls(odd, np.log2(1 + np.tanh(2 * K))).max() < 5
    twin = K * 1.12  # couplings 12 % too strong
    assert pulls(even, np.log2(np.tanh(2 * twin))).max() > 5
    assert pulls(odd, np.log2(1 + np.tanh(2 * twin))).max() > 5


def square_4x4(K):
    """Every configuration of the 4 x 4 torus with its probability."""
    codes = (np.arange(1 << 16)[:, None] >> np.arange(16)) & 1
    spins = (2 * codes - 1).astype(np.int8).reshape(-1, 4, 4)
    energy = sum((spins * np.roll(spins, 1, axis)).sum(axis=(1, 2), dtype=np.int64) for axis in (1, 2))
    weight = np.exp(K * (energy - 32.0))
    return spins, energy, weight / weight.sum()


def exact_majority(K):
    """y_t (nn alone) and y_h (magnetisation alone) of one step 4 x 4 -> 2 x 2, averaged over all ties."""
    spins, energy, p = square_4x4(K)
    blocks = spins.reshape(-1, 2, 2, 2, 2).sum(axis=(2, 4), dtype=np.int64)
    magnetisation = spins.sum(axis=(1, 2), dtype=np.int64)
    even, odd = np.zeros(4), np.zeros(2)
    for pattern in np.ndindex(2, 2, 2, 2):
        tie = 2 * np.array(pattern).reshape(2, 2) - 1
        block = np.where(blocks == 0, tie, np.sign(blocks))
        after = sum((block * np.roll(block, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
        even += np.array([p @ after, p @ (after * after), p @ (after * energy), p @ energy]) / 16
        m = block.sum(axis=(1, 2))
        odd += np.array([p @ (m * m), p @ (m * magnetisation)]) / 16
    s, ss, st, t = even
    return np.log2((st - s * t) / (ss - s * s)), np.log2(odd[1] / odd[0])


class PlusOnTies:
    """A broken twin: every tie gives +1."""

    def __init__(self, factor):
        self.factor = factor

    def coarsen(self, model, spins, keys):
        n = spins.shape[1] // 2
        blocks = spins.reshape(-1, n, 2, n, 2).sum(axis=(2, 4), dtype=np.int64)
        return np.where(blocks >= 0, 1, -1).astype(np.int8)


def test_majority_rule_against_enumeration(small, tmp_path, monkeypatch):
    K = 0.40
    spins, _, p = square_4x4(K)
    drawn = spins[np.random.default_rng(22).choice(len(p), 40_000, p=p)].reshape(4, 1, 10_000, 4, 4)
    ensemble = small(size=4, betas=(K,), chains=4, draws=10_000, exchange=False)
    write_bank(tmp_path / "bank.h5", ensemble, drawn, {})
    settings = {"levels": 1, "even": ("nn",), "odd": ("magnetisation",)}
    y_t, y_h = exact_majority(K)
    even, odd = flow(tmp_path / "bank.h5", **settings)
    assert pulls(even, y_t).max() < 5
    assert pulls(odd, y_h).max() < 5
    monkeypatch.setitem(SCHEMES, "majority", PlusOnTies)
    _, odd = flow(tmp_path / "bank.h5", **settings)
    assert pulls(odd, y_h).max() > 10


def swendsen_wang(ensemble, path, beta_of_sampler=None):
    """A bank of one slot by Swendsen-Wang updates; a wrong `beta_of_sampler` makes the broken twin."""
    chains, lattice = ensemble.chains, ensemble.geometry
    sweep = compiled(UPDATES["swendsen_wang"].build(ensemble.system))
    rng = np.array([stream(ensemble.seed, Purpose.WALKER, chain) for chain in range(chains)])
    betas = np.full(chains, beta_of_sampler or ensemble.betas[0])
    spins, info = np.ones((chains, lattice.volume), np.int8), np.zeros((chains, 2))
    kept = np.empty((chains, 1, ensemble.draws, *lattice.shape), np.int8)
    tables = ensemble.layout.prepare(np.zeros((1, 1), np.int8))
    for round_ in range(ensemble.thermalise + ensemble.draws * ensemble.keep):
        sweep(spins, betas, rng, *tables, info)
        done = round_ + 1 - ensemble.thermalise
        if done > 0 and done % ensemble.keep == 0:
            kept[:, 0, done // ensemble.keep - 1] = spins.reshape(chains, *lattice.shape)
    write_bank(path, ensemble, kept, {})
    return path


@pytest.fixture
def critical(small):
    return small(
        size=16, betas=(BETA_C,), chains=4, draws=500, exchange=False, thermalise=100,
        updates=(UpdateCall("swendsen_wang"),),
    )  # fmt: skip


def test_two_state_potts_is_the_ising_model(critical, tmp_path):
    """Both forms of the operators span the same space, and ties fall alike: the exponents are equal."""
    spins = swendsen_wang(critical, tmp_path / "ising.h5")
    ensemble = replace(critical, model={"type": "potts", "q": 2})
    with mcrg.open_bank(spins) as bank:
        colours = np.array([[ising().codes(bank.spins(c, 0, 0, bank.draws))] for c in range(bank.chains)])
        key = bank.id
    path = tmp_path / "potts.h5"
    write_bank(path, ensemble, potts(2).from_codes(colours), {})
    spec = FlowSpec(ensemble="c", scheme="majority", levels=2)
    found = []
    for subject in (mcrg.subject_of(spins, spec), mcrg.subject_of(path, spec)):
        found.append(mcrg.measure(replace(subject, id=key), spec, compute_here, CHUNK))
    for a, b in zip(*found, strict=True):
        assert np.allclose(a.value, b.value, atol=1e-9)
        assert np.allclose(a.replicas, b.replicas, atol=1e-9)


# Row E1: y by level (rows) and number of operators (columns), value and error.
E1_Y_T = [
    [(0.9089, 17), (0.9627, 18), (0.9652, 17), (0.9649, 18)],
    [(0.9612, 19), (0.9969, 17), (0.9978, 17), (0.9980, 19)],
    [(0.9543, 23), (0.9960, 23), (0.9978, 22), (0.9967, 26)],
]
E1_Y_H = [[(1.8810, 1), (1.8804, 1)], [(1.8757, 1), (1.8758, 1)], [(1.8736, 2), (1.8746, 2)]]


def e1_pulls(found, table):
    value = np.array([[v for v, _ in row] for row in table])
    error = np.array([[1e-4 * e for _, e in row] for row in table])
    return np.abs(found.value - value) / np.hypot(found.error, error)


@pytest.mark.slow
def test_row_e1(critical, tmp_path):
    """64 x 64 at K_c against an independent run of 180 000 configurations, all levels and operators."""
    ensemble = replace(critical, size=64, chains=8, draws=3000, thermalise=300)
    even, odd = flow(swendsen_wang(ensemble, tmp_path / "right.h5"))
    assert e1_pulls(even, E1_Y_T).max() < 3
    assert e1_pulls(odd, E1_Y_H).max() < 3
    short = replace(ensemble, draws=1500)
    even, odd = flow(swendsen_wang(short, tmp_path / "wrong.h5", beta_of_sampler=0.98 * BETA_C))
    assert e1_pulls(even, E1_Y_T).max() > 6
    assert e1_pulls(odd, E1_Y_H).max() > 6
