"""Shared by all tests: an ensemble to vary, and one thread a process."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

from hpcrg.ensemble import Ensemble, UpdateCall


@pytest.fixture
def small():
    """A function that makes a small Ising ensemble with any field changed."""

    def make(**changes):
        fields = {
            "group": "small", "size": 8, "model": {"type": "ising"},
            "lattice": {"type": "hypercubic", "dimension": 2}, "betas": (0.5, 0.44, 0.4),
            "updates": (UpdateCall("metropolis"),), "exchange": True, "seed": 11, "thermalise": 20,
            "measure": 2, "keep": 4, "chains": 3, "draws": 12,
        }  # fmt: skip
        return Ensemble(**fields | changes)

    return make
