"""Estimates: errors against exact formulas, correlations kept by derive, files that refuse what is not theirs."""

import json

import numpy as np
import pytest

from hpcrg import estimate
from hpcrg.errors import CorruptFile
from hpcrg.estimate import Estimate, Reference, derive, difference, format_error, jackknife_error


def leave_one_out(blocks):
    return (blocks.sum() - blocks) / (blocks.size - 1)


def an_estimate(value, replicas, **more):
    return Estimate("T_c", "fss/crossing", "ising", (8, 16), value, replicas, **more)


def test_jackknife_error_of_a_mean_is_the_standard_error():
    blocks = np.random.default_rng(1).normal(size=40)
    exact = blocks.std(ddof=1) / np.sqrt(blocks.size)
    assert jackknife_error(leave_one_out(blocks)) == pytest.approx(exact, rel=1e-12)


def test_error_of_a_spread_taken_for_an_error_is_caught():
    blocks = np.random.default_rng(1).normal(size=40)
    assert blocks.std(ddof=1) > 5 * jackknife_error(leave_one_out(blocks))


def test_derive_keeps_the_covariance_of_shared_draws():
    rng = np.random.default_rng(2)
    common = rng.normal(size=32)
    x = leave_one_out(5 + common + 0.1 * rng.normal(size=32))
    y = leave_one_out(5 + common + 0.1 * rng.normal(size=32))
    a, b = an_estimate(x.mean(), {"e": x}), an_estimate(y.mean(), {"e": y})
    _, joint = difference(a, b)
    quadrature = np.hypot(a.error, b.error)
    assert joint == pytest.approx(jackknife_error(x - y), rel=1e-12)
    assert joint < 0.2 * quadrature


def test_independent_sources_add_in_quadrature():
    rng = np.random.default_rng(3)
    x, y = leave_one_out(rng.normal(size=16)), leave_one_out(rng.normal(size=24))
    value, replicas = derive(lambda a, b: a - b, (x.mean(), {"a": x}), (y.mean(), {"b": y}))
    exact = np.hypot(jackknife_error(x), jackknife_error(y))
    assert estimate.combined_error(replicas) == pytest.approx(exact, rel=1e-12)
    assert value == pytest.approx(x.mean() - y.mean())


def test_derive_refuses_different_blocks_of_one_source():
    with pytest.raises(ValueError, match="8 blocks"):
        derive(lambda a, b: a + b, (0.0, {"e": np.zeros(8)}), (0.0, {"e": np.zeros(9)}))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.99961, 0.0056, "0.9996(56)"), (2.26919, 0.00031, "2.26919(31)"), (12.3, 4.5, "12.3(4.5)"), (1.0, 0.0, "1")],
)
def test_error_in_brackets(value, error, text):
    assert format_error(value, error) == text


def test_pull_takes_systematics_and_the_reference_error_into_account():
    r = np.array([0.9, 1.1])
    e = an_estimate(1.0, {"a": r}, systematic={"size": 0.3}, reference=Reference(0.5, 0.2, "a paper"))
    assert e.statistical == pytest.approx(0.1)
    assert e.pull == pytest.approx(0.5 / np.sqrt(0.01 + 0.09 + 0.04))


def test_round_trip_and_refusal_of_another_schema(tmp_path):
    e = an_estimate(2.27, {"abc": np.array([2.26, 2.28])}, systematic={"size": 0.01}, source=("abc",),
                    reference=Reference(2.2691853), settings={"pairs": [[8, 16]]})  # fmt: skip
    path = tmp_path / "e.json"
    estimate.save(path, [e])
    (again,) = estimate.load(path)
    assert (again.value, again.error, again.pull) == (e.value, e.error, e.pull)
    rows = json.loads(path.read_text())
    assert rows[0]["quantity"] == "T_c"
    rows[0]["schema"] = "hpcrg.estimates/99"
    path.write_text(json.dumps(rows))
    with pytest.raises(CorruptFile, match="estimates/99"):
        estimate.load(path)


def test_a_value_that_is_not_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        estimate.save(tmp_path / "e.json", [an_estimate(float("nan"), {"a": np.zeros(2)})])
    assert not (tmp_path / "e.json").exists()
