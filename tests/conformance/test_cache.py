"""A second process loads every kernel and compiles none; a changed source can never load an old one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hpcrg
from hpcrg.jit import source_digest

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

start = time.perf_counter()
kernels = {"exchange": make_exchange()}
for spec in ({"type": "ising"}, {"type": "potts", "q": 3}):
    for lattice in (Lattice((4,)), Lattice((4, 4)), Lattice((4, 4), "honeycomb", "free")):
        system = System(make_model(spec), lattice)
        kernels[f"{spec} {lattice} fill"] = make_fill(system)
        kernels[f"{spec} {lattice} measure"] = make_look(system, layout_of(system, ["metropolis"], 1, 1))
        for names in (["metropolis"], ["wolff", "heat_bath"], ["swendsen_wang"]):
            steps = [(n, UPDATES[n].build(system), 2) for n in names]
            kernels[f"{spec} {lattice} {names}"] = make_rounds(system, steps[0][1].layout, steps)[0]
print(json.dumps({"hits": {k: cache_hits(v) for k, v in kernels.items()}, "seconds": time.perf_counter() - start}))
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


def test_a_changed_kernel_source_starts_an_empty_cache(tmp_path):
    copy = Path(shutil.copytree(PACKAGE, tmp_path / "hpcrg"))
    before = source_digest(copy)
    assert before == source_digest(PACKAGE)
    errors = copy / "errors.py"  # compiled into no kernel
    errors.write_text(errors.read_text() + "\n# a remark\n")
    assert source_digest(copy) == before
    rng = copy / "rng.py"
    rng.write_text(rng.read_text().replace("U64(23)", "U64(24)"))
    assert source_digest(copy) != before
