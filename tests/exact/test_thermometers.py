"""Networks that tell the temperature: the best reading there is, what carries how much information on it, and where, all
against the enumerated 3 x 3 and 4 x 4 Ising squares."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from hpcrg.analysis import outputs, thermometers
from hpcrg.analysis.output_blocks import by_architecture
from hpcrg.analysis.output_curves import size_curves
from hpcrg.analysis.output_features import HEAT, information, information_peak
from hpcrg.bank import SeriesBlock, read_series, write_series
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError
from hpcrg.estimate import jackknife_error
from hpcrg.learn import posterior
from hpcrg.learn.objectives import Regressor

T = np.linspace(1.4, 5.0, 13)
SPEC = TrainSpec(ensemble="x", objective="regressor", cold=7, hot=6, seeds=4, blocks=5)
CHAINS, DRAWS = 8, 400


@cache
def states(size):
    """Energies and |m| of all states."""
    codes = np.arange(2 ** (size * size))
    s = (2 * ((codes[:, None] >> np.arange(size * size)) & 1) - 1).reshape(-1, size, size)
    energy = -(s * np.roll(s, 1, 1) + s * np.roll(s, 1, 2)).sum(axis=(1, 2))
    return energy.astype(float), np.abs(s.mean(axis=(1, 2)))


def exact(size, beta, f):
    """Var E and (d<f>/dbeta)^2 / var f at one beta."""
    energy, _ = states(size)
    w = np.exp(-beta * (energy - energy.min()))
    w /= w.sum()
    e, x = energy - w @ energy, f - w @ f
    return w @ e**2, (w @ (e * x)) ** 2 / (w @ x**2)


def series(path, reading, sizes=(3, 4), seed=1):
    """A file of readings, each a function of energies and |m|, of four networks that hold two chains out each."""
    rng, blocks = np.random.default_rng(seed), []
    for size in sizes:
        energy, m = states(size)
        weights = [np.exp(-(energy - energy.min()) / t) for t in T]
        pick = np.stack([rng.choice(len(energy), size=(CHAINS, DRAWS), p=w / w.sum()) for w in weights], axis=1)
        held = np.eye(4, dtype=bool).repeat(2, axis=1)
        values = {"abs_m": m[pick], "m2": m[pick] ** 2, "m4": m[pick] ** 4, "energy": energy[pick]}
        values["beta"] = reading(energy[pick], m[pick])
        table = {k: np.where(held[..., None, None], v, np.nan) for k, v in values.items()}
        blocks.append(SeriesBlock(f"x-L{size}", size, f"id{size}", {"type": "ising"}, 2, T, table, held, {}))
    write_series(path, blocks)
    return path


def curves(path):
    return [size_curves(by_architecture(path, b, ("cnn",), "beta"), 5, ("cnn",), heat=True) for b in read_series(path)]


def test_a_reading_that_is_linear_in_the_energy_has_all_its_information(tmp_path):
    for s in curves(series(tmp_path / "e.h5", lambda e, m: 0.3 - 0.01 * e)):
        np.testing.assert_allclose(information(s.curves, "cnn"), information(s.curves, HEAT), rtol=1e-9)


def test_another_reading_has_its_own_information_and_less(tmp_path):
    """Of whether |m| is above 1/2, within four errors of the enumerated one and far below that of the energy."""
    for s in curves(series(tmp_path / "m.h5", lambda e, m: 1.0 * (m > 0.5))):
        m = states(s.size)[1]
        for i in (40, 150, 300):
            heat, of_m = exact(s.size, s.curves.beta[i], 1.0 * (m > 0.5))
            for found, known in ((information(s.curves, HEAT), heat), (information(s.curves, "cnn"), of_m)):
                assert abs(found[0, i] - known) < 4 * jackknife_error(found[1:, i])
            read = information(s.curves, "cnn")
            assert abs(read[0, i] - heat) > 8 * jackknife_error(read[1:, i])


def test_the_peak_is_where_enumeration_has_it(tmp_path):
    for s in curves(series(tmp_path / "e.h5", lambda e, m: -e)):
        grid = np.linspace(1 / 3.2, 1 / 1.8, 400)
        heat = [exact(s.size, b, states(s.size)[0])[0] for b in grid]
        beta, height = information_peak(s.curves, "cnn", s.size)
        assert abs(beta[0] - grid[np.argmax(heat)]) < 4 * jackknife_error(beta[1:])
        assert abs(height[0] - max(heat)) < 4 * jackknife_error(height[1:])


def test_estimates_tables_and_figures(tmp_path):
    """A reading with the energy's information has its T_c; one with noise of its own is no less certain of it than the
    noise makes it, and a share below one stands in the table."""
    same, data = thermometers.run(series(tmp_path / "e.h5", lambda e, m: 0.3 - 0.01 * e), "th", SPEC)
    by = {(e.method, e.quantity): e for e in same}
    assert set(by) == {(m, "T_c") for m in ("cnn/information", "baseline/energy", "baseline/binder")} | {
        ("baseline/binder", "nu")
    }
    assert by["cnn/information", "T_c"].value == pytest.approx(by["baseline/energy", "T_c"].value, rel=0.01)
    assert {"seed", "misfit", "size", "ansatz"} == set(by["cnn/information", "T_c"].systematic)
    assert {f.name for f in data.figures} == {"th-reading-cnn", "th-information-cnn", "th-peak"}
    rng = np.random.default_rng(3)
    noisy = series(tmp_path / "n.h5", lambda e, m: -e + rng.normal(0.0, 8.0, e.shape))
    _, data = thermometers.run(noisy, "th", SPEC)
    shares = [row[5] for row in data.tables[0].rows if row[0] == "cnn"]
    assert all(0.1 < float(share.split("(")[0]) < 0.9 for share in shares)


def test_a_peak_outside_the_ladder_is_a_failure_of_that_method(tmp_path):
    """Only the temperatures above that of the largest specific heat."""
    path = series(tmp_path / "hot.h5", lambda e, m: -e)
    hot = [
        replace(b, temperatures=T[6:], values={k: v[:, :, 6:] for k, v in b.values.items()}) for b in read_series(path)
    ]
    write_series(path, hot)
    with pytest.raises(InputError, match="expected most information on the temperature between"):
        information_peak(curves(path)[0].curves, "cnn", 3)


def test_outputs_of_the_other_objective_are_refused(tmp_path):
    path = series(tmp_path / "e.h5", lambda e, m: -e)
    with pytest.raises(InputError, match=r"expected .*\bp\b.* found .*beta"):
        outputs.run(path, "th", SPEC.model_copy(update={"objective": "classifier", "cold": 3, "hot": 3}))
    blocks = read_series(path)
    for b in blocks:
        b.values["p"] = b.values.pop("beta")
    write_series(path, blocks)
    with pytest.raises(InputError, match=r"expected beta.* found .*\bp\b"):
        thermometers.run(path, "th", SPEC)


def test_no_function_of_a_configuration_reads_better_than_the_best():
    """Expected scores by enumeration: the mean over the posterior beats the most probable slot, a straight line in the
    energy and anything near it."""
    betas = np.array([0.6, 0.5, 0.44, 0.4, 0.3, 0.2])
    energy, m = states(4)
    logs = -betas[:, None] * energy
    f = -logsumexp(logs, axis=1)
    p = np.exp(logs + f[:, None])
    objective = Regressor(tuple(betas), 3, 3)

    def expected(reading):
        return float((p * objective.score(np.broadcast_to(reading, (len(betas), len(energy))))).sum() / len(betas))

    best = objective.best(energy, f)
    line = np.polyfit(np.tile(energy, len(betas)), np.repeat(betas, len(energy)), 1, w=np.sqrt(p.ravel()))
    likeliest = betas[posterior.slot_probability(energy, betas, f).argmax(axis=1)]
    rng = np.random.default_rng(1)
    for other in (np.polyval(line, energy), likeliest, best + 0.01 * rng.normal(size=len(best)), best + 0.02 * m):
        assert expected(best) > expected(other) + 1e-6


def test_labels_are_inverse_temperatures_in_their_own_deviations():
    betas = (0.7, 0.6, 0.4, 0.2)
    objective = Regressor(betas, 1, 2)
    assert objective.slots() == (0, 2, 3)
    labels = np.array([0.7, 0.4, 0.2])
    exact = torch.tensor((labels - labels.mean()) / labels.std())
    slot = torch.tensor(objective.slots())
    assert objective.loss(exact, slot).max().item() < 1e-20
    np.testing.assert_allclose(objective.report(exact).numpy(), labels, atol=1e-12)
    assert objective.loss(torch.zeros(3, dtype=torch.float64), slot).mean().item() == pytest.approx(1.0)
    with pytest.raises(InputError, match="at most the 4 slots, found 3 and 2"):
        Regressor(betas, 3, 2)
    with pytest.raises(InputError, match="at least 2 temperatures"):
        Regressor((0.4, 0.4), 1, 1)
