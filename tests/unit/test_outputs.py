"""Scaling of network outputs: every method and part of the error on exact draws of 3 x 3 and 4 x 4 Ising squares."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from squares import states

from hpcrg.analysis import output_fits, outputs
from hpcrg.analysis.output_features import squared, variance_peak
from hpcrg.analysis.reweight import Curves
from hpcrg.bank import SeriesBlock, read_series, write_series
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError
from hpcrg.lattice import Lattice
from hpcrg.models import potts


def series_file(path: Path, spread: float) -> Path:
    """Outputs of networks whose thresholds differ by `spread` between seeds, on exact draws of 3 x 3 and 4 x 4."""
    t = np.linspace(1.4, 5.0, 13)
    blocks = []
    for size in (3, 4):
        s, energy, k1 = states(size)
        m = np.abs(s.mean(axis=(1, 2)))
        rng = np.random.default_rng(size)
        weights = [np.exp(-(energy - energy.min()) / x) for x in t]
        pick = np.stack([rng.choice(len(energy), size=(8, 200), p=w / w.sum()) for w in weights], axis=1)
        held = np.eye(4, dtype=bool).repeat(2, axis=1)
        shift = spread * np.array([-1.0, 1.0, -0.5, 0.5])[:, None, None, None]
        values = {
            "abs_m": m[pick],
            "m2": m[pick] ** 2,
            "m4": m[pick] ** 4,
            "energy": energy[pick] * 1.0,
            "structure": k1[pick],
        }
        table = {k: np.broadcast_to(v, (4, *v.shape)).copy() for k, v in values.items()}
        table["p_abs_m"] = 1 / (1 + np.exp(-20 * (table["abs_m"] - 0.5)))
        table["p"] = 1 / (1 + np.exp(-20 * (table["abs_m"] - 0.5 - shift)))
        for v in table.values():
            v[~held] = np.nan
        blocks.append(SeriesBlock(f"x-L{size}", size, f"id{size}", {"type": "ising"}, 2, t, table, held, {}))
    write_series(path, blocks)
    return path


TRAIN = TrainSpec(ensemble="x", cold=3, hot=3)


def test_outputs_have_every_method_and_the_seed_spread_apart(tmp_path):
    estimates, data = outputs.run(series_file(tmp_path / "wide.h5", 0.05), "cnn", TRAIN)
    by = {(e.method, e.quantity): e for e in estimates}
    assert {("cnn/classifier", "T_c"), ("cnn/classifier", "nu"), ("baseline/abs_m", "T_c")} <= set(by)
    assert by["cnn/classifier", "T_c"].systematic["seed"] > 2 * by["baseline/abs_m", "T_c"].systematic["seed"]
    assert all(len(r) == 32 for e in estimates for r in e.replicas.values())
    assert any("very same draws" in table.title for table in data.tables)


def test_architectures_stand_side_by_side_and_their_spread_in_the_error(tmp_path):
    """Two architectures of four seeds: the second one decides elsewhere; what is alone is as if it were alone."""
    one, other = (read_series(series_file(tmp_path / f"{s}.h5", s)) for s in (0.02, 0.05))
    both = []
    for a, b in zip(one, other, strict=True):
        moved = 1 / (1 + np.exp(2.0 - np.log(b.values["p"] / (1 - b.values["p"]))))
        values = {k: np.concatenate([v, moved if k == "p" else b.values[k]]) for k, v in a.values.items()}
        held = np.concatenate([a.held_out, b.held_out])
        both.append(replace(a, values=values, held_out=held, attrs={"nets": ["cnn"] * 4 + ["dense"] * 4}))
    write_series(tmp_path / "both.h5", both)
    spec = TRAIN.model_copy(update={"net": ("cnn", "dense")})
    found = {(e.method, e.quantity): e for e in outputs.run(tmp_path / "both.h5", "nets", spec)[0]}
    alone = {(e.method, e.quantity): e for e in outputs.run(tmp_path / "0.02.h5", "cnn", TRAIN)[0]}
    for quantity in ("T_c", "nu"):
        cnn, dense, all_of_them = (found[f"{n}/classifier", quantity] for n in ("cnn", "dense", "networks"))
        assert cnn.value == pytest.approx(alone["cnn/classifier", quantity].value, rel=1e-9)
        a, b = cnn.error**-2, dense.error**-2
        mean = (a * cnn.value + b * dense.value) / (a + b)
        assert all_of_them.value == pytest.approx(mean)
        apart = np.sqrt(2 * (a * (cnn.value - mean) ** 2 + b * (dense.value - mean) ** 2) / (a + b))
        assert all_of_them.systematic["architecture"] == pytest.approx(apart)
        assert all_of_them.error > apart
    with pytest.raises(InputError, match="networks resnet of every seed"):
        outputs.run(tmp_path / "both.h5", "nets", TRAIN.model_copy(update={"net": ("cnn", "resnet")}))


def test_what_outputs_know_is_found(tmp_path):
    """Log-odds that are straight lines in S(k1) and the energy: all of their variance, with the weights' signs."""
    path = series_file(tmp_path / "of.h5", 0.0)
    blocks = []
    for b in read_series(path):
        odds = 5.0 - 30.0 * b.values["structure"] - 0.2 * (b.values["energy"] - np.nanmean(b.values["energy"]))
        blocks.append(replace(b, values=dict(b.values) | {"p": 1 / (1 + np.exp(-odds))}))
    write_series(path, blocks)
    _, data = outputs.run(path, "cnn", TRAIN)
    table = next(t for t in data.tables if t.title.startswith("What the outputs know"))
    assert table.columns[2:6] == ["by |m|", "by the energy", "by S(k1)", "by all"]
    for row in (r for r in table.rows if r[0] == "cnn"):
        assert float(row[5]) > 0.999
        assert max(map(float, row[2:5])) < 0.99
        assert float(row[7]) < -0.1
        assert float(row[8]) < -0.1


def test_outputs_have_known_logarithms_too(tmp_path, monkeypatch):
    """As if the model had the marginal field of the four-state Potts model: in nu alone, and of the cumulant too."""
    path = series_file(tmp_path / "one.h5", 0.02)
    plain = outputs.run(path, "cnn", TRAIN)[0]
    known = replace(outputs.references(read_series(path)[0]), logs=potts(4).exact(Lattice((4, 4))).logs)
    monkeypatch.setattr(outputs, "references", lambda block: known)
    for a, b in zip(plain, outputs.run(path, "cnn", TRAIN)[0], strict=True):
        assert (a.quantity, a.method) == (b.quantity, b.method)
        assert ("logarithms" in b.systematic) == (b.quantity == "nu")
        if b.quantity == "nu":
            assert b.value < a.value
            assert b.systematic["logarithms"] == pytest.approx((a.value - b.value) / 2, rel=0.05)


def test_sizes_that_scatter_widen_the_error():
    """Numbers of scattered networks: residuals of three standard deviations make the error three times as large; residuals
    as they should be, or a curve that the correction has, leave it."""
    size = np.array([16.0, 24.0, 32.0, 48.0, 64.0, 96.0])
    variance, gain, design = np.full(6, 1e-4), np.full(6, 1 / 6), np.ones((6, 1))
    alone = float(np.sqrt(gain**2 @ variance))

    def widened(values):
        return output_fits.misfit(values, variance, gain, design, 2.0 / size)

    assert widened(2.3 + 1.0 / size) == 0.0
    zigzag = 0.01 * np.array([1, -1, 1, -1, 1, -1.0])
    assert widened(2.3 + 0.6 * zigzag) == 0.0
    assert 1.5 * alone < widened(2.3 + 1.0 / size + 3 * zigzag) < 4 * alone


def test_the_peak_of_the_variance_is_found_with_its_width():
    """A sharp step at T = 2.3, as a fraction p of draws that are on one side: the variance p (1 - p) is highest there and
    falls to half where p (1 - p) = 1/8."""
    beta = np.linspace(0.35, 0.55, 401)
    p = 1 / (1 + np.exp(-(beta - 1 / 2.3) / 0.01))
    curves = Curves("x", 8, beta, {"p": p[None], squared("p"): p[None]}, {})
    at, inverse = variance_peak(curves, "p", 8)
    assert 1 / at[0] == pytest.approx(2.3, rel=1e-5)
    low = 0.5 - np.sqrt(1 / 8)
    assert 1 / inverse[0] == pytest.approx(2 * 0.01 * np.log((1 - low) / low), rel=1e-3)
    with pytest.raises(InputError, match="expected a peak of the variance"):
        variance_peak(Curves("x", 8, beta[:150], {k: v[:, :150] for k, v in curves.values.items()}, {}), "p", 8)


def test_a_series_file_without_outputs_is_refused(tmp_path):
    path = series_file(tmp_path / "whole.h5", 0.0)
    blocks = read_series(path)
    for b in blocks:
        del b.values["p"]  # type: ignore[attr-defined]
    write_series(path, blocks)
    with pytest.raises(InputError, match="expected energy"):
        outputs.run(path, "cnn", TRAIN)
