"""What `inspect` says of a bank, down to the shortest."""

import numpy as np
import pytest

from hpcrg.analysis.inspection import TEMPERING_COLUMNS, inspect_banks
from hpcrg.analysis.tempering import Tempering, tempering
from hpcrg.bank import open_bank, write_bank
from hpcrg.comm import Alone
from hpcrg.ladder import round_trip_rate, round_trips, trips_of
from hpcrg.sampler import Limits, sample


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


@pytest.mark.parametrize(("measure", "text"), [(1, ""), (3, " (seen every 3 rounds)")])
def test_round_trips_say_how_often_they_were_looked_at(make_bank, measure, text):
    """Banks of before turns were stored; in one measured every round nothing is unseen."""
    (row,) = inspect_banks([make_bank(draws=4, keep=3, measure=measure)]).tables[1].rows
    cell = dict(zip(TEMPERING_COLUMNS, row, strict=True))["round trips"]
    assert cell == f"{3 * (12 // measure - 2)}{text}"


@pytest.mark.parametrize("measure", [1, 7])
def test_turns_count_round_trips_between_measurements_too(small, tmp_path, measure):
    """The same rounds, looked at each time and every seventh time."""
    e = small(betas=(0.46, 0.45, 0.44), measure=measure, keep=7, draws=30, thermalise=14)
    sample(e, tmp_path / "bank.h5", tmp_path / "state", Alone(), Limits(), lambda *_: None)
    with open_bank(tmp_path / "bank.h5") as bank:
        found = tempering(bank)
        turns = np.stack([bank.series("turns", 0, s).astype(int) for s in range(3)], axis=1)
        walker_at = np.stack([bank.series("walker", 0, s) for s in range(3)], axis=1).astype(int)
    rows = np.arange(len(turns))
    assert found.unseen == 0
    assert found.trips > 60  # of 9 walkers in about 200 rounds
    assert (np.diff(turns[rows[:, None], np.argsort(walker_at)], axis=0) >= 0).all()
    if measure == 1:
        by_hand = trips_of(turns[-1]).sum() - trips_of(turns[0]).sum()
        assert abs(round_trips(walker_at) - by_hand) <= 6  # each walker's first may have begun before
    assert found.measured < 1.05 * found.predicted


def ladder_of(r, efficiency=1.0, slots=8, rounds=100_000, **changes):
    """A tempering of given rejection rates."""
    rejection = np.broadcast_to(r, slots - 1).astype(float)
    trips = round(round_trip_rate(rejection) * rounds * efficiency)
    return Tempering(np.linspace(1.0, 2.0, slots), rejection, trips, rounds, **changes)


def test_advice_names_what_is_wrong():
    assert list(ladder_of(0.4).advice()) == []
    assert [a.split(":")[0] for a in ladder_of([0.1] * 6 + [0.8]).advice()] == [
        "uneven ladder, worst between T = 1.8571 and 2 (0.20 accepted)"
    ]
    (few,) = ladder_of(0.8).advice()
    assert few.startswith("few exchanges accepted: about 13 temperatures")
    (slow,) = ladder_of(0.4, 0.1).advice()
    assert slow.startswith("configurations change too slowly for the ladder (10% of its round trips): more sweeps")
    (short,) = ladder_of(0.4, 0.0, rounds=100).advice()
    assert short.startswith("short: the ladder allows")
    assert list(ladder_of(0.4, 0.1, unseen=5).advice()) == []


def test_a_pair_that_never_exchanges_allows_no_round_trip():
    stuck = ladder_of([0.2] * 6 + [1.0], 0.0)
    assert (stuck.predicted, stuck.measured) == (0.0, 0.0)
    assert any("uneven" in a for a in stuck.advice())


def test_a_ladder_where_all_is_accepted_has_the_rate_of_ballistic_walkers():
    assert round_trip_rate(np.zeros(5)) == 0.5
    assert round_trip_rate(np.full(4, 0.5)) == pytest.approx(1 / (2 + 2 * 4))
