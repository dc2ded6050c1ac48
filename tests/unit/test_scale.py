"""The scale verb on banks of exact independent draws of 3 x 3 and 4 x 4 Ising squares: same bits for every chunk size
and scheduler, estimates and figures in their places, and banks that do not belong together refused."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import dask.threaded
import numpy as np
import pytest
from squares import states

from hpcrg.analysis import fss
from hpcrg.analysis.fss_crossing import References
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.levels import reduce_bank
from hpcrg.analysis.points import measure_points
from hpcrg.bank import write_bank
from hpcrg.campaign import ScaleSpec
from hpcrg.errors import InputError, NotEquilibrated
from hpcrg.lattice import Lattice
from hpcrg.models import ising, potts

BETAS = (0.55, 0.50, 0.45, 0.40)
SPEC = ScaleSpec(ensemble="small", blocks=4)


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
