"""Updates. One file and one line in UPDATES add one."""

from __future__ import annotations

from collections.abc import Sequence

from hpcrg.models.base import Model
from hpcrg.updates.base import Kernel, Sweep, UpdateType
from hpcrg.updates.heatbath import HEAT_BATH
from hpcrg.updates.metropolis import METROPOLIS
from hpcrg.updates.swendsen_wang import SWENDSEN_WANG
from hpcrg.updates.wolff import WOLFF

__all__ = ["UPDATES", "Kernel", "Sweep", "UpdateType", "kernel_version"]

UPDATES: dict[str, UpdateType] = {u.name: u for u in (METROPOLIS, HEAT_BATH, WOLFF, SWENDSEN_WANG)}
GENERATOR_VERSION = 1
"""Rises when the random numbers, initial states, measurements or the exchange rule change."""


def kernel_version(model: Model, updates: Sequence[str]) -> str:
    """The versions of everything compiled that makes the numbers of an ensemble; part of its id."""
    parts = [f"kernels-{GENERATOR_VERSION}", f"{model.name}-{model.version}"]
    return " ".join(parts + [f"{name}-{UPDATES[name].version}" for name in updates])
