"""The response of planar spins to a twist of the boundary, and their vortices.

With s = (cos a, sin a) and coupling c of the bond from site i to its neighbour j along an axis,

    e = sum over bonds along the axis of c cos(a_j - a_i),     j = sum over bonds along the axis of c sin(a_j - a_i),

the helicity modulus is Y = (<e> - beta <j^2>) / N, the second derivative of the free energy per site by the twist an
axis, with <j> = 0 (Ohta and Jasnow, Phys. Rev. B 20, 139 (1979)). A vortex is a plaquette round which the angles, each
difference taken in (-pi, pi], add up to 2 pi or -2 pi (Tobochnik and Chester, Phys. Rev. B 20, 3761 (1979)): the short
ways round it together cross the half line of the angle pi once more one way than the other. Kernels serve the plain
layout, periodic hypercubic lattices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.models import Model
from hpcrg.system import System

U64 = np.uint64


def are_planar(model: Model) -> bool:
    """Whether spins have two components and unit length."""
    return bool(model.physics.name == "o2")


def is_planar(system: System, copies: int) -> bool:
    """Planar spins on a periodic hypercubic lattice."""
    lattice = system.lattice
    return are_planar(system.model) and (lattice.kind, lattice.boundary) == ("hypercubic", "periodic")


def has_vortices(system: System, copies: int) -> bool:
    """Planar spins on a lattice with plaquettes, whose bonds all attract alike."""
    return is_planar(system, copies) and system.coupling == "none" and system.lattice.dimension > 1


def axes(system: System) -> int:
    """The number of axes d."""
    return system.lattice.dimension


def make_stiffness(system: System) -> Any:
    """extra(block, neighbours, couplings, slot_of, out): e of every axis, x first, then j of every axis."""
    dimension, read, coupling = U64(system.lattice.dimension), system.physics.read, make_near(system)

    @part
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        out[:] = 0.0
        for w in range(block.shape[0]):
            for site in range(U64(neighbours.shape[0])):
                x, y = read(block[w], site)
                for k in range(dimension):
                    u, v = read(block[w], U64(neighbours[site, k]))
                    c = coupling(couplings, site, k)
                    out[w, k] += c * (x * u + y * v)
                    out[w, dimension + k] += c * (x * v - y * u)

    return extra


@part
def crossing(a, b):  # type: ignore[no-untyped-def]
    """1 where the short way from the unit vector a to b crosses the angle pi upwards, -1 where downwards, else 0."""
    turn = a[0] * b[1] - a[1] * b[0]
    up = np.int64((a[1] >= 0.0) & (b[1] < 0.0) & (turn > 0.0))
    return up - np.int64((a[1] < 0.0) & (b[1] >= 0.0) & (turn < 0.0))


def make_vortices(system: System) -> Any:
    """extra(block, neighbours, couplings, slot_of, out): vortices of either sign per plaquette."""
    dimension, read = U64(system.lattice.dimension), system.physics.read

    @part
    def extra(block, neighbours, couplings, slot_of, out):  # type: ignore[no-untyped-def]
        planes = dimension * (dimension - 1) // 2
        for w in range(block.shape[0]):
            walker, found = block[w], 0
            for site in range(U64(neighbours.shape[0])):
                a = read(walker, site)
                for k in range(dimension):
                    right = U64(neighbours[site, k])
                    b = read(walker, right)
                    for m in range(k + U64(1), dimension):
                        c, d = read(walker, U64(neighbours[right, m])), read(walker, U64(neighbours[site, m]))
                        found += crossing(a, b) + crossing(b, c) + crossing(c, d) + crossing(d, a) != 0
            out[w, 0] = found / (planes * neighbours.shape[0])

    return extra
