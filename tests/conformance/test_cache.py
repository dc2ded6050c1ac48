"""A second process loads every kernel and compiles none; changed code can never load an old one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hpcrg
from hpcrg.fingerprint import fingerprint
from hpcrg.jit import cache_hits, kernel, part

PACKAGE = Path(hpcrg.__file__).parent
BUILD_ALL = """
import json, time
import numpy as np
from hpcrg.jit import cache_hits
from hpcrg.ladder import make_exchange
from hpcrg.lattice import Lattice
from hpcrg.models import make_model
from hpcrg.observables import make_fill
from hpcrg.rounds import make_look, make_rounds
from hpcrg.system import System
from hpcrg.updates import UPDATES, layout_of

start = time.process_time()
kernels = {"exchange": make_exchange()}
for spec in ({"type": "ising"}, {"type": "potts", "q": 3}):
    for lattice in (Lattice((4, 4)), Lattice((4, 4), "honeycomb", "free")):
        system = System(make_model(spec), lattice)
        kernels[f"{spec} {lattice} fill"] = make_fill(system)
        kernels[f"{spec} {lattice} measure"] = make_look(system, layout_of(system, ["metropolis"], 1, 1))
        for names in (["metropolis"], ["wolff", "swendsen_wang"]):
            steps = [(UPDATES[n].build(system), 2) for n in names]
            kernels[f"{spec} {lattice} {names}"] = make_rounds(system, steps[0][0].layout, steps)[0]
print(json.dumps({"hits": {k: cache_hits(v) for k, v in kernels.items()}, "seconds": time.process_time() - start}))
"""


def build_all(hash_seed):
    """Build every kernel in a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", BUILD_ALL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_second_process_compiles_nothing():
    build_all(1)
    second = build_all(2)
    assert [name for name, hits in second["hits"].items() if hits != 1] == []
    assert second["seconds"] < 6


def kernel_of(step, table=(1, 2), title=""):
    """A kernel that calls a part that calls a helper, with a number, a tuple and a docstring to change."""
    called = part(step)

    def total(values):
        result = 0.0
        for value in values:
            result += called(value) * table[0]
        return result

    total.__doc__ = title
    return total


def one(value):
    return value + SHIFT


def same_as_one(value):
    """Documentation and place do not count."""
    return value + SHIFT


def another(value):
    return value - SHIFT


def shifted(value, by=1.0):
    return value + by


def shifted_more(value, by=2.0):
    return value + by


SHIFT = np.float64(1.0)


def test_a_fingerprint_sees_all_code_that_is_called_and_all_that_it_closes_over(monkeypatch):
    own = fingerprint(kernel_of(one))
    assert own == fingerprint(kernel_of(one, title="text")) == fingerprint(kernel_of(same_as_one))
    assert own != fingerprint(kernel_of(another))
    assert own != fingerprint(kernel_of(one, (1, 3)))
    assert own != fingerprint(kernel_of(one, np.array([1, 2])))
    assert fingerprint(kernel_of(shifted)) != fingerprint(kernel_of(shifted_more))
    monkeypatch.setitem(globals(), "SHIFT", np.float64(2.0))
    assert own != fingerprint(kernel_of(one))


def test_what_has_no_fingerprint_is_refused():
    with pytest.raises(TypeError, match="expected functions, numbers, arrays and tuples"):
        fingerprint(kernel_of(one, object()))


def test_changed_code_is_never_loaded_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    values = np.array([1.0, 2.0])
    compile_ = kernel("float64(float64[::1])")
    assert compile_(kernel_of(one))(values) == 5.0
    again, changed = compile_(kernel_of(one)), compile_(kernel_of(another))
    assert (cache_hits(again), again(values)) == (1, 5.0)
    assert (cache_hits(changed), changed(values)) == (0, 1.0)


@pytest.mark.parametrize("damage", [b"", b"no pickle at all", b"cno_such_module\nname\n."])
@pytest.mark.parametrize("suffix", ["nbc", "nbi"])
def test_what_cannot_be_loaded_is_compiled_again(damage, suffix, monkeypatch, tmp_path):
    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    compile_, values = kernel("float64(float64[::1])"), np.array([1.0, 2.0])
    compile_(kernel_of(one))
    (stored,) = tmp_path.rglob(f"*.{suffix}")
    stored.write_bytes(damage)
    again = compile_(kernel_of(one))
    assert (cache_hits(again), again(values)) == (0, 5.0)
    assert cache_hits(compile_(kernel_of(one))) == 1


FIRST_OF_A_PROCESS = """
import sys
import numpy as np
from hpcrg.jit import cache_hits, kernel, part

def make(number):
    @part
    def add(value):
        total = 0.0
        for k in range(int(value)):  # enough not to be put in line
            total += np.sqrt(value + k) * number
        return total + number

    @kernel("float64(float64)")
    def look(value):
        return add(value)

    return look

made = [make(float(number)) for number in sys.argv[1:]]
print([cache_hits(one) for one in made], [one(0.0) for one in made])
"""


def test_kernels_that_were_compiled_first_in_different_processes_are_not_taken_for_one_another(tmp_path):
    """numba numbers functions within a process, so the names of both would be the same, and the first one loaded would
    run in place of the other."""
    environment = os.environ | {"HPCRG_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}

    def run(*numbers):
        command = [sys.executable, "-c", FIRST_OF_A_PROCESS, *numbers]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert run("1") == "[0] [1.0]"
    assert run("2") == "[0] [2.0]"
    assert run("1", "2") == "[1, 1] [1.0, 2.0]"
    assert run("2", "1") == "[1, 1] [2.0, 1.0]"
