"""The parts of a campaign file that ask for networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from hpcrg.specs import Name, Positive, Size, Spec

Rate = Annotated[float, Field(gt=0, le=1e6)]
LANES = 16
"""Of an epoch of training data (learn/data.py): every batch has examples of most of them, so it is no smaller."""
BatchSize = Annotated[int, Field(ge=LANES)]
Net = Literal["cnn", "resnet", "dense"]
ANY_SIZE: Mapping[Net, bool] = {"cnn": True, "resnet": True, "dense": False}
"""Whether an architecture takes lattices of other sizes than the one that it was trained on."""
RATES: Mapping[Net, float] = {"cnn": 0.02, "resnet": 0.005, "dense": 0.02}
"""Of Adam, by architecture. At 0.02 the residual network learns chaotically, and one in four does not learn at all."""
Control = Literal["shuffled", "random", "unregularised", "permuted"]
PLAIN = "plain"
"""The stack itself among its controls."""
MOST_SITES = 20
"""Of a lattice whose configurations have a probability each."""
WIDEST = {1: 8, 2: 3}
"""Windows of hierarchical networks, by the dimension of the lattice."""
STACK_SCHEMA = "hpcrg.stack/1"
"""Of the file of one seed of a stack."""
FOLDS = 10
"""Of the chains that a stack is trained on, as many as there are chains where they are fewer."""
ANNEALED = 100
"""Chains of ln Z of a machine."""
MOST_UNITS = 2**20
MOST_LAYERS = 16
OF_TRAINING = ("size", "epochs", "patience", "batch", "channels", "learning_rate")
"""Keys that say how networks are trained, and nothing where they are not."""


def network_file(train: str, label: str, net: str, seed: int) -> str:
    """The name of the file of a network that was trained under `train` on the ensemble `label`."""
    return f"{train}-{label}-{net}-seed{seed}.network"


class TeacherSpec(Spec):
    """Where networks were trained: under `train` of another campaign, on the size `size` of its group `ensemble`."""

    campaign: Name
    train: Name
    ensemble: Name
    size: Size

    @property
    def directory(self) -> str:
        """Where its networks stand below the results of all campaigns."""
        return f"{self.campaign}/train/{self.train}/networks"

    @property
    def first(self) -> str:
        """What is expected where a network stands."""
        return f"a network of train.{self.train} of the campaign {self.campaign}, which has to be run first"

    def file(self, net: Net, seed: int) -> str:
        """The file of one network in that directory."""
        return network_file(self.train, f"{self.ensemble}-L{self.size}", net, seed)


class TrainSpec(Spec):
    """Networks trained on one group of ensembles. Labels come from the `cold` coldest and the `hot` hottest slots
    of the ladder and never from a critical point: which of both for a `classifier`, the inverse temperature for a
    `regressor`, which may be given those of all slots. Every architecture in `net` (one, or a list) is trained with
    every seed, and every seed holds out a different fold of chains. After `epochs`, or after `patience` of them without
    a lower loss on the validation chains, a network has the weights of the epoch with the lowest. Without a
    `learning_rate` those of RATES are used. With `precision: bfloat16` products are taken in 8 significant bits, sums
    and weights stay in float32. Every lattice size has networks of its own, or, with `size`, those that were trained on
    this one serve all. With `taught_by` nothing is trained: classifiers of the first `seeds` seeds of another campaign
    are tested on all chains of all sizes."""

    ensemble: str
    size: Positive | None = None
    taught_by: TeacherSpec | None = None
    net: Annotated[tuple[Net, ...], Field(min_length=1)] = Field(("cnn",), strict=False)
    objective: Literal["classifier", "regressor"] = "classifier"
    cold: Positive
    hot: Positive
    seeds: Positive = 4
    epochs: Positive = 3
    patience: Positive | None = None
    batch: BatchSize = 64
    channels: Positive = 8
    learning_rate: Rate | None = None
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    blocks: Positive = 4

    @field_validator("net", mode="before")
    @classmethod
    def _listed(cls, net: object) -> object:
        return [net] if isinstance(net, str) else net

    @field_validator("net")
    @classmethod
    def _once(cls, net: tuple[Net, ...]) -> tuple[Net, ...]:
        if len(set(net)) < len(net):
            raise ValueError(f"expected each architecture once, found {', '.join(net)}")
        return net

    @model_validator(mode="after")
    def _only_tested(self) -> TrainSpec:
        given = [key for key in OF_TRAINING if key in self.model_fields_set]
        if self.taught_by is not None and given:
            none = f"none of {', '.join(OF_TRAINING)} beside taught_by, with which nothing is trained"
            raise ValueError(f"expected {none}, found {', '.join(given)}")
        if self.taught_by is not None and self.objective != "classifier":
            raise ValueError(f"expected the objective classifier beside taught_by, found {self.objective}")
        return self

    def rate(self, net: Net) -> float:
        """The largest rate of an architecture's training."""
        return RATES[net] if self.learning_rate is None else self.learning_rate

    @property
    def networks(self) -> list[tuple[Net, int]]:
        """Architecture and seed of every network that is trained on a bank, or was on that of the teacher."""
        return [(net, seed) for net in self.net for seed in range(self.seeds)]

    @property
    def taught_files(self) -> list[str]:
        """Where the networks of another campaign stand below the results of all; none where networks are trained."""
        of = self.taught_by
        return [f"{of.directory}/{of.file(net, seed)}" for net, seed in self.networks] if of else []


class HierarchySpec(Spec):
    """Hierarchical Bayesian networks, and trees, on one group of rings or square tori of two-valued spins at a single
    temperature: `levels` times doubled from size / 2^levels. They are learned from the marginals of all windows of
    `window` neighbours (on a torus as many rows and columns, at most 3) in the training chains, or, with
    `window: whole`, from whole configurations; of `starts` random starts the one with the least loss is kept. Each of
    `folds` folds of chains is tested on by a network that was not shown it."""

    ensemble: str
    levels: Annotated[int, Field(ge=1, le=4)]
    window: Annotated[int, Field(ge=2, le=8)] | Literal["whole"] = "whole"
    starts: Positive = 3
    folds: Annotated[int, Field(ge=2)] = 4
    iterations: Positive = 400


class StackSpec(Spec):
    """Stacks of restricted Boltzmann machines on one group of ensembles at a single temperature: `layers` hidden units
    from the lattice upwards, each machine trained on what the one below it makes of the configurations. Every seed is
    trained on its own fold of chains, and once more for each of the `controls`:

        shuffled        the sites of every configuration permuted afresh
        random          spins of infinite temperature in place of the configurations
        unregularised   without `l1`
        permuted        the sites of all configurations permuted alike, and fields mapped back afterwards

    `steps` sweeps of the chains that the gradient comes from (`cd` starts them at the data, `pcd` keeps `batch` of
    them, `tempered` keeps as many on a ladder of temperatures); `rate` falls to zero over the `epochs`; `l1` shrinks
    weights by so much of the rate; `annealing` temperatures for ln Z of the first machine, none without; `operators`
    whose couplings are measured in what the stack reconstructs.
    """

    ensemble: str
    layers: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_UNITS)], ...], Field(min_length=1, max_length=MOST_LAYERS)
    ] = Field(strict=False)
    units: Literal["spin", "bernoulli"] = "bernoulli"
    negative: Literal["cd", "pcd", "tempered"] = "cd"
    steps: Positive = 1
    batch: BatchSize = 100
    epochs: Positive = 20
    rate: Rate = 0.1
    l1: float = Field(0.0, ge=0, le=1e6)
    seeds: Positive = 10
    controls: tuple[Control, ...] = Field(("shuffled", "random", "unregularised", "permuted"), strict=False)
    operators: tuple[str, ...] = Field(("nn", "nnn"), strict=False, min_length=1)
    annealing: int = Field(1000, ge=0, le=10**6)

    @field_validator("controls")
    @classmethod
    def _controls(cls, names: tuple[Control, ...]) -> tuple[Control, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"expected each control once, found {', '.join(names)}")
        return names
