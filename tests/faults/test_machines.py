"""An ensemble that goes on with other machine code; `python tests/faults/machines.py` has every update."""

import platform
import subprocess
import sys

import machines
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 is another CPU on these machines only"),
]
MACHINE = "from hpcrg.jit import machine, platform; print(machine()); print(platform())"


def test_integer_energies_are_identical_and_others_warn(capsys):
    assert machines.run("metropolis,overrelaxation", "x86-64") == 0
    said = capsys.readouterr().out
    assert "metropolis: integer energies, the same, silent" in said
    assert "overrelaxation: real energies" in said


def test_another_cpu_is_another_machine_with_a_cache_of_its_own(monkeypatch):
    found = []
    for cpu in ("", "x86-64"):
        monkeypatch.setenv("NUMBA_CPU_NAME", cpu) if cpu else None
        found.append(subprocess.run([sys.executable, "-c", MACHINE], capture_output=True, text=True, check=True).stdout)
    assert found[0] != found[1]
    assert not set(found[0].splitlines()) & set(found[1].splitlines())


def test_a_bank_that_differs_is_seen(calm, tmp_path):
    """The comparison has power: another bank of integer energies counts as wrong."""
    for place, name in ((tmp_path / "a", "bank"), (tmp_path / "b", "scan-L8")):
        place.mkdir()
        (place / "one.h5").write_bytes((calm / f"{name}.h5").read_bytes())
        (place / "one.provenance.json").write_text('[{"machines": ["a", "b"], "warning": null}]')
    assert not machines.verdict("one", "one-L16", True, tmp_path / "a", tmp_path / "b", "")[0]
