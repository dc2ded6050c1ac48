"""The file of a trained network: its weights by name and, as JSON, what it is and what it was trained on.

A checkpoint with the arrays `about` and `weight/NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from torch import nn

from hpcrg import checkpoint
from hpcrg.errors import CorruptFile, InputError, expected
from hpcrg.files import parse_json
from hpcrg.learn.nets import NETS, Inputs
from hpcrg.learn.nets.inputs import CONVOLUTIONS
from hpcrg.learn.precision import WEIGHTS
from hpcrg.learn.state import Arrays, below, set_weights
from hpcrg.learning_specs import Net
from hpcrg.specs import Natural, Positive
from hpcrg.validation import explain

WEIGHT = "weight/"
MOST_STATES = 256
"""A spin's state is a byte."""


@dataclass(frozen=True)
class About:
    """The ensemble that a network was trained on, by label and id; its architecture and seed; the threshold of |m| on
    the draws it was trained on; its chains; and what its shape and its output follow from."""

    label: str
    ensemble: str
    net: Net
    seed: Natural
    abs_m_threshold: Annotated[float, Field(allow_inf_nan=False)] | None
    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    objective: str
    channels: Positive
    states: Annotated[int, Field(ge=2, le=MOST_STATES)]
    dimension: Annotated[int, Field(ge=1, le=max(CONVOLUTIONS))]


@dataclass(frozen=True)
class Network:
    """What a file holds: `path` is where, for errors."""

    path: Path
    about: About
    weights: Arrays

    def module(self, shape: tuple[int, ...], precision: str) -> nn.Module:
        """The network for a lattice of this shape. Raises InputError for weights of other names, shapes or numbers than
        its architecture has in this precision, and for weights that are not finite."""
        with torch.device("meta"):  # shapes only: no random numbers, and no memory for what does not fit
            net = NETS[self.about.net](Inputs(self.about.states, shape), self.about.channels).to(WEIGHTS[precision])
        wanted = {n: f"{v.dtype}{list(v.shape)}".removeprefix("torch.") for n, v in net.state_dict().items()}
        found = {n: f"{v.dtype}{list(v.shape)}" for n, v in self.weights.items()}
        if found != wanted:
            what = f"weights of {self.about.net} with {self.about.channels} channels in {precision}, {wanted}"
            raise InputError(expected(str(self.path), what, found))
        if not all(bool(np.isfinite(value).all()) for value in self.weights.values()):
            raise InputError(expected(str(self.path), "finite weights", "others"))
        net = net.to_empty(device="cpu")
        set_weights(net, self.weights)
        return net


def save(path: Path, about: About, weights: Mapping[str, NDArray[Any]]) -> None:
    """Write a network, whole or not at all."""
    text = np.frombuffer(json.dumps(asdict(about)).encode(), dtype=np.uint8)
    checkpoint.save(path, {"about": text} | {WEIGHT + name: value for name, value in weights.items()})


def load(path: Path) -> Network:
    """Read a network. Raises CorruptFile for an altered or another file, and InputError for one of an earlier version,
    which does not say all that is needed."""
    arrays = checkpoint.load(path)
    if "about" not in arrays:
        raise CorruptFile(expected(str(path), "the file of a network", ", ".join(arrays)))
    try:
        raw = parse_json(arrays["about"].tobytes().decode())
    except ValueError as error:
        raise CorruptFile(expected(f"{path}: about", "JSON", str(error))) from None
    told = raw if isinstance(raw, dict) else {}
    missing = [f.name for f in fields(About) if f.name not in told]
    if missing:
        wanted = f"all of {', '.join(f.name for f in fields(About))} (`train` of this version writes them)"
        raise InputError(expected(f"{path}: about", wanted, f"no {', '.join(missing)}"))
    try:
        return Network(path, TypeAdapter(About).validate_python(raw), below(arrays, WEIGHT))
    except ValidationError as error:
        raise CorruptFile("\n".join(explain(str(path), error))) from None
