"""A campaign: one YAML file that says everything, checked in full before any work starts.

`load(path)` gives a Campaign or raises InputError with every mistake, each as
`place: expected X, found Y; did you mean Z?`. `Campaign.ensembles()` gives the Ensembles it asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from hpcrg import misfits
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.learning_specs import HierarchySpec, StackSpec, TrainSpec
from hpcrg.models import Model, make_model
from hpcrg.producing import Series
from hpcrg.series_specs import (
    SPECS,
    DimersSpec,
    FlatHistogramSpec,
    PercolationSpec,
    PopulationSpec,
    ProbabilityChangingSpec,
    SeriesSpec,
)
from hpcrg.specs import (
    EnsembleSpec,
    FlowSpec,
    LatticeSpec,
    ModelSpec,
    Name,
    ReportSpec,
    Resources,
    ScaleSpec,
    Spec,
    TuneSpec,
)
from hpcrg.system import System
from hpcrg.updates import check_round, houdayer
from hpcrg.validation import explain, read_yaml

__all__ = ["Campaign", "FlowSpec", "ScaleSpec", "StackSpec", "TrainSpec", "TuneSpec", "load", "parse"]

MOST_BYTES = 256 << 10
"""What takes longer than seconds to read is no campaign that anybody wrote."""
FEW_CHAINS = 8
"""Below this many chains an error bar over chains is itself known to 25 % only; a warning says so."""


class Campaign(Spec):
    """Everything that one study asks for."""

    name: Name
    seed: int = Field(ge=0, lt=2**63)
    model: ModelSpec | None = None
    lattice: LatticeSpec = LatticeSpec()
    resources: Resources = Resources()
    ensembles_: dict[Name, EnsembleSpec] = Field({}, alias="ensembles")
    scale: dict[Name, ScaleSpec] = Field({})
    flow: dict[Name, FlowSpec] = Field({})
    train: dict[Name, TrainSpec] = Field({})
    stack: dict[Name, StackSpec] = Field({})
    hierarchy: dict[Name, HierarchySpec] = Field({})
    percolation: dict[Name, PercolationSpec] = Field({})
    dimers: dict[Name, DimersSpec] = Field({})
    flat_histogram: dict[Name, FlatHistogramSpec] = Field({})
    population: dict[Name, PopulationSpec] = Field({})
    probability_changing: dict[Name, ProbabilityChangingSpec] = Field({})
    report: ReportSpec = ReportSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Campaign:
        problems = [*self._problems(), *misfits.teacher_problems(self.name, self.train)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @cached_property
    def physics(self) -> Model:
        """The model itself. Raises InputError where the campaign names none."""
        if self.model is None:
            raise InputError(expected("model", "a model", None))
        return make_model(self.model.model_dump())

    @property
    def subject(self) -> str:
        """What the campaign is about, in a word or two: its model, or the methods that need none."""
        if self.model is not None:
            return self.physics.name
        return ", ".join(method for method in SPECS if getattr(self, method))

    @property
    def series_specs(self) -> dict[str, SeriesSpec]:
        """Everything that asks for series, by name, whatever its method."""
        return {name: spec for method in SPECS for name, spec in getattr(self, method).items()}

    def method_of(self, name: str) -> str:
        """The key under which a name asks for series."""
        return next(method for method in SPECS if name in getattr(self, method))

    def series(self) -> list[Series]:
        """Every series asked for, name by name and size by size."""
        return [
            Series(name, size, spec.producer(self._system(spec, size), self.lattice_of(size)), self.seed, spec.chains)
            for name, spec in self.series_specs.items()
            for size in spec.sizes
        ]

    def series_of(self, name: str) -> list[Series]:
        """The series of one name, smallest first. Raises InputError for an unknown name."""
        if name not in self.series_specs:
            raise InputError(expected("series", _one_of(self.series_specs), name, self.series_specs))
        return sorted((s for s in self.series() if s.group == name), key=lambda s: s.size)

    def one_series(self, label: str) -> Series:
        """One series by its label, such as site-L32. Raises InputError for an unknown label."""
        found = {s.label: s for s in self.series()}
        if label not in found:
            raise InputError(expected("series", _one_of(found), label, found))
        return found[label]

    def _system(self, spec: SeriesSpec, size: int) -> System | None:
        return System(self.physics, self.lattice_of(size)) if spec.needs_model else None

    def system_of(self, group: str) -> System:
        """The model on the lattice of the smallest size of a group."""
        return System(self.physics, self.lattice_of(min(self.ensembles_[group].sizes)))

    def stack_files(self, name: str) -> list[str]:
        """Where the seeds of a stack stand below the campaign's results."""
        return [f"stack/{name}/seed{k}.stack" for k in range(self.stack[name].seeds)]

    def lattice_of(self, size: int) -> Lattice:
        """The lattice of one linear size."""
        return self.lattice.of_size(size)

    def copies(self, spec: EnsembleSpec) -> int:
        """Copies of a group: as it says, else as the model says."""
        return self.physics.copies if spec.copies is None else spec.copies

    def ensembles(self, ladders: Mapping[str, Sequence[float]] | None = None) -> list[Ensemble]:
        """Every ensemble asked for, group by group and size by size. `ladders` gives the betas of tuned ladders by
        ensemble label; a tuned ladder without them has no betas and no id yet."""
        return [
            self._ensemble(group, spec, size, ladders or {})
            for group, spec in self.ensembles_.items()
            for size in spec.sizes
        ]

    def ensemble(self, label: str, betas: Sequence[float] | None = None) -> Ensemble:
        """One ensemble by its label, such as scan-L16. Raises InputError for an unknown label, for betas of a ladder
        that is not to be tuned, and for more or fewer betas than its slots."""
        found = {e.label: e for e in self.ensembles(None if betas is None else {label: betas})}
        if label not in found:
            raise InputError(expected("ensemble", f"one of {', '.join(found)}", label, found))
        return found[label]

    def of_group(self, group: str) -> list[Ensemble]:
        """The ensembles of one group."""
        return [e for e in self.ensembles() if e.group == group]

    def warnings(self) -> Iterator[str]:
        """What is allowed but weakens the result."""
        made = [(f"ensembles.{group}", spec.chains) for group, spec in self.ensembles_.items()]
        made += [(f"{self.method_of(name)}.{name}", spec.independent) for name, spec in self.series_specs.items()]
        for where, chains in made:
            if chains < FEW_CHAINS:
                yield (f"{where}.chains: {chains} chains; errors over fewer than {FEW_CHAINS} chains are themselves "
                       "uncertain by more than 25 %")  # fmt: skip
        for group, spec in self.ensembles_.items():
            if any(u.type == houdayer.HOUDAYER.name for u in spec.updates):
                found = houdayer.advice(System(self.physics, self.lattice_of(spec.sizes[0])))
                yield from [f"ensembles.{group}.updates: {found}"] if found else []

    def _ensemble(self, group: str, spec: EnsembleSpec, size: int, ladders: Mapping[str, Sequence[float]]) -> Ensemble:
        given = ladders.get(f"{group}-L{size}")
        if given is None:
            betas = spec.ladder.resolve(self.physics, self.lattice_of(size))
        else:
            betas = _tuned(f"{group}-L{size}", f"ensembles.{group}.ladder", spec, given)
        return Ensemble(
            group=group, size=size, model=self.model.model_dump() if self.model else {},
            lattice=self.lattice.model_dump(), betas=betas,
            updates=tuple(UpdateCall(u.type, u.repeat) for u in spec.updates),
            exchange=spec.ladder.slots > 1 if spec.exchange is None else spec.exchange, seed=self.seed,
            thermalise=spec.thermalise, measure=spec.measure, keep=spec.keep, chains=spec.chains, draws=spec.draws,
            copies=self.copies(spec),
        )  # fmt: skip

    def _problems(self) -> Iterator[str]:
        if not self.ensembles_ and not self.series_specs:
            keys = ", ".join(["ensembles", *SPECS])
            yield f"ensembles: expected something to sample under at least one of {keys}, found none"
        wants = [f"ensembles.{g}" for g in self.ensembles_]
        wants += [f"{self.method_of(n)}.{n}" for n, spec in self.series_specs.items() if spec.needs_model]
        if wants and self.model is None:
            yield f"model: expected a model for {wants[0]}, found none"
            return
        if self.model is not None and not wants:
            yield expected("model", "none, since nothing here is sampled from it", self.model.type)
        groups = list(self._group_problems())
        yield from groups or self._twins()
        yield from self._series_problems()
        for verb, check in misfits.CHECKS.items():
            for name, part in getattr(self, verb).items():
                where = f"{verb}.{name}"
                if part.ensemble in self.ensembles_:
                    spec = self.ensembles_[part.ensemble]
                    yield from check(where, part, spec, self.physics, self.lattice_of(spec.sizes[0]))
                else:
                    wanted = f"one of {', '.join(self.ensembles_)}"
                    yield expected(f"{where}.ensemble", wanted, part.ensemble, self.ensembles_)

    def _series_problems(self) -> Iterator[str]:
        seen: dict[str, str] = dict.fromkeys(self.ensembles_, "ensembles")
        made: dict[str, str] = {}
        for method in SPECS:
            for name, spec in getattr(self, method).items():
                where = f"{method}.{name}"
                if seen.setdefault(name, method) != method:
                    yield f"{where}: expected a name of its own, found that of {seen[name]}.{name}"
                try:
                    for size in spec.sizes:
                        producer = spec.producer(self._system(spec, size), self.lattice_of(size))
                        identifier = Series(name, size, producer, self.seed, spec.chains).id
                        twin = made.setdefault(identifier, name)
                        if twin != name:
                            yield f"{where}: expected a series that no other name has, found {size} as in {twin}"
                except InputError as error:
                    yield f"{where}: {error}"

    def _group_problems(self) -> Iterator[str]:
        for group, spec in self.ensembles_.items():
            where = f"ensembles.{group}"
            try:
                for lattice in map(self.lattice_of, spec.sizes):
                    spec.ladder.resolve(self.physics, lattice)
                    updates = [u.type for u in spec.updates]
                    check_round(System(self.physics, lattice), updates, spec.ladder.slots, self.copies(spec))
            except Unsupported as error:
                yield f"{where}: {error}"
            if spec.exchange and spec.ladder.slots < 2:
                wanted = "at least 2 temperatures to exchange between"
                yield expected(f"{where}.exchange", wanted, spec.ladder.slots)

    def _twins(self) -> Iterator[str]:
        # Equal physics means one id, one directory of states and the same numbers. A ladder to be tuned has no betas
        # yet; what it is tuned from stands for them.
        first: dict[object, Ensemble] = {}
        for e in self.ensembles():
            identity = replace(e, betas=e.betas or (1.0,)).id, self.ensembles_[e.group].ladder.tune
            other = first.setdefault(identity, e)
            if other is not e:
                yield (f"ensembles.{e.group}: expected an ensemble that no other group has, found {e.label} the same "
                       f"as {other.label}; use {other.group} for both")  # fmt: skip


def _one_of(names: Iterable[str]) -> str:
    """`one of a, b`, or that there is none."""
    return f"one of {', '.join(names)}" if names else "no name, since the campaign asks for no series"


def _tuned(label: str, where: str, spec: EnsembleSpec, betas: Sequence[float]) -> tuple[float, ...]:
    if spec.ladder.tune is None:
        raise InputError(f"{label}: expected no betas, since {where} is not to be tuned, found {len(betas)}")
    if len(betas) != spec.ladder.slots:
        wanted = f"{spec.ladder.slots} betas, as {where}.tune.slots says"
        raise InputError(expected(label, wanted, len(betas)))
    return tuple(betas)


def parse(text: str, where: str) -> Campaign:
    """A campaign from YAML text. Raises InputError with every mistake found, one a line."""
    raw = read_yaml(text, where)
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping of campaign keys, found {type(raw).__name__}")
    try:
        return Campaign.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(explain(where, error, Campaign))) from None


def load(path: Path) -> Campaign:
    """Read and check a campaign file. Raises InputError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path}: expected a campaign file of at most {MOST_BYTES} bytes, found a longer one")
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable campaign file, found {error}") from None
    return parse(text, str(path))
