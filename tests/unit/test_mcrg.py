"""The function behind `flow`: what it refuses, what it says on failure, that how it ran changes nothing."""

import json

import dask.threaded
import numpy as np
import pytest

from hpcrg.analysis import mcrg
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.mcrg_figures import notes
from hpcrg.analysis.swendsen import Exponents
from hpcrg.bank import write_bank
from hpcrg.campaign import FlowSpec
from hpcrg.edges.dask import computing
from hpcrg.errors import InputError, NotEquilibrated
from hpcrg.estimate import Estimate, Reference

MIB = 1 << 20
BETA_C = float(np.log1p(np.sqrt(2)) / 2)


def settings(**changes):
    fields = {"ensemble": "critical", "scheme": "majority", "levels": 2, "blocks": 4, "check_equilibration": False}
    return FlowSpec(**fields | changes)


@pytest.fixture
def make_bank(small, tmp_path):
    """A function that writes a bank of spins that follow a random field common to the lattice, and of series of noise
    if `noise` is given: so many measurements of the hot chains start 4 standard deviations too high."""

    def make(noise=None, **changes):
        fields = {"size": 16, "betas": (BETA_C,), "chains": 2, "draws": 60, "exchange": False}
        ensemble = small(**fields | changes)
        model, shape = ensemble.physics, ensemble.geometry.shape
        rng = np.random.default_rng(31)
        head = (ensemble.chains, ensemble.slots, ensemble.draws)
        common = rng.integers(0, model.states, (*head, *(1 for _ in shape)))
        own = rng.integers(0, model.states, (*head, *shape))
        codes = np.where(rng.random((*head, *shape)) < 0.3, common, own).astype(np.uint8)
        path = tmp_path / f"{ensemble.id}.h5"
        write_bank(path, ensemble, model.from_codes(codes), {} if noise is None else series(ensemble, noise))
        return path

    return make


def series(ensemble, transient):
    """Energy, order parameter and structure factor of independent measurements."""
    rng = np.random.default_rng(33)
    head = (ensemble.chains, ensemble.slots, ensemble.measurements)
    found = {name: rng.normal(0, 50, head).astype(int) for name in ("energy", "order")}
    found["energy"][0::2, :, :transient] += 200
    return found | {"structure": rng.random(head)}


def test_a_bank_that_has_not_thermalised_is_stopped_before_its_spins_are_read(make_bank, monkeypatch):
    good, bad = make_bank(noise=0), make_bank(noise=20, seed=12)
    checked = settings(check_equilibration=True)
    whole = mcrg.run([good], "flow", checked, compute_here, MIB)
    unchecked = mcrg.run([good], "flow", settings(), compute_here, MIB)
    assert [e.as_json() for e in whole[0]] == [e.as_json() for e in unchecked[0]]
    assert [r[1].notes[0].level for r in (whole, unchecked)] == ["info", "warning"]
    assert "not checked" in unchecked[1].notes[0].text
    assert mcrg.run([bad], "flow", settings(), compute_here, MIB)[0]
    monkeypatch.setattr(mcrg, "measure", None)
    with pytest.raises(NotEquilibrated, match="thermalise"):
        mcrg.run([good, bad], "flow", checked, compute_here, MIB)
    with pytest.raises(NotEquilibrated, match="at least 40 measurements"):
        mcrg.run([make_bank(noise=0, draws=15, seed=13)], "flow", checked, compute_here, MIB)


def test_critical_exponents_are_references_at_the_critical_temperature_alone(make_bank):
    at, off = (mcrg.run([make_bank(betas=(b,))], "flow", settings(), compute_here, MIB) for b in (BETA_C, 0.44))
    assert [e.reference.value for e in at[0]] == [1.0, 1.875]
    assert off[0]
    assert all(e.pull is None for e in off[0])
    assert all(f.reference is None or f.reference.label == "marginal" for f in off[1].figures)
    assert [n.level for n in off[1].notes if "not the critical temperature" in n.text] == ["info"]
    assert not any("fixed point" in n.text for n in off[1].notes)


def as_text(result):
    return json.dumps([e.as_json() for e in result[0]]) + repr(result[1])


POTTS = {"model": {"type": "potts", "q": 3}}


@pytest.mark.parametrize("changes", [{}, POTTS])
def test_estimates_do_not_depend_on_chunks_or_scheduler(make_bank, changes):
    path = make_bank(**changes)
    whole = as_text(mcrg.run([path], "flow", settings(), compute_here, MIB))
    for chunk in (1, 7 * 256):
        assert as_text(mcrg.run([path], "flow", settings(), compute_here, chunk)) == whole
    assert as_text(mcrg.run([path], "flow", settings(), dask.threaded.get, 10 * 256)) == whole


@pytest.mark.slow
def test_estimates_do_not_depend_on_workers(make_bank):
    path = make_bank(draws=400)
    whole = as_text(mcrg.run([path], "flow", settings(), compute_here, MIB))
    for workers, processes in ((1, True), (3, True), (1, False), (3, False)):
        with computing(workers, processes) as compute:
            for chunk in (20 * 256, MIB):
                found = as_text(mcrg.run([path], "flow", settings(), compute, chunk))
                assert found == whole, (workers, processes, chunk)


def test_ties_belong_to_the_ensemble(make_bank, monkeypatch):
    """The broken twin of the tests above: ties counted from the start of the chunk depend on the chunks."""
    path = make_bank()
    honest = mcrg.tie_keys
    monkeypatch.setattr(mcrg, "tie_keys", lambda key, c, s, start, n, level: honest(key, c, s, 0, n, level))
    split = as_text(mcrg.run([path], "flow", settings(), compute_here, 7 * 256))
    assert split != as_text(mcrg.run([path], "flow", settings(), compute_here, MIB))


def test_names_and_contents_of_the_estimates(make_bank):
    path = make_bank()
    estimates, data = mcrg.run([path], "maj", settings(), compute_here, MIB)
    assert [(e.quantity, e.method) for e in estimates] == [("y_t", "mcrg/majority"), ("y_h", "mcrg/majority")]
    with mcrg.open_bank(path) as bank:
        assert estimates[0].source == (bank.id,)
    assert estimates[0].replicas[estimates[0].source[0]].shape == (2 * 4,)
    assert list(estimates[0].systematic) == ["level"]
    assert estimates[0].settings["step"] == "8 -> 4"
    assert estimates[0].reference.value == 1.0
    assert len({f.name for f in data.figures}) == 6
    assert [len(t.rows) for t in data.tables] == [2, 2]


def test_works_blind(make_bank):
    """q = 3 in three dimensions: nothing is known, so there is no reference and no note that needs one."""
    path = make_bank(size=4, lattice={"type": "hypercubic", "dimension": 3}, **POTTS)
    spec = settings(levels=1, even=("nn",), odd=("magnetisation",))
    estimates, data = mcrg.run([path], "blind", spec, compute_here, MIB)
    assert [e.reference for e in estimates] == [None, None]
    assert [n.level for n in data.notes] == ["warning"] * 3  # not checked for equilibrium, and one level of each
    assert all(f.reference is None or f.reference.label == "marginal" for f in data.figures)


@pytest.mark.parametrize(
    ("bank", "flow", "message"),
    [
        ({"betas": (0.5, 0.4)}, {}, "exactly 1"),
        ({"size": 12}, {"levels": 3}, "2\\^3 = 8 divides"),
        ({}, {"levels": 3}, "folded onto"),
        ({}, {"blocks": 61}, "blocks"),
        ({"chains": 1}, {"blocks": 1}, "at least 2"),
    ],
)
def test_impossible_flows_are_refused(make_bank, bank, flow, message):
    with pytest.raises(InputError, match=message):
        mcrg.run([make_bank(**bank)], "flow", settings(**flow), compute_here, MIB)


def test_operators_are_checked_in_the_campaign():
    with pytest.raises(ValueError, match="did you mean 'plaquette'"):
        settings(even=("nn", "plaquete"))
    with pytest.raises(ValueError, match="twice"):
        settings(odd=("corner", "corner"))
    with pytest.raises(ValueError, match="magnetisation"):
        settings(odd=("nn",))


def levels(*values, spread=0.001):
    """Exponents with these values by level and independent jackknife errors of about `spread`."""
    value = np.array(values)[:, None]
    noise = np.random.default_rng(32).normal(0, spread / np.sqrt(20), (20, len(values), 1))
    return Exponents(value, value + noise, np.ones((len(values), 1)))


def told(found, value=1.0, reference=1.0):
    known = None if reference is None else Reference(reference)
    replicas = {"id": found.replicas[:, -1, -1]}
    estimate = Estimate("y_t", "mcrg/majority", "ising", (64,), value, replicas, reference=known)
    return [n.text for n in notes("title", "y_t", found, estimate) if n.level == "failure"]


def test_failures_are_said_and_successes_are_not():
    assert told(levels(0.965, 0.998, 0.9985)) == []
    assert "from 1 " in told(levels(0.965, 0.998, 0.9985), value=1.05)[0]
    assert told(levels(0.965, 0.998, 0.9985), value=1.05, reference=None) == []
    assert "do not converge" in told(levels(1.157, 1.091, 0.921), reference=None)[0]
    assert "do not converge" in told(levels(1.157, 1.091), reference=None)[0]
    assert notes_of_nothing() == ["failure"]


def notes_of_nothing():
    return [n.level for n in notes("title", "y_t", levels(np.nan, np.nan), None)]
