"""Exact ln Z and energies of finite systems where they can be had: Kaufman's formula for the Ising model on a periodic
square lattice, enumeration for few configurations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from hpcrg.enumeration import enumerate_all
from hpcrg.estimate import Reference
from hpcrg.models import kaufman
from hpcrg.system import System

MOST_CONFIGURATIONS = 2**20


@dataclass(frozen=True)
class Thermal:
    """ln Z and the energy, each per site."""

    ln_z: Reference
    energy: Reference


def thermal(system: System, beta: float) -> Thermal | None:
    """Exact values at one temperature; None where there are none."""
    lattice, n = system.lattice, system.volume
    square = (lattice.kind, lattice.boundary, lattice.dimension) == ("hypercubic", "periodic", 2)
    if system.model.name == "ising" and square and not any(system.model.params.values()):
        rows, columns = lattice.shape
        ln_z, energy = kaufman.log_partition(rows, columns, beta) / n, kaufman.energy(rows, columns, beta)
        return _thermal(ln_z, energy, "exact (Kaufman 1949)")
    states = system.physics.states
    if not states or system.disordered or n * np.log(states) > np.log(MOST_CONFIGURATIONS):
        return None
    energies = enumerate_all(system).energy
    raw = -beta * energies
    weights = np.exp(raw - logsumexp(raw))
    return _thermal(float(logsumexp(raw)) / n, float(weights @ energies) / n, "exact (enumeration)")


def _thermal(ln_z: float, energy: float, source: str) -> Thermal:
    return Thermal(Reference(ln_z, source=source), Reference(energy, source=source))
