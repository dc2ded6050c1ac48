"""Helicity modulus and vortices of planar spins: against numpy on single configurations, and against the free energy
under a twist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpcrg.lattice import Lattice
from hpcrg.layout import plain
from hpcrg.models import make_model
from hpcrg.models.base import Disorder
from hpcrg.models.bonds import both_ways
from hpcrg.observables import observables_of
from hpcrg.rounds import make_extra
from hpcrg.system import System


def random_angles(shape, walkers=3, spread=np.pi):
    """Angles [walker, *lattice]."""
    return np.random.default_rng(20261121).uniform(-spread, spread, (walkers, *shape))


def measured(system, name, angles, couplings=None):
    """A series of configurations in the plain layout, [walker, component]."""
    layout = plain(system)
    spins = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(len(angles), 2, -1)
    frozen = system.disorder(np.random.default_rng(0)).couplings if couplings is None else couplings
    (found,) = (o for o in observables_of(system, 1) if o.name == name)
    out = np.empty((len(angles), found.components))
    extra = make_extra(system, layout, found)
    extra(layout.pack(spins), *layout.prepare(frozen), np.arange(len(angles))[None], out)
    return out


def steps(angles, axis):
    """Differences of angles one step along a lattice axis, 0 being x, the last of the array."""
    return np.roll(angles, -1, axis=angles.ndim - 1 - axis) - angles


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 5), (7,)])
def test_stiffness_is_that_of_numpy(shape):
    angles = random_angles(shape)
    found = measured(System(make_model({"type": "xy"}), Lattice(shape)), "stiffness", angles)
    lattice_axes = tuple(range(1, angles.ndim))
    cosines, sines = ([f(steps(angles, k)).sum(axis=lattice_axes) for k in range(len(shape))] for f in (np.cos, np.sin))
    assert np.allclose(found.T, [*cosines, *sines], atol=1e-12)


def wrapped(difference):
    """In (-pi, pi]."""
    return -((-difference + np.pi) % (2 * np.pi) - np.pi)


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 5)])
def test_vortices_are_those_of_wrapped_angles(shape):
    angles = random_angles(shape, 20)
    found = measured(System(make_model({"type": "xy"}), Lattice(shape)), "vortices", angles)[:, 0]
    count, planes = 0, 0
    for k in range(len(shape)):
        for m in range(k + 1, len(shape)):
            along, across = wrapped(steps(angles, k)), wrapped(steps(angles, m))
            turns = along + np.roll(across, -1, axis=angles.ndim - 1 - k)
            turns = turns - np.roll(along, -1, axis=angles.ndim - 1 - m) - across
            winding = np.rint(turns / (2 * np.pi))
            assert np.allclose(winding * 2 * np.pi, turns)
            count, planes = count + (winding != 0).sum(axis=tuple(range(1, angles.ndim))), planes + 1
    assert np.allclose(found, count / (planes * np.prod(shape)), atol=1e-12)
    assert 0.2 < found.mean() < 0.5  # a third where angles are independent


def test_a_vortex_and_an_antivortex_are_two():
    x, y = np.meshgrid(np.arange(16), np.arange(16))
    angles = np.arctan2(y - 7.5, x - 3.5) - np.arctan2(y - 7.5, x - 11.5)
    found = measured(System(make_model({"type": "xy"}), Lattice((16, 16))), "vortices", angles[None])
    assert found[0, 0] * 256 == pytest.approx(2)


def with_couplings():
    """Planar spins with couplings, and those."""
    model, lattice = make_model({"type": "xy"}), Lattice((4, 5))
    table = lattice.neighbours()
    drawn = both_ways(lattice, table, np.random.default_rng(3).normal(size=(lattice.volume, 2)))
    return System(replace(model, coupling="real", couplings=lambda *_: Disorder(drawn)), lattice), drawn


def twisted_energy(system, couplings, angles, twist):
    """The energies when every bond along x is twisted by so much, per walker."""
    table, total = system.neighbours, 0.0
    flat = angles.reshape(len(angles), -1)
    for k in range(2):
        total = total - couplings[:, k] * np.cos(flat[:, table[:, k]] - flat + (twist if k == 0 else 0.0))
    return total.sum(axis=1)


@pytest.mark.parametrize("kind", ["right", "blind"])
def test_the_helicity_modulus_is_the_response_to_a_twist(kind):
    """e and j are derivatives of the energy by a twist of every bond along x, couplings and all. Twin: one blind to
    the couplings."""
    system, drawn = with_couplings()
    angles, h = random_angles((4, 5)), 1e-4
    energies = [twisted_energy(system, drawn, angles, t) for t in (-h, 0.0, h)]
    first, second = (energies[2] - energies[0]) / (2 * h), (energies[2] - 2 * energies[1] + energies[0]) / h**2
    if kind == "blind":
        found = measured(System(make_model({"type": "xy"}), system.lattice), "stiffness", angles)
    else:
        found = measured(system, "stiffness", angles)
    agrees = np.allclose(found[:, 0], second, atol=1e-4) and np.allclose(found[:, 2], first, atol=1e-6)
    assert agrees == (kind == "right")


def test_the_free_energy_of_a_chain_under_a_twist():
    """<e> - beta <j^2> is the second derivative of the free energy, on a ring of 4 by quadrature over all angles."""
    beta, n, sites = 0.8, 24, 4
    grid = np.arange(n) * 2 * np.pi / n
    angles = np.stack(np.meshgrid(*[grid] * (sites - 1), [0.0], indexing="ij"), axis=-1).reshape(-1, sites)

    def energy(twist):
        return -np.cos(np.roll(angles, -1, axis=1) - angles + twist).sum(axis=1)

    def free(twist):
        return -np.log(np.exp(-beta * energy(twist)).sum()) / beta

    h = 1e-3
    wanted = (free(h) - 2 * free(0.0) + free(-h)) / h**2
    found = measured(System(make_model({"type": "xy"}), Lattice((sites,))), "stiffness", angles)
    weights = np.exp(-beta * energy(0.0))
    e, j2 = (weights @ found[:, 0]) / weights.sum(), (weights @ found[:, 1] ** 2) / weights.sum()
    assert e - beta * j2 == pytest.approx(wanted, rel=1e-5)


def test_only_planar_spins_have_them():
    names = {o.name for o in observables_of(System(make_model({"type": "xy"}), Lattice((4, 4))), 1)}
    assert names == {"stiffness", "vortices"}
    for spec, kind in (("heisenberg", "hypercubic"), ("ising", "hypercubic"), ("xy", "triangular")):
        assert not observables_of(System(make_model({"type": spec}), Lattice((6, 6), kind)), 1)
    free = System(make_model({"type": "xy"}), Lattice((4, 4), boundary="free"))
    assert not observables_of(free, 1)
