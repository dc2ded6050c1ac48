"""Updates. One file and one line in UPDATES add one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpcrg.errors import Unsupported, expected
from hpcrg.layout import Layout
from hpcrg.system import System
from hpcrg.updates.base import Sweep, Update, UpdateType
from hpcrg.updates.heatbath import HEAT_BATH
from hpcrg.updates.houdayer import HOUDAYER
from hpcrg.updates.metropolis import METROPOLIS
from hpcrg.updates.multispin import MULTISPIN
from hpcrg.updates.overrelaxation import OVERRELAXATION
from hpcrg.updates.packed_swendsen_wang import PACKED_SWENDSEN_WANG
from hpcrg.updates.swendsen_wang import SWENDSEN_WANG
from hpcrg.updates.wolff import WOLFF

__all__ = ["UPDATES", "Sweep", "Update", "UpdateType", "check_round", "kernel_version", "layout_of"]

UPDATES: dict[str, UpdateType] = {
    u.name: u
    for u in (METROPOLIS, HEAT_BATH, OVERRELAXATION, WOLFF, SWENDSEN_WANG, PACKED_SWENDSEN_WANG, MULTISPIN, HOUDAYER)
}
GENERATOR_VERSION = 3
"""Rises when the random numbers, initial states, measurements, stored series or the exchange rule change."""


def kernel_version(system: System, updates: Sequence[str]) -> str:
    """The versions of everything compiled that makes the numbers of an ensemble; part of its id."""
    parts = [f"kernels-{GENERATOR_VERSION}", f"{system.model.name}-{system.model.version}"]
    return " ".join(parts + [f"{name}-{UPDATES[name].version}" for name in updates])


def layout_of(system: System, updates: Sequence[str], slots: int, copies: int) -> Layout:
    """The one layout that all updates of a round share, divisible where it is for each of them. Raises Unsupported
    where they differ."""
    found = {name: UPDATES[name].layout(system, slots, copies) for name in updates}
    first = found[updates[0]]
    for name, layout in found.items():
        if layout.name != first.name:
            raise Unsupported(
                f"updates: expected updates that hold the walkers alike, found {updates[0]} ({first.name}) and "
                f"{name} ({layout.name})"
            )
    return replace(first, divisible=all(layout.divisible for layout in found.values()))


def check_round(system: System, updates: Sequence[str], slots: int, copies: int) -> None:
    """Raises Unsupported for a list of updates that cannot serve a system: an update by itself, layouts that differ, or
    a list that does not reach every configuration."""
    for name in updates:
        UPDATES[name].check(system, slots, copies)
    layout_of(system, updates, slots, copies)
    if not any(UPDATES[name].ergodic(system) for name in updates):
        wanted = f"an update beside them that reaches every configuration of {system.model.name}"
        raise Unsupported(expected("updates", wanted, ", ".join(updates)))
