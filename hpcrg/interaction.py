"""The energy of one spin in its surroundings, compiled for a system: what every single-spin update asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.models.vectors import make_add
from hpcrg.system import System


def make_near(system: System) -> Any:
    """coupling(couplings, site, column): the coupling of a bond; 1 where the system has none."""
    if system.coupling == "none":

        @part
        def unit(couplings, site, column):  # type: ignore[no-untyped-def]
            return 1

        return unit

    @part
    def of_bond(couplings, site, column):  # type: ignore[no-untyped-def]
        return couplings[site, column]

    return of_bond


def make_local(system: System) -> Any:
    """local(walker, neighbours, couplings, site, spin): all energy that depends on the spin at `site`, if it is
    `spin`."""
    physics, z = system.physics, np.uint64(system.coordination)
    if physics.local is not None:
        return physics.local
    pair, read, coupling, site_energy = physics.pair, physics.read, make_near(system), make_site(system)
    zero = np.int64(0) if system.integer else 0.0

    @part
    def local(walker, neighbours, couplings, site, spin):  # type: ignore[no-untyped-def]
        energy = zero
        for k in range(z):
            energy += coupling(couplings, site, k) * pair(spin, read(walker, np.uint64(neighbours[site, k])))
        return energy + site_energy(spin)

    return local


def make_site(system: System) -> Any:
    """site(spin): the on-site energy, 0 where there is none."""
    if system.physics.site is not None:
        return system.physics.site

    @part
    def nothing(spin):  # type: ignore[no-untyped-def]
        return 0

    return nothing


def make_frozen(system: System) -> Any:
    """frozen(spin): whether a place holds no spin."""
    if system.physics.frozen is not None:
        return system.physics.frozen

    @part
    def never(spin):  # type: ignore[no-untyped-def]
        return False

    return never


def make_field(system: System) -> Any:
    """field(walker, neighbours, couplings, site): the sum over bonds of coupling times the neighbour's continuous
    spin."""
    components, read, coupling = system.model.spin_components, system.physics.read, make_near(system)
    z, add = np.uint64(system.coordination), make_add(components)
    zero = (0.0,) * components

    @part
    def field(walker, neighbours, couplings, site):  # type: ignore[no-untyped-def]
        total = zero
        for k in range(z):
            total = add(total, coupling(couplings, site, k), read(walker, np.uint64(neighbours[site, k])))
        return total

    return field
