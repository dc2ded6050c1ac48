"""The correlation length: the enumerated ring to rounding, the square lattice at J = 0.408, on which Mehta and Schwab's
experiment stands, within three per cent of Onsager's 7.46732 and within its errors."""

import numpy as np
import pytest

from hpcrg import correlations
from hpcrg.analysis import correlation_length
from hpcrg.bank import open_bank
from hpcrg.comm import Alone
from hpcrg.ensemble import UpdateCall
from hpcrg.errors import InputError
from hpcrg.estimate import jackknife_error
from hpcrg.lattice import Lattice
from hpcrg.models import ising
from hpcrg.sampler import Limits, sample
from hpcrg.system import System

CHAINS, DRAWS = 10, 600


def ring(n, coupling):
    """All configurations of a ring and their probabilities."""
    spins = (2 * (np.arange(1 << n)[:, None] >> np.arange(n) & 1) - 1).astype(np.int8)
    p = np.exp(coupling * (spins * np.roll(spins, 1, 1)).sum(1, dtype=float))
    return spins, p / p.sum()


def test_the_ring():
    """As many configurations of each kind as it is probable, in a million; correlations beyond are exact."""
    n, coupling = 14, 0.6
    spins, p = ring(n, coupling)
    each = np.array([correlations.of_lines(s[None]) for s in spins])
    c = p @ each
    t = np.tanh(coupling)
    r = np.arange(n // 2 + 1)
    np.testing.assert_allclose(c, (t**r + t ** (n - r)) / (1 + t**n), atol=1e-12)
    known = correlations.exact_length(System(ising(), Lattice((n,))), coupling)
    assert known.value == pytest.approx(-1 / np.log(t))
    for first in (1, 2, 4):
        assert correlation_length.length(c, first) == pytest.approx(known.value, rel=1e-9)


@pytest.fixture(scope="module")
def spins(tmp_path_factory):
    """[chain, draw, y, x] of 40 x 40 sites at J = 0.408."""
    from hpcrg.ensemble import Ensemble

    place = tmp_path_factory.mktemp("warm")
    e = Ensemble(
        "warm", 40, {"type": "ising"}, {"type": "hypercubic", "dimension": 2}, (0.408,),
        (UpdateCall("swendsen_wang"),), False, 12, 200, 5, 5, CHAINS, DRAWS,
    )  # fmt: skip
    sample(e, place / "bank.h5", place / "state", Alone(), Limits(), lambda *_: None)
    with open_bank(place / "bank.h5") as bank:
        return np.stack([bank.spins(c, 0, 0, DRAWS) for c in range(CHAINS)])


def test_the_bank_of_the_stacks(spins):
    known = correlations.exact_length(System(ising(), Lattice((40, 40))), 0.408)
    assert known.value == pytest.approx(7.46732, abs=5e-6)
    value, replicas, systematic = correlation_length.measured([correlations.of_lines(s) for s in spins])
    assert value == pytest.approx(known.value, rel=0.03)
    assert abs(value - known.value) < 4 * np.hypot(jackknife_error(replicas), np.hypot(*systematic.values()))
    assert jackknife_error(replicas) < 0.02 * known.value
    assert systematic["size"] == pytest.approx(0.0017 * known.value, rel=0.3)  # as the strip has it


def test_correlations_of_sites_do_not_have_it(spins):
    """Twin: between single spins they fall faster, by a power of r as well."""
    power = np.abs(np.fft.fft(spins.astype(float), axis=3)) ** 2
    sites = np.fft.ifft(power.mean(axis=(0, 1, 2))).real[:21]
    assert abs(correlation_length.length(sites, 4) - 7.46732) > 0.1 * 7.46732


def test_what_has_no_length_is_refused(spins):
    up = np.ones((5, 40, 40), np.int8)
    with pytest.raises(InputError, match=r"at most 0\.25 of the side, 10, found nan"):
        correlation_length.measured([correlations.of_lines(up)] * 3)
    assert correlations.exact_length(System(ising(), Lattice((40, 40))), 0.45) is None
    assert correlations.exact_length(System(ising(), Lattice((4, 4, 4))), 0.1) is None
