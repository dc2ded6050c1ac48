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
from hpcrg.models import EXAMPLES, make_model
from hpcrg.observables import build_measure, make_fill
from hpcrg.updates import UPDATES

start = time.perf_counter()
kernels = {"exchange": make_exchange(), "fill": make_fill()}
for spec in EXAMPLES:
    model = make_model(spec)
    for shape in ((4,), (4, 4), (4, 4, 4)):
        lattice = Lattice(shape)
        kernels[f"{spec} {shape} measure"] = build_measure(model, lattice).kernel
        for name, update in UPDATES.items():
            kernels[f"{spec} {shape} {name}"] = update.build(model, lattice).kernel
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
    assert second["seconds"] < 3


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
