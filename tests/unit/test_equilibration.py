"""The equilibration check passes chains in equilibrium and stops each kind of broken bank."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from hpcrg.analysis.equilibration import ALARM, SHORTEST, checks, equilibrium, require_equilibrium
from hpcrg.analysis.levels import SERIES, BankSums, Levels
from hpcrg.errors import NotEquilibrated

CHAINS, SLOTS, LENGTH, RHO = 8, 4, 2000, 0.8


def bank(seed: int) -> BankSums:
    """A bank whose series are stationary AR(1) chains with tau = 4.5."""
    noise = np.random.default_rng(seed).normal(size=(SLOTS, CHAINS, LENGTH, len(SERIES)))
    noise[:, :, 0] /= np.sqrt(1 - RHO**2)
    series = lfilter([np.sqrt(1 - RHO**2)], [1.0, -RHO], noise, axis=2)
    return BankSums("id", "test-L8", "ising", 8, 2, 1, np.linspace(0.5, 0.4, SLOTS), LENGTH, LENGTH // 4, 1,
                    [[Levels()]], series)  # fmt: skip


def stopped(sums: BankSums) -> bool:
    try:
        require_equilibrium([sums])
    except NotEquilibrated:
        return True
    return False


def test_stationary_chains_pass_and_p_is_uniform() -> None:
    banks = [bank(seed) for seed in range(60)]
    assert not any(stopped(b) for b in banks)  # 60 banks at a false-alarm level of 1e-4
    p = np.array([c.p for b in banks for c in checks(b)])
    assert 0.005 < (p < 0.01).mean() < 0.02
    assert 0.4 < (p < 0.5).mean() < 0.6
    assert ALARM <= 1e-4


def drifting(sums: BankSums) -> BankSums:
    """The hot chains relax slowly from a higher value."""
    series = sums.series.copy()
    series[:, 0::2] += 2.0 * np.exp(-np.arange(LENGTH) / 150)[:, None]
    return replace(sums, series=series)


def stuck(sums: BankSums) -> BankSums:
    """One rung remembers its start for ever: hot chains 0.6 standard deviations above cold ones."""
    series = sums.series.copy()
    series[2, 0::2] += 0.6
    return replace(sums, series=series)


def one_lost_chain(sums: BankSums) -> BankSums:
    series = sums.series.copy()
    series[0, 3] -= 1.0
    return replace(sums, series=series)


@pytest.mark.parametrize("twin", [drifting, stuck, one_lost_chain])
def test_broken_twins_are_stopped(twin) -> None:  # type: ignore[no-untyped-def]
    assert stopped(twin(bank(7)))


def test_the_error_says_where_and_how_much() -> None:
    with pytest.raises(NotEquilibrated, match=r"test-L8: .*T = .*score .*p = .*\n.*thermalise"):
        require_equilibrium([bank(1), stuck(bank(2))])


def test_chains_too_short_to_tell_are_stopped() -> None:
    short = bank(3).series[:, :, : SHORTEST - 1]
    with pytest.raises(NotEquilibrated, match=rf"at least {SHORTEST} measurements a chain: score {SHORTEST - 1}\.00"):
        require_equilibrium([replace(bank(3), series=short)])
    assert stopped(replace(bank(3), series=np.zeros_like(short)))


def test_a_note_says_what_was_tested() -> None:
    assert equilibrium([bank(4)]).level == "info"
    frozen = replace(bank(4), series=np.ones_like(bank(4).series))
    assert "nothing was tested" in equilibrium([frozen]).text
