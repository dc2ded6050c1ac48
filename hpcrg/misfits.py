"""Whether what a campaign asks of its banks fits the ensembles that make them; every misfit is named with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hpcrg.errors import InputError, expected
from hpcrg.lattice import Lattice
from hpcrg.learning_specs import ANY_SIZE, MOST_SITES, WIDEST, HierarchySpec, StackSpec, TrainSpec
from hpcrg.local_sums import LocalSums
from hpcrg.models import Model
from hpcrg.operators import EVEN, ODD, make_table, require_distinct, sums_for
from hpcrg.specs import EnsembleSpec, FlowSpec, ScaleSpec
from hpcrg.stiffness import are_planar, is_planar
from hpcrg.system import System
from hpcrg.updates import houdayer

FEWEST_SPLIT = 3
"""Chains that training, validation and test need."""

FEWEST_SAMPLES, FEWEST_SLOTS = 8, 4
"""Samples of a disorder and temperatures that averages over samples need."""


def block_problems(
    where: str, part: ScaleSpec | FlowSpec | TrainSpec, length: int, what: str, chains: int
) -> Iterator[str]:
    """Too many jackknife blocks for the length of a chain, or too few in all."""
    if part.blocks > length:
        wanted = f"1 to {length} (the {what} of a chain of {part.ensemble})"
        yield expected(f"{where}.blocks", wanted, part.blocks)
    if chains * part.blocks < 2:
        wanted = f"at least 2 jackknife blocks over the chains of {part.ensemble} that it uses"
        yield expected(f"{where}.blocks", wanted, chains * part.blocks)


def size_problems(where: str, part: ScaleSpec | TrainSpec, spec: EnsembleSpec) -> Iterator[str]:
    """A single size where several are needed."""
    if len(spec.sizes) < 2:
        yield (f"{where}.ensemble: expected an ensemble of at least 2 sizes, "
               f"found ensembles.{part.ensemble}.sizes {spec.sizes[0]}")  # fmt: skip


def disorder_problems(where: str, model: Model) -> Iterator[str]:
    """Chains that are systems of their own: no density of states is common to them, and only they are independent."""
    if model.disordered:
        yield expected(f"{where}.ensemble", "an ensemble of a model without disorder", model.name)


def scale_problems(where: str, scale: ScaleSpec, spec: EnsembleSpec, model: Model, lattice: Lattice) -> Iterator[str]:
    """What keeps finite-size scaling from its ensemble."""
    yield from size_problems(where, scale, spec)
    if model.disordered:
        yield from samples_problems(where, scale, spec, model)
    elif any(u.type == houdayer.HOUDAYER.name for u in spec.updates):
        yield f"{where}.ensemble: expected copies that are independent, found the update {houdayer.HOUDAYER.name}"
    if are_planar(model) and lattice.dimension == 2 and not is_planar(System(model, lattice), 1):
        yield expected(f"{where}.ensemble", "planar spins in two dimensions on the periodic square lattice, where the "
                       "jump of their helicity modulus is measured", f"{lattice.kind}, {lattice.boundary}")  # fmt: skip
    if spec.ladder.slots < 2:
        yield f"{where}.ensemble: expected an ensemble at 2 or more temperatures, found {spec.ladder.slots}"
    yield from block_problems(where, scale, spec.measurements, "measurements", spec.chains)


def samples_problems(where: str, scale: ScaleSpec, spec: EnsembleSpec, model: Model) -> Iterator[str]:
    """Too few samples or temperatures for averages over a disorder, or single copies where overlaps are asked for."""
    if spec.chains < FEWEST_SAMPLES:
        yield (f"{where}: expected at least {FEWEST_SAMPLES} samples of the disorder, "
               f"found ensembles.{scale.ensemble}.chains {spec.chains}")  # fmt: skip
    if spec.ladder.slots < FEWEST_SLOTS:
        yield (f"{where}.ensemble: expected at least {FEWEST_SLOTS} temperatures, between which averages over "
               f"samples are interpolated, found {spec.ladder.slots}")  # fmt: skip
    if model.glass and spec.copies == 1:
        yield f"{where}.ensemble: expected 2 copies or more for the overlap, found ensembles.{scale.ensemble}.copies 1"


def train_problems(where: str, train: TrainSpec, spec: EnsembleSpec, model: Model, lattice: Lattice) -> Iterator[str]:
    """What keeps a training from its ensemble."""
    yield from disorder_problems(where, model)
    if lattice.basis > 1:
        yield expected(f"{where}.ensemble", "a lattice of one site a cell, as networks see it", lattice.kind)
    if train.taught_by is None and spec.chains < FEWEST_SPLIT:
        yield (f"{where}: expected at least {FEWEST_SPLIT} chains to split into training, validation and test, "
               f"found ensembles.{train.ensemble}.chains {spec.chains}")  # fmt: skip
    regressor = train.objective == "regressor"
    if train.cold + train.hot - regressor >= spec.ladder.slots:
        most = f"{'at most' if regressor else 'below'} the {spec.ladder.slots} temperatures of {train.ensemble}"
        yield (f"{where}: expected cold + hot {most}, "
               f"found {train.cold} + {train.hot}")  # fmt: skip
    yield from size_problems(where, train, spec)
    if train.size is not None and train.size not in spec.sizes:
        yield expected(f"{where}.size", f"one of ensembles.{train.ensemble}.sizes", train.size)
    key = "size" if train.size is not None else "taught_by" if train.taught_by is not None else None
    for net in train.net:
        if key and not ANY_SIZE[net]:
            others = ", ".join(n for n, fits in ANY_SIZE.items() if fits)
            yield expected(f"{where}.net", f"with `{key}`, architectures that take any size: {others}", net)
    tested = tested_chains(spec.chains, train.seeds) if train.taught_by is None else spec.chains
    yield from block_problems(where, train, spec.draws, "draws", tested)


def teacher_problems(campaign: str, trains: Mapping[str, TrainSpec]) -> Iterator[str]:
    """Networks that a campaign would have to train itself."""
    for name, train in trains.items():
        if train.taught_by is not None and train.taught_by.campaign == campaign:
            wanted = "another campaign (in one and the same, `size` has networks of one size serve all)"
            yield expected(f"train.{name}.taught_by.campaign", wanted, campaign)


def stack_problems(where: str, stack: StackSpec, spec: EnsembleSpec, model: Model, lattice: Lattice) -> Iterator[str]:
    """What keeps stacks of machines from their ensemble."""
    yield from disorder_problems(where, model)
    if model.states != 2:
        yield expected(f"{where}.ensemble", "an ensemble of a model of two-valued spins", model.name)
    if (lattice.kind, lattice.boundary) != ("hypercubic", "periodic"):
        yield expected(f"{where}.ensemble", "a periodic hypercubic lattice", f"{lattice.kind}, {lattice.boundary}")
        return
    if spec.ladder.slots != 1 or len(spec.sizes) != 1:
        found = f"{spec.ladder.slots} and {len(spec.sizes)}"
        yield f"{where}.ensemble: expected an ensemble of one size at one temperature, found {found}"
    if spec.chains < FEWEST_SPLIT:
        yield (f"{where}: expected at least {FEWEST_SPLIT} chains to split into training, validation and test, "
               f"found ensembles.{stack.ensemble}.chains {spec.chains}")  # fmt: skip
    try:
        LocalSums(stack.operators, lattice.dimension)
    except InputError as error:
        yield f"{where}.operators: {error}"


def hierarchy_problems(
    where: str, hierarchy: HierarchySpec, spec: EnsembleSpec, model: Model, lattice: Lattice
) -> Iterator[str]:
    """What keeps a hierarchical network from its ensemble."""
    yield from disorder_problems(where, model)
    if model.states != 2:
        yield expected(f"{where}.ensemble", "an ensemble of a model of two-valued spins", model.name)
    dimension = lattice.dimension
    if (lattice.kind, lattice.boundary) != ("hypercubic", "periodic") or dimension not in WIDEST:
        found = f"{lattice.kind}, {lattice.boundary}, {dimension}"
        yield expected(f"{where}.ensemble", "a periodic hypercubic lattice of 1 or 2 dimensions", found)
        return
    if spec.ladder.slots != 1 or len(spec.sizes) != 1:
        found = f"{spec.ladder.slots} and {len(spec.sizes)}"
        yield f"{where}.ensemble: expected an ensemble of one size at one temperature, found {found}"
    halved = 2**hierarchy.levels
    for size in spec.sizes:
        if size**dimension > MOST_SITES or size % halved or size == halved:
            yield (f"{where}.levels: expected sizes that 2^{hierarchy.levels} = {halved} divides into 2 or more, with "
                   f"at most {MOST_SITES} sites, found ensembles.{hierarchy.ensemble}.sizes {size}")  # fmt: skip
    if hierarchy.window != "whole" and hierarchy.window > WIDEST[dimension]:
        yield expected(f"{where}.window", f"whole, or at most {WIDEST[dimension]}", hierarchy.window)
    if spec.chains < hierarchy.folds:
        yield (f"{where}.folds: expected at most as many folds as chains, found {hierarchy.folds} and "
               f"ensembles.{hierarchy.ensemble}.chains {spec.chains}")  # fmt: skip


def tested_chains(chains: int, seeds: int) -> int:
    """How many chains some seed holds out: those whose number, by the folds, is that of a seed."""
    whole, rest = divmod(chains, max(seeds, FEWEST_SPLIT))
    return whole * seeds + min(rest, seeds)


def flow_problems(where: str, flow: FlowSpec, spec: EnsembleSpec, model: Model, lattice: Lattice) -> Iterator[str]:
    """What keeps a flow from its ensemble: lattice, temperatures, blocks, sizes, operators."""
    if (lattice.kind, lattice.boundary) != ("hypercubic", "periodic") or lattice.dimension > 3:
        found = f"{lattice.kind}, {lattice.boundary}, {lattice.dimension}"
        yield expected(f"{where}.ensemble", "a periodic hypercubic lattice of at most 3 dimensions", found)
        return
    if spec.ladder.slots != 1:
        yield f"{where}.ensemble: expected an ensemble at one temperature, found {spec.ladder.slots}"
        return
    yield from block_problems(where, flow, spec.draws, "draws", spec.chains)
    block = flow.factor**flow.levels
    unfit = [size for size in spec.sizes if size % block or size == block]
    for size in unfit:
        yield (f"{where}.levels: expected sizes that {flow.factor}^{flow.levels} = {block} divides and that leave "
               f"more than one site, found ensembles.{flow.ensemble}.sizes {size}")  # fmt: skip
    if not unfit:
        yield from operator_problems(where, flow, spec.sizes, model, lattice.dimension)


def operator_problems(where: str, flow: FlowSpec, sizes: Sequence[int], model: Model, dimension: int) -> Iterator[str]:
    """Operators that the model, the dimension or the smallest blocked lattice does not have."""
    for kind, registry, names in (("even", EVEN, flow.even), ("odd", ODD, flow.odd)):
        try:
            sums_for(model)
            table = make_table(registry, names, dimension)
            for size, level in product(sizes, range(flow.levels + 1)):
                require_distinct(table, (size // flow.factor**level,) * dimension)
        except InputError as error:
            yield f"{where}.{kind}: {error}"


CHECKS: Mapping[str, Callable[[str, Any, EnsembleSpec, Model, Lattice], Iterator[str]]] = {
    "scale": scale_problems, "flow": flow_problems, "train": train_problems, "stack": stack_problems,
    "hierarchy": hierarchy_problems,
}  # fmt: skip
"""By the key of a campaign under which analyses of an ensemble stand."""
