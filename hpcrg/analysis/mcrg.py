"""Monte Carlo renormalisation group: y_t and y_h from block spins of a bank at one temperature.

Every draw is blocked `levels` times; at every level the operator sums are taken, and Swendsen's matrix
between successive levels gives the exponents (swendsen.py). The last level is quoted, with all operators; its
change from the level before is the systematic part `level`. Statistical errors are blocked jackknife errors
over chains and blocks within chains. Exact exponents are set beside them only at the critical temperature: elsewhere
the flow leaves that fixed point. Banks that have not thermalised are stopped before a spin is read. Source:
R. H. Swendsen, Phys. Rev. Lett. 42, 859 (1979).

Numbers to reach, 2D Ising at K_c, L = 64, majority rule with b = 2, four even and two odd operators: y_t
0.965(2), 0.998(2), 0.998(2) and y_h 1.8804(1), 1.8758(1), 1.8746(2) by level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from hpcrg.analysis import mcrg_figures
from hpcrg.analysis.equilibration import equilibrium, unchecked
from hpcrg.analysis.graph import Compute, evaluate, partition
from hpcrg.analysis.levels import BYTES_A_MEASUREMENT, reduce_bank
from hpcrg.analysis.swendsen import Exponents, Moments, exponents, largest_batch, moments_of, no_moments
from hpcrg.bank import Bank, open_bank
from hpcrg.campaign import FlowSpec
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate, Reference
from hpcrg.figures import FigureData, Note
from hpcrg.lattice import Lattice
from hpcrg.models import Exact, Model
from hpcrg.operators import EVEN, ODD, make_table, require_distinct, sums_for
from hpcrg.rng import Purpose, id_words, key_of
from hpcrg.schemes import SCHEMES, Scheme, blocked_shape, tie_keys

CRITICAL = 1e-6
"""How near, relatively, 1/T must be to beta_c for critical exponents to be set beside a flow."""


@dataclass(frozen=True)
class Flow:
    """The accumulator: sums of the even and of the odd operators at every level."""

    even: Moments
    odd: Moments

    def __add__(self, other: Flow) -> Flow:
        return Flow(self.even + other.even, self.odd + other.odd)


@dataclass(frozen=True)
class BlockSpins:
    """The step of the fold (graph.py): block a range of draws `levels` times and add up its operators.

    `key` is the ensemble's key for ties; with chain, slot, draw, level and site it decides each of them.
    """

    scheme: Scheme
    levels: int
    even: tuple[str, ...]
    odd: tuple[str, ...]
    key: int

    def __call__(self, flow: Flow, bank: Bank, chain: int, slot: int, start: int, stop: int) -> Flow:
        """Add the draws [start, stop)."""
        model, dimension = bank.model, bank.lattice.dimension
        sums = sums_for(model)
        even, odd = make_table(EVEN, self.even, dimension), make_table(ODD, self.odd, dimension)
        spins = bank.spins(chain, slot, start, stop)
        values = [(sums.even(spins, even), sums.odd(spins, odd))]
        for level in range(self.levels):
            ties = tie_keys(np.uint64(self.key), chain, slot, start, len(spins), level)
            spins = self.scheme.coarsen(model, spins, ties)
            values.append((sums.even(spins, even), sums.odd(spins, odd)))
        bounds = [sums.largest(table, bank.lattice.volume) for table in (even, odd)]
        return flow + Flow(moments_of([v[0] for v in values], bounds[0]), moments_of([v[1] for v in values], bounds[1]))


@dataclass(frozen=True)
class Subject:
    """What is known of one bank before any of its draws is read."""

    path: Path
    id: str
    label: str
    model: Model
    lattice: Lattice
    temperature: float
    chains: int
    draws: int

    def sizes(self, spec: FlowSpec) -> list[int]:
        """The linear size at every level."""
        return [self.lattice.shape[0] // spec.factor**level for level in range(spec.levels + 1)]


def subject_of(path: Path, spec: FlowSpec) -> Subject:
    """Open a bank and check that this flow can be done on it.

    Raises InputError for several temperatures, a size that factor^levels does not divide, operators that do
    not fit the coarsest lattice, more blocks than draws, a single block in all, and a lattice so large that
    the square of an operator sum could exceed 2^63.
    """
    with open_bank(path) as bank:
        found = Subject(path, bank.id, bank.label, bank.model, bank.lattice, float(bank.temperatures[0]),
                        bank.chains, bank.draws)  # fmt: skip
        slots = bank.slots
    if slots != 1:
        raise InputError(expected(f"{path}: temperatures", "exactly 1 for Monte Carlo renormalisation", slots))
    if found.chains * spec.blocks < 2:
        raise InputError(expected(f"{path}: chains x blocks", "at least 2 for a jackknife error", 1))
    if spec.blocks > found.draws:
        raise InputError(expected(f"{path}: blocks", f"1 to {found.draws} (the draws of a chain)", spec.blocks))
    for extent in found.lattice.shape:
        if extent % spec.factor**spec.levels:
            wanted = f"a size that {spec.factor}^{spec.levels} = {spec.factor**spec.levels} divides"
            raise InputError(expected(f"{path}: lattice", wanted, extent))
    _check_operators(found, spec)
    return found


def _check_operators(subject: Subject, spec: FlowSpec) -> None:
    sums, dimension = sums_for(subject.model), subject.lattice.dimension
    for registry, names, components in ((EVEN, spec.even, 1), (ODD, spec.odd, subject.model.components)):
        table = make_table(registry, names, dimension)
        shape = subject.lattice.shape
        for level in range(spec.levels + 1):
            require_distinct(table, shape)
            shape = blocked_shape(shape, spec.factor) if level < spec.levels else shape
        try:
            largest_batch(sums.largest(table, subject.lattice.volume), components)
        except OverflowError as error:
            where = f"{subject.path}: lattice too large for operators {', '.join(names)}"
            raise InputError(f"{where}: {error}") from None


def measure(subject: Subject, spec: FlowSpec, compute: Compute, chunk: int) -> tuple[Exponents, Exponents]:
    """The even and the odd exponents of one bank; `chunk` is in bytes of unpacked spins."""
    key = int(key_of(0, Purpose.TIES, *id_words(subject.id)))
    step = BlockSpins(SCHEMES[spec.scheme](spec.factor), spec.levels, spec.even, spec.odd, key)
    components = subject.model.components
    nothing = Flow(no_moments(spec.levels, len(spec.even), 1), no_moments(spec.levels, len(spec.odd), components))
    units = partition(subject.chains, 1, subject.draws, spec.blocks)
    draws = max(1, chunk // subject.lattice.volume)
    found = evaluate(subject.path, units, step, nothing, draws, compute)
    return (
        exponents([flow.even for flow in found], centred=True, factor=spec.factor),
        exponents([flow.odd for flow in found], centred=False, factor=spec.factor),
    )


def run(
    banks: Sequence[Path], name: str, spec: FlowSpec, compute: Compute, chunk: int
) -> tuple[list[Estimate], FigureData]:
    """The flow `name` on each of these banks: estimates y_t and y_h, and what to draw of them.

    `compute` runs a Dask graph; `chunk` is in bytes of unpacked spins a task. Raises InputError (see
    subject_of), and NotEquilibrated for banks that have not thermalised.
    """
    estimates: list[Estimate] = []
    subjects = [subject_of(Path(path), spec) for path in banks]
    data = FigureData(notes=[_equilibration(subjects, spec, compute, chunk)])
    for subject in subjects:
        even, odd = measure(subject, spec, compute, chunk)
        exact, more = known_at(subject)
        data.notes.extend(more)
        for quantity, found, reference in (("y_t", even, exact.y_t), ("y_h", odd, exact.y_h)):
            estimate = _estimate(subject, name, spec, quantity, found, reference)
            estimates += [estimate] if estimate else []
            _show(data, subject, name, spec, quantity, found, estimate, reference)
    return estimates, data


def _equilibration(subjects: Sequence[Subject], spec: FlowSpec, compute: Compute, chunk: int) -> Note:
    if not spec.check_equilibration:
        return unchecked()
    length = max(1, chunk // BYTES_A_MEASUREMENT)
    return equilibrium([reduce_bank(s.path, 1, length, compute) for s in subjects])


def known_at(subject: Subject) -> tuple[Exact, list[Note]]:
    """What is known of the model where the bank is: nothing away from the critical temperature, and a note of it."""
    exact = subject.model.exact(subject.lattice)
    if exact.beta_c is None or math.isclose(1.0 / subject.temperature, exact.beta_c.value, rel_tol=CRITICAL):
        return exact, []
    critical = f"{1.0 / exact.beta_c.value:.9g} ({exact.beta_c.source})"
    text = f"{subject.label}: T = {subject.temperature:.9g} is not the critical temperature {critical}"
    return Exact(), [Note("info", f"{text}; its exponents are no reference here")]


def _show(
    data: FigureData, subject: Subject, name: str, spec: FlowSpec, quantity: str, found: Exponents,
    estimate: Estimate | None, reference: Reference | None,
) -> None:  # fmt: skip
    title = f"MCRG {name} ({spec.scheme}) on {subject.label}"
    sizes = subject.sizes(spec)
    steps = [f"{a} → {b}" for a, b in pairwise(sizes)]
    names = spec.even if quantity == "y_t" else spec.odd
    key = f"mcrg-{name}-{subject.label}"
    data.notes.extend(mcrg_figures.notes(title, quantity, found, estimate))
    data.figures.extend(mcrg_figures.figures(title, key, quantity, steps, found, reference))
    data.tables.append(mcrg_figures.table(title, quantity, steps, names, found))


def _estimate(
    subject: Subject, name: str, spec: FlowSpec, quantity: str, found: Exponents, reference: Reference | None
) -> Estimate | None:
    """The last level with all operators, or None where T has no real positive leading eigenvalue."""
    value, replicas = float(found.value[-1, -1]), found.replicas[:, -1, -1]
    change = abs(found.change(spec.levels - 1)[0]) if spec.levels > 1 else 0.0
    if not all(map(math.isfinite, (value, change, *replicas))):
        return None
    systematic = {"level": change} if spec.levels > 1 else {}
    sizes = subject.sizes(spec)
    settings = {
        "flow": name, "bank": subject.label, "temperature": subject.temperature, "scheme": spec.scheme,
        "factor": spec.factor, "levels": spec.levels, "step": f"{sizes[-2]} -> {sizes[-1]}",
        "operators": list(spec.even if quantity == "y_t" else spec.odd), "chains": subject.chains,
        "draws": subject.draws, "blocks": spec.blocks,
    }  # fmt: skip
    return Estimate(
        quantity, f"mcrg/{spec.scheme}", subject.model.name, (subject.lattice.shape[0],), value,
        {subject.id: replicas}, systematic, (subject.id,), reference, settings,
    )  # fmt: skip
