"""Probability-changing clusters: how often clusters wind, against enumeration of all bonds; the duality behind the self-dual
rule; and critical temperatures of the square lattice. Every twin has one fault and must be refused."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student

from hpcrg import producing
from hpcrg.errors import InputError, Unsupported
from hpcrg.estimate import combined_error
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import diluted_ising, ising, potts
from hpcrg.probability_changing import HALF, SELF_DUAL, Finder
from hpcrg.probability_changing.run import displacements, packed, turn
from hpcrg.producing import Series
from hpcrg.straight import limit, linear
from hpcrg.system import System

FALSE_ALARM = 1e-9
TINY = 1e-12


def windings_of(lattice, bonds):
    """None (0), one way (1) or both ways (2), from copies of the torus laid side by side: a cluster winds by v if it joins a
    site to itself v tori further. bonds: list of (site, other, step)."""
    near = {}
    for site, other, step in bonds:
        near.setdefault(site, []).append((other, np.array(step)))
        near.setdefault(other, []).append((site, -np.array(step)))
    found = []
    for start in near:
        seen, queue = {start: np.zeros(2, int)}, deque([start])
        while queue:
            site = queue.popleft()
            for other, step in near[site]:
                place = seen[site] + step
                if other not in seen:
                    seen[other] = place
                    queue.append(other)
                elif (place != seen[other]).any():
                    found.append(place - seen[other])
    if not found:
        return 0
    return 2 if any(int(v[0] * found[0][1] - v[1] * found[0][0]) for v in found) else 1


def exact_windings(shape, q, p):
    """The chances of the three cases under p^bonds (1 - p)^(others) q^clusters, over all bond configurations."""
    lattice = Lattice(shape)
    table, steps = lattice.neighbours(), displacements(lattice)
    edges = [(s, int(table[s, k]), steps[k]) for s in lattice.bond_sites for k in lattice.bond_columns(table.shape[1])]
    weight = np.zeros(3)
    for number in range(2 ** len(edges)):
        bonds = [edge for k, edge in enumerate(edges) if number >> k & 1]
        parent = list(range(lattice.volume))

        def root(site, parent=parent):
            while parent[site] != site:
                site = parent[site]
            return site

        for a, b, _ in bonds:
            parent[root(a)] = root(b)
        clusters = sum(parent[s] == s for s in range(lattice.volume))
        chance = p ** len(bonds) * (1 - p) ** (len(edges) - len(bonds)) * float(q) ** clusters
        weight[windings_of(lattice, bonds)] += chance
    return weight / weight.sum()


def observed(finder, chains):
    """How often each case was seen every 5 sweeps, while p all but stood still: its moves tell the cases."""
    counts = np.zeros(3)
    for trace in producing.run(Series("still", 2, finder, 3, chains))["trace"]:
        steps = TINY * (1 + np.arange(finder.sweeps) / 10) ** -0.75
        moves = np.diff(np.concatenate([[finder.begin], trace])) / steps
        case = np.array([np.abs(finder.score - m).argmin() for m in moves[100::5]])
        counts += np.bincount(case, minlength=3)
    return counts


def p_value(counts, chances):
    """Chi-squared with the cases that the rule tells apart."""
    wanted = chances * counts.sum()
    return chi2.sf(((counts - wanted) ** 2 / wanted).sum(), len(counts) - 1)


@pytest.mark.parametrize("q", [2, 3])
def test_duality_gives_the_ratio_q(q):
    none, _, both = exact_windings((2, 2), q, np.sqrt(q) / (1 + np.sqrt(q)))
    assert both / none == pytest.approx(q, rel=1e-12)


@pytest.mark.parametrize(("model", "q"), [(ising(), 2), (potts(3), 3)])
def test_windings_are_as_frequent_as_enumerated(model, q):
    p = np.sqrt(q) / (1 + np.sqrt(q))
    finder = Finder(System(model, Lattice((2, 2))), SELF_DUAL, 600, TINY, p)
    counts = observed(finder, 30)
    assert p_value(counts, exact_windings((2, 2), q, p)) > FALSE_ALARM
    finder.__dict__["steps"] = np.array([packed(step) for step in ((0, 1), (0, 0), (0, -1), (0, 0))])
    assert p_value(observed(finder, 30), exact_windings((2, 2), q, p)) < FALSE_ALARM, "the twin sees x alone"


def test_windings_on_an_oblong():
    finder = Finder(System(ising(), Lattice((3, 2))), HALF, 600, TINY, 0.5)
    exact = exact_windings((3, 2), 2, 0.5)
    counts = observed(finder, 30)
    assert p_value(np.array([counts[0], counts[1:].sum()]), np.array([exact[0], exact[1:].sum()])) > FALSE_ALARM


def test_packed_displacements():
    assert turn(packed((3, -2)), packed((-6, 4))) == 0
    assert turn(packed((0, 7)), packed((5, -1))) == 35
    assert turn(packed((5, -1)) - packed((2, 2)), packed((1, 0))) == -3


def answer(system, rule, sweeps, chains, first=0.02):
    finder = Finder(system, rule, sweeps, first)
    return finder.answer(producing.run(Series("find", system.lattice.shape[0], finder, 5, chains)))


@part
def any_pair(a, b, coupling):
    return 1


def without_spins(model):
    """A twin: bonds are laid between unlike spins too."""
    return replace(
        model,
        physics=model.physics._replace(
            name=f"{model.physics.name}-blind", gap=any_pair, gap_span=model.physics.gap_span
        ),
    )


CHAINS = 12
LIMIT = student.isf(FALSE_ALARM / 2, CHAINS - 1)


@pytest.mark.parametrize("model", [ising(), potts(3)])
def test_critical_point_from_one_size(model):
    """The self-dual rule has no size shift."""
    system = System(model, Lattice((12, 12)))
    exact = model.exact(system.lattice).beta_c.value
    value, replicas = answer(system, SELF_DUAL, 12_000, CHAINS)
    assert combined_error(replicas) < 2e-3 * exact
    assert abs(value - exact) < LIMIT * combined_error(replicas)
    twin, replicas = answer(System(without_spins(model), Lattice((12, 12))), SELF_DUAL, 3000, CHAINS)
    assert abs(twin - exact) > LIMIT * combined_error(replicas)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "power"), [(ising(), 1.0), (potts(3), 1.2)])
def test_critical_point_from_the_half_rule(model, power):
    """beta(L) = beta_c + a L^(-1/nu); a single size is a twin that has the shift."""
    sizes = (12, 16, 24, 32)
    values = [answer(System(model, Lattice((L, L))), HALF, 15_000, CHAINS) for L in sizes]
    exact = model.exact(Lattice((4, 4))).beta_c.value
    value, replicas = limit(sizes, values, power).measured
    assert abs(value - exact) < LIMIT * combined_error(replicas)
    assert combined_error(replicas) < 1e-3 * exact
    mean, replicas = linear([[1.0] * len(sizes)], values, 0).measured
    assert abs(mean - exact) > LIMIT * combined_error(replicas)


def test_refusals():
    with pytest.raises(Unsupported, match="periodic"):
        Finder(System(ising(), Lattice((4, 4), boundary="helical")))
    with pytest.raises(Unsupported, match="square"):
        Finder(System(ising(), Lattice((4, 4), kind="triangular")), SELF_DUAL)
    with pytest.raises(Unsupported, match="with equal chance"):
        Finder(System(ising(field=0.5), Lattice((4, 4))))
    with pytest.raises(Unsupported, match="without disorder"):
        Finder(System(diluted_ising(site=0.5), Lattice((4, 4))))
    with pytest.raises(InputError, match="self_dual"):
        Finder(System(ising(), Lattice((4, 4))), "self_deal")
