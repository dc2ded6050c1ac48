"""Memory does not grow with the bank: a quarter and half a gigabyte, unpacked (flow_memory.py takes any size)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("flow_memory.py")


@pytest.mark.slow
def test_memory_is_bounded(tmp_path):
    command = [sys.executable, str(SCRIPT), "--gigabytes", "0.5", "--chunk", "4", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for verb, found in json.loads(done.stdout.splitlines()[-1]).items():
        for part in ("client", "workers"):
            half, whole = (int(np.max(found[share][part])) for share in ("0.5", "1.0"))
            assert whole < 1024, (verb, part, found)
            assert whole < 1.1 * half, (verb, part, found)
