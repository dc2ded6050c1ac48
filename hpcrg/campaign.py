"""A campaign: one YAML file that says everything, checked in full before any work starts.

`load(path)` gives a Campaign or raises InputError with every mistake, each as
`place: expected X, found Y; did you mean Z?`. `Campaign.ensembles()` gives the Ensembles it asks for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.lattice import LATTICES, Lattice
from hpcrg.models import MODELS, Model, make_model
from hpcrg.operators import EVEN, ODD
from hpcrg.schemes import SCHEMES
from hpcrg.updates import UPDATES
from hpcrg.validation import StrictLoader, explain

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Positive = Annotated[int, Field(ge=1)]
FewChains = 8
"""Below this many chains an error bar over chains is itself known to 25 % only; a warning says so."""


def _distinct(values: Sequence[float], what: str) -> None:
    twice = [v for v, n in Counter(values).items() if n > 1]
    if twice:
        raise ValueError(f"expected distinct {what}, found {twice[0]} {Counter(values)[twice[0]]} times")


def _known(name: str, registry: Mapping[str, Any]) -> str:
    if name not in registry:
        raise ValueError(expected("", f"one of {', '.join(registry)}", name, registry).removeprefix(": "))
    return name


class Spec(BaseModel):
    """A part of a campaign: no unknown keys, no silent conversions, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelSpec(BaseModel):
    """A model by its registered name, with that model's parameters beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str = Field(json_schema_extra={"enum": list(MODELS)})

    @model_validator(mode="after")
    def _make(self) -> ModelSpec:
        make_model(self.model_dump())
        return self


class LatticeSpec(Spec):
    """A lattice family; the sizes stand with the ensembles. Boundaries are periodic."""

    type: str = Field("hypercubic", json_schema_extra={"enum": list(LATTICES)})
    dimension: Literal[1, 2, 3] = 2

    @field_validator("type")
    @classmethod
    def _type(cls, name: str) -> str:
        return _known(name, LATTICES)


class UpdateSpec(Spec):
    """An update and how many times it runs in a sweep (for Wolff: the fixed number of clusters)."""

    type: str = Field(json_schema_extra={"enum": list(UPDATES)})
    repeat: Positive = 1

    @field_validator("type")
    @classmethod
    def _type(cls, name: str) -> str:
        return _known(name, UPDATES)


class TuneSpec(Spec):
    """A ladder found from fixed pilot chains: spacing at equal communication barrier between two temperatures."""

    coldest: float = Field(gt=0, allow_inf_nan=False)
    hottest: float = Field(gt=0, allow_inf_nan=False)
    slots: int = Field(ge=2)
    pilot_chains: Positive = 2
    pilot_rounds: int = Field(2000, ge=200)
    iterations: Positive = 4

    @model_validator(mode="after")
    def _order(self) -> TuneSpec:
        if self.coldest >= self.hottest:
            raise ValueError(f"expected coldest < hottest, found {self.coldest} and {self.hottest}")
        return self


class LadderSpec(Spec):
    """The temperatures of an ensemble, in any order: given as temperatures, as betas, as the exact critical point of
    the model (`critical: true`), or to be tuned."""

    temperatures: tuple[float, ...] | None = Field(None, strict=False)
    betas: tuple[float, ...] | None = Field(None, strict=False)
    critical: bool = False
    tune: TuneSpec | None = None

    @field_validator("temperatures", "betas")
    @classmethod
    def _values(cls, values: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        what = str(info.field_name)
        if values is None:
            return values
        if not values:
            raise ValueError(f"expected at least one of {what}, found an empty list")
        for v in values:
            if not (math.isfinite(v) and v > 0):
                raise ValueError(f"expected positive finite {what}, found {v}")
        _distinct(values, what)
        return values

    @model_validator(mode="after")
    def _one(self) -> LadderSpec:
        given = [k for k in ("temperatures", "betas", "tune") if getattr(self, k) is not None]
        given += ["critical"] if self.critical else []
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of temperatures, betas, critical, tune; found {', '.join(given) or 'none'}"
            )
        return self

    def resolve(self, model: Model, lattice: Lattice) -> tuple[float, ...]:
        """The betas, coldest first; empty for a ladder still to be tuned."""
        if self.tune is not None:
            return ()
        if self.critical:
            beta_c = model.exact(lattice).beta_c
            if beta_c is None:
                raise Unsupported(f"ladder.critical: no exact or published critical point is known for {model.name} "
                                  f"in d = {lattice.dimension}; give temperatures")  # fmt: skip
            return (beta_c.value,)
        betas = self.betas if self.betas is not None else [1.0 / t for t in self.temperatures or ()]
        return tuple(sorted(betas, reverse=True))


class EnsembleSpec(Spec):
    """A group of ensembles that differ in lattice size only. A round is one pass over `updates` followed by one
    exchange; `thermalise`, `measure` and `keep` count rounds; `draws` configurations are kept per chain and slot."""

    sizes: tuple[Annotated[int, Field(ge=2)], ...] = Field(strict=False, min_length=1)
    ladder: LadderSpec
    updates: tuple[UpdateSpec, ...] = Field(strict=False, min_length=1)
    exchange: bool | None = None
    chains: Positive = 8
    thermalise: int = Field(500, ge=0)
    measure: Positive = 1
    keep: Positive = 10
    draws: Positive

    @model_validator(mode="after")
    def _check(self) -> EnsembleSpec:
        _distinct(self.sizes, "sizes")
        if self.keep % self.measure:
            raise ValueError(f"expected keep a multiple of measure, found keep {self.keep}, measure {self.measure}")
        return self


class ScaleSpec(Spec):
    """Finite-size scaling of one group of ensembles; `blocks` jackknife blocks per chain."""

    ensemble: str
    blocks: Positive = 4
    check_equilibration: bool = True


class FlowSpec(Spec):
    """Monte Carlo renormalisation of one group of ensembles at a single temperature: `levels` applications of a
    block-spin scheme with block length `factor`, and the operators kept. The last level is the one quoted."""

    ensemble: str
    scheme: str = Field(json_schema_extra={"enum": list(SCHEMES)})
    factor: int = Field(2, ge=2)
    levels: Positive = 3
    even: tuple[str, ...] = Field(("nn", "nnn", "plaquette", "third"), strict=False, min_length=1)
    odd: tuple[str, ...] = Field(("magnetisation", "corner"), strict=False, min_length=1)
    blocks: Positive = 4
    check_equilibration: bool = True

    @field_validator("scheme")
    @classmethod
    def _scheme(cls, name: str) -> str:
        return _known(name, SCHEMES)

    @field_validator("even", "odd")
    @classmethod
    def _operators(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            _known(name, EVEN if info.field_name == "even" else ODD)
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise ValueError(f"expected distinct operators, found {twice[0]} twice")
        return names


class TrainSpec(Spec):
    """A network trained on one group of ensembles. Labels come from the `cold` coldest and the `hot` hottest slots
    of the ladder and never from a critical point; every seed holds out a different fold of chains."""

    ensemble: str
    net: Literal["cnn"] = "cnn"
    objective: Literal["classifier"] = "classifier"
    cold: Positive
    hot: Positive
    seeds: Positive = 4
    epochs: Positive = 3
    batch: Positive = 64
    channels: Positive = 8
    learning_rate: float = Field(0.02, gt=0, allow_inf_nan=False)
    blocks: Positive = 4


class ReportSpec(Spec):
    """What stands on top of the report."""

    title: str = ""


class Resources(Spec):
    """How many processes each step may use; never part of any result."""

    ranks: Positive = 2
    workers: Positive = 2
    processes: Positive = 2


class Campaign(Spec):
    """Everything that one study asks for."""

    name: Name
    seed: int = Field(ge=0, lt=2**63)
    model: ModelSpec
    lattice: LatticeSpec = LatticeSpec()
    resources: Resources = Resources()
    ensembles_: dict[Name, EnsembleSpec] = Field(alias="ensembles", min_length=1)
    scale: dict[Name, ScaleSpec] = {}
    flow: dict[Name, FlowSpec] = {}
    train: dict[Name, TrainSpec] = {}
    report: ReportSpec = ReportSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Campaign:
        problems = list(self._problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @cached_property
    def physics(self) -> Model:
        """The model itself."""
        return make_model(self.model.model_dump())

    def lattice_of(self, size: int) -> Lattice:
        """The lattice of one linear size."""
        return LATTICES[self.lattice.type]((size,) * self.lattice.dimension)

    def ensembles(self, ladders: Mapping[str, Sequence[float]] | None = None) -> list[Ensemble]:
        """Every ensemble asked for, group by group and size by size. `ladders` gives the betas of tuned ladders by
        ensemble label; a tuned ladder without them has no betas and no id yet."""
        return [
            self._ensemble(group, spec, size, ladders or {})
            for group, spec in self.ensembles_.items()
            for size in spec.sizes
        ]

    def ensemble(self, label: str, betas: Sequence[float] | None = None) -> Ensemble:
        """One ensemble by its label, such as scan-L16. Raises InputError for an unknown label."""
        found = {e.label: e for e in self.ensembles({label: betas} if betas else None)}
        if label not in found:
            raise InputError(expected("ensemble", f"one of {', '.join(found)}", label, found))
        return found[label]

    def of_group(self, group: str) -> list[Ensemble]:
        """The ensembles of one group."""
        return [e for e in self.ensembles() if e.group == group]

    def warnings(self) -> Iterator[str]:
        """What is allowed but weakens the result."""
        for group, spec in self.ensembles_.items():
            if spec.chains < FewChains:
                yield (f"ensembles.{group}.chains: {spec.chains} chains; errors over fewer than {FewChains} chains "
                       "are themselves uncertain by more than 25 %")  # fmt: skip

    def _ensemble(self, group: str, spec: EnsembleSpec, size: int, ladders: Mapping[str, Sequence[float]]) -> Ensemble:
        lattice = self.lattice_of(size)
        betas = tuple(ladders.get(f"{group}-L{size}", ())) or spec.ladder.resolve(self.physics, lattice)
        slots = spec.ladder.tune.slots if spec.ladder.tune else len(betas)
        return Ensemble(
            group=group, size=size, model=self.model.model_dump(),
            lattice=self.lattice.model_dump(), betas=betas,
            updates=tuple(UpdateCall(u.type, u.repeat) for u in spec.updates),
            exchange=slots > 1 if spec.exchange is None else spec.exchange, seed=self.seed,
            thermalise=spec.thermalise, measure=spec.measure, keep=spec.keep, chains=spec.chains, draws=spec.draws,
        )  # fmt: skip

    def _problems(self) -> Iterator[str]:
        for group, spec in self.ensembles_.items():
            yield from self._ensemble_problems(group, spec)
        for verb, specs in (("scale", self.scale), ("flow", self.flow), ("train", self.train)):
            for name, part in specs.items():
                if part.ensemble not in self.ensembles_:
                    wanted = f"one of {', '.join(self.ensembles_)}"
                    yield expected(f"{verb}.{name}.ensemble", wanted, part.ensemble, self.ensembles_)
        for name, flow in self.flow.items():
            if flow.ensemble in self.ensembles_:
                yield from self._flow_problems(f"flow.{name}", flow, self.ensembles_[flow.ensemble])
        for name, train in self.train.items():
            if train.ensemble in self.ensembles_:
                yield from _train_problems(f"train.{name}", train, self.ensembles_[train.ensemble])

    def _ensemble_problems(self, group: str, spec: EnsembleSpec) -> Iterator[str]:
        where = f"ensembles.{group}"
        try:
            lattice = self.lattice_of(spec.sizes[0])
            betas = spec.ladder.resolve(self.physics, lattice)
            for update in spec.updates:
                UPDATES[update.type].check(self.physics, lattice)
        except Unsupported as error:
            yield f"{where}: {error}"
            return
        slots = spec.ladder.tune.slots if spec.ladder.tune else len(betas)
        if spec.exchange and slots < 2:
            yield f"{where}.exchange: expected at least 2 temperatures to exchange between, found {slots}"

    def _flow_problems(self, where: str, flow: FlowSpec, spec: EnsembleSpec) -> Iterator[str]:
        slots = (
            spec.ladder.tune.slots if spec.ladder.tune else len(spec.ladder.temperatures or spec.ladder.betas or [0])
        )
        if slots != 1:
            yield f"{where}.ensemble: expected an ensemble at one temperature, found {slots}"
        for size in spec.sizes:
            if size % flow.factor**flow.levels:
                yield (f"{where}.levels: expected sizes that {flow.factor}^{flow.levels} = {flow.factor**flow.levels} "
                       f"divides, found ensembles.{flow.ensemble}.sizes {size}")  # fmt: skip


def _train_problems(where: str, train: TrainSpec, spec: EnsembleSpec) -> Iterator[str]:
    if spec.chains < 3:
        yield (f"{where}: expected at least 3 chains to split into training, validation and test, "
               f"found ensembles.{train.ensemble}.chains {spec.chains}")  # fmt: skip
    slots = spec.ladder.tune.slots if spec.ladder.tune else len(spec.ladder.temperatures or spec.ladder.betas or [0])
    if train.cold + train.hot >= slots:
        yield (f"{where}: expected cold + hot below the {slots} temperatures of {train.ensemble}, "
               f"found {train.cold} + {train.hot}")  # fmt: skip


def parse(text: str, where: str) -> Campaign:
    """A campaign from YAML text. Raises InputError with every mistake found, one a line."""
    try:
        raw = yaml.load(text, Loader=StrictLoader)  # noqa: S506  (a SafeLoader that also refuses a key given twice)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: expected YAML, found {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping of campaign keys, found {type(raw).__name__}")
    try:
        return Campaign.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(explain(where, error, Campaign))) from None


def load(path: Path) -> Campaign:
    """Read and check a campaign file. Raises InputError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable campaign file, found {error}") from None
    return parse(text, str(path))
