"""The verbs as a user runs them, on a small campaign."""

import os
import subprocess
import sys

CAMPAIGN = """
name: secure
seed: 5
model: {type: ising}
ensembles:
  critical: {sizes: [8], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 4, thermalise: 20, keep: 2, draws: 40}
  phases: {sizes: [8, 12], ladder: {temperatures: [1.6, 1.8, 2.3, 2.6, 2.9]}, updates: [{type: swendsen_wang}], chains: 4, thermalise: 20, keep: 2, draws: 40}
flow: {majority: {ensemble: critical, scheme: majority, levels: 1, check_equilibration: false}}
train: {cnn: {ensemble: phases, cold: 2, hot: 2, seeds: 1, epochs: 1}}
"""
ENVIRONMENT = os.environ | {"HYDRA_IFACE": "lo", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"}


def hpcrg(place, *arguments, status=0, **more):
    """What a verb says on standard error; it has to end with `status` and without a traceback."""
    command = [sys.executable, "-m", "hpcrg", *map(str, arguments)]
    done = subprocess.run(command, cwd=place, env=ENVIRONMENT | more, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stderr
    return done.stderr
