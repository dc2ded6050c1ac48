"""The scale verb on banks of exact independent draws of 3 x 3 and 4 x 4 Ising squares: same bits for every chunk size
and scheduler, estimates and figures in their places, and banks that do not belong together refused."""

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import dask.threaded
import numpy as np
import pytest

from hpcrg.analysis import fss, output_fits, outputs
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.levels import reduce_bank
from hpcrg.analysis.output_curves import squared, variance_peak
from hpcrg.analysis.points import measure_points
from hpcrg.analysis.reweight import Curves
from hpcrg.bank import SeriesBlock, read_series, write_bank, write_series
from hpcrg.campaign import ScaleSpec, TrainSpec
from hpcrg.errors import InputError, NotEquilibrated
from hpcrg.lattice import Lattice
from hpcrg.models import ising, potts

BETAS = (0.55, 0.50, 0.45, 0.40)
SPEC = ScaleSpec(ensemble="small", blocks=4)


@cache
def states(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spins, energy and structure factor of all states."""
    codes = np.arange(2 ** (size * size))
    s = (2 * ((codes[:, None] >> np.arange(size * size)) & 1) - 1).astype(np.int8).reshape(-1, size, size)
    x = s.astype(np.int64)
    energy = -(x * np.roll(x, 1, 1) + x * np.roll(x, 1, 2)).sum(axis=(1, 2))
    wave = np.exp(2j * np.pi * np.arange(size) / size)
    k1 = np.abs((x * wave).sum(axis=(1, 2))) ** 2 + np.abs((x * wave[:, None]).sum(axis=(1, 2))) ** 2
    return s, energy, k1 / (2 * size**4)


@pytest.fixture
def bank(small, tmp_path):
    """A function that writes the bank of one size and gives its path; `broken` spoils the hot chains."""

    def make(size: int, draws: int = 600, broken: bool = False, betas: tuple[float, ...] = BETAS, **changes) -> Path:
        e = small(size=size, betas=betas, chains=6, draws=draws, keep=2, measure=2, **changes)
        rng = np.random.default_rng(size)
        s, energy, k1 = states(size)
        p = np.array([np.exp(-b * (energy - energy.min())) for b in betas])
        pick = np.stack([rng.choice(len(energy), size=(6, draws), p=row / row.sum()) for row in p], axis=1)
        if broken:
            pick[0::2, :, : draws // 4] = rng.integers(len(energy), size=(3, len(betas), draws // 4))
        path = tmp_path / f"L{size}.h5"
        order = s.sum(axis=(1, 2), dtype=np.int64)
        write_bank(path, e, s[pick], {"energy": energy[pick], "order": order[pick], "structure": k1[pick]})
        return path

    return make


def flat(sums) -> list[bytes]:
    return [sums.series.tobytes(), *(a.tobytes() for row in sums.blocks for b in row for a in (b.energy, b.sums))]


def test_sums_are_the_same_bits_for_every_chunk_and_scheduler(bank):
    path = bank(4)
    whole = flat(reduce_bank(path, 4, 10_000, compute_here))
    for chunk in (37, 150):
        assert flat(reduce_bank(path, 4, chunk, compute_here)) == whole
    assert flat(reduce_bank(path, 4, 50, lambda g, k: list(dask.threaded.get(g, k)))) == whole


def test_crossing_of_three_and_four_is_the_exact_one(bank):
    estimates, data = fss.run([bank(4), bank(3)], "fss", SPEC, compute_here, 1 << 20)
    by = {(e.method, e.quantity): e for e in estimates}
    t_c = by["fss/crossing", "T_c"]
    assert t_c.sizes == (3, 4)
    assert all(len(r) == 24 for r in t_c.replicas.values())
    assert t_c.reference is not None
    assert abs(t_c.pull) < 4
    assert {"size", "ansatz"} <= set(t_c.systematic)
    assert {f.name for f in data.figures} >= {"fss-energy", "fss-u4", "fss-xi", "fss-crossings"}
    assert any("pass at a false-alarm level" in n.text for n in data.notes)


def test_results_do_not_depend_on_chunks(bank):
    paths = [bank(3), bank(4)]
    runs = [fss.run(paths, "fss", SPEC, compute_here, chunk)[0] for chunk in (1 << 20, 40_000)]
    assert [e.as_json() for e in runs[0]] == [e.as_json() for e in runs[1]]


def test_works_blind(bank):
    sums = [reduce_bank(bank(size), 4, 1000, compute_here) for size in (3, 4)]
    estimates, _ = fss.analyse(sums, References(), "blind")
    assert estimates
    assert all(e.reference is None and e.pull is None for e in estimates)


def test_a_bank_that_has_not_thermalised_is_stopped(bank):
    with pytest.raises(NotEquilibrated, match="small-L4"):
        fss.run([bank(3), bank(4, broken=True)], "fss", SPEC, compute_here, 1 << 20)


def test_a_bank_too_short_to_tell_is_stopped(bank):
    with pytest.raises(NotEquilibrated, match="at least 40 measurements a chain"):
        fss.run([bank(3, draws=30), bank(4, draws=30)], "fss", SPEC, compute_here, 1 << 20)


def test_a_check_switched_off_leaves_a_trace(bank):
    spec = ScaleSpec(ensemble="small", blocks=4, check_equilibration=False)
    _, data = fss.run([bank(3), bank(4, broken=True)], "fss", spec, compute_here, 1 << 20)
    assert [n.level for n in data.notes if "Equilibration was not checked" in n.text] == ["warning"]


PARAMAGNET = (0.004, 0.002)


def test_a_ladder_into_the_paramagnet_keeps_its_crossing_and_its_collapse(bank):
    """There S(0) < S(k1) by chance, so that xi is not defined: those points are left out, and nothing else is."""
    paths = [bank(size, betas=(*BETAS, *PARAMAGNET)) for size in (3, 4)]
    points = [measure_points(reduce_bank(p, 4, 10_000, compute_here)) for p in paths]
    assert any(np.isnan(p.values["xi"]).any() and np.isnan(p.errors["xi"]).any() for p in points)
    assert all(np.isfinite(p.values["u4"]).all() for p in points)
    assert all(len(p.defined(("u4", "xi")).temperatures) >= len(BETAS) for p in points)
    estimates, data = fss.run(paths, "fss", SPEC, compute_here, 1 << 20)
    assert {e.quantity for e in estimates if e.method == "fss/crossing"} == {
        "T_c", "nu", "beta/nu", "gamma/nu", "e_c", "e(T_c)",
    }  # fmt: skip
    assert any(f.name.startswith("fss-collapse") for f in data.figures)
    assert "nan" not in json.dumps(asdict(data), allow_nan=False)


def test_with_free_boundaries_there_is_no_energy_at_the_critical_point(bank):
    """Its correction would be that of the surface, 1/L."""
    sums = [reduce_bank(bank(size, betas=(*BETAS, *PARAMAGNET)), 4, 10_000, compute_here) for size in (3, 4)]
    known = fss.known_of(ising().exact(Lattice((4, 4))), 2)
    for boundary, energies in (("periodic", {"e_c", "e(T_c)"}), ("helical", {"e_c", "e(T_c)"}), ("free", set())):
        found, _ = fss.analyse([replace(s, boundary=boundary) for s in sums], known, "fss")
        assert {e.quantity for e in found if e.quantity.startswith("e")} == energies


def test_known_logarithms_enter_with_a_part_of_their_own(bank):
    """Where a model is known to have a marginal field; T_c by crossing, which no power of ln L multiplies, stays."""
    sums = [reduce_bank(bank(size), 4, 10_000, compute_here) for size in (3, 4)]
    known = fss.known_of(ising().exact(Lattice((4, 4))), 2)
    marginal = replace(known, logs=potts(4).exact(Lattice((4, 4))).logs)
    plain, logs = (fss.analyse(sums, k, "fss")[0] for k in (known, marginal))
    for a, b in zip(plain, logs, strict=True):
        powers = b.method == "fss/collapse" or b.quantity != "T_c"
        assert (a.value != b.value) == powers
        assert ("logarithms" in b.systematic) == powers
        assert "logarithms" not in a.systematic
        if powers and b.quantity != "e_c":  # whose nu moves as well
            assert b.systematic["logarithms"] == pytest.approx(abs(a.value - b.value) / 2, rel=1e-3, abs=1e-6)


def test_a_collapse_of_too_few_temperatures_is_a_failure_of_the_collapse_alone(bank):
    paths = [bank(size, betas=(0.5, 0.4, *PARAMAGNET)) for size in (3, 4)]
    estimates, data = fss.run(paths, "fss", SPEC, compute_here, 1 << 20)
    assert {e.method for e in estimates} == {"fss/crossing"}
    assert any("fss/collapse: L = " in n.text and "at least 3 temperatures" in n.text for n in data.notes)


def test_one_size_is_refused(bank):
    with pytest.raises(InputError, match="at least two sizes"):
        fss.run([bank(4)], "fss", SPEC, compute_here, 1 << 20)


def series_file(path: Path, spread: float) -> Path:
    """Outputs of networks whose thresholds differ by `spread` between seeds, on exact draws of 3 x 3 and 4 x 4."""
    t = np.linspace(1.4, 5.0, 13)
    blocks = []
    for size in (3, 4):
        s, energy, _ = states(size)
        m = np.abs(s.mean(axis=(1, 2)))
        rng = np.random.default_rng(size)
        weights = [np.exp(-(energy - energy.min()) / x) for x in t]
        pick = np.stack([rng.choice(len(energy), size=(8, 200), p=w / w.sum()) for w in weights], axis=1)
        held = np.eye(4, dtype=bool).repeat(2, axis=1)
        shift = spread * np.array([-1.0, 1.0, -0.5, 0.5])[:, None, None, None]
        values = {"abs_m": m[pick], "m2": m[pick] ** 2, "m4": m[pick] ** 4, "energy": energy[pick] * 1.0}
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
