"""What `inspect` says of a bank, down to the shortest."""

import numpy as np
import pytest

from hpcrg.analysis.inspection import inspect_banks
from hpcrg.bank import write_bank


@pytest.fixture
def make_bank(small, tmp_path):
    """A function that writes a bank in which two walkers change places at every measurement."""

    def make(**changes):
        e = small(betas=(0.5, 0.4), **changes)
        rng = np.random.default_rng(41)
        head = (e.chains, e.slots, e.measurements)
        swapped = np.arange(e.measurements) % 2
        series = {
            "energy": rng.integers(-90, -50, head), "order": rng.integers(-64, 64, head),
            "exchange_attempted": np.ones(head), "exchange_accepted": np.ones(head),
            "walker": np.broadcast_to(np.stack([swapped, 1 - swapped]), head),
        }  # fmt: skip
        spins = np.ones((e.chains, e.slots, e.draws, *e.geometry.shape), np.int8)
        write_bank(tmp_path / "bank.h5", e, spins, series)
        return tmp_path / "bank.h5"

    return make


def test_a_bank_of_few_measurements_has_no_tau_but_a_table(make_bank):
    data = inspect_banks([make_bank(draws=1, keep=3, measure=1)])
    assert [row[-2:] for row in data.tables[0].rows] == [["-", "-"]] * 2
    assert data.figures[0].curves[0].y == []
    data = inspect_banks([make_bank(draws=4, keep=3, measure=1)])
    assert all(float(cell) > 0 for row in data.tables[0].rows for cell in row[-2:])


@pytest.mark.parametrize(("measure", "text"), [(1, "seen every round"), (3, "seen every 3 rounds")])
def test_round_trips_say_how_often_they_were_looked_at(make_bank, measure, text):
    title = inspect_banks([make_bank(draws=4, keep=3, measure=measure)]).tables[0].title
    assert f"round trips ({text})" in title
