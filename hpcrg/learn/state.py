"""The state of one training: weights, optimiser, place in the epoch, curves. Plain arrays in a checkpoint
file with a sha256; no pickle is ever read, so a file can do nothing but be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hpcrg import checkpoint

Arrays = dict[str, NDArray[Any]]


@dataclass
class State:
    """`step` batches of epoch `epoch` are done; `loss` has one entry a step, `validation` one an epoch;
    `best` are the weights after the epoch with the least validation loss."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: Arrays = field(default_factory=dict)

    def stale(self, patience: int | None) -> bool:
        """Whether the last `patience` epochs all had a validation loss no lower than one before them."""
        if patience is None or len(self.validation) <= patience:
            return False
        return min(self.validation[-patience:]) >= min(self.validation[:-patience])


def weights(net: nn.Module) -> Arrays:
    """The weights as arrays, by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in net.state_dict().items()}


def set_weights(net: nn.Module, values: Mapping[str, NDArray[Any]]) -> None:
    """Put weights into a network of the same shape."""
    net.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in values.items()})


def save(path: Path, state: State) -> None:
    """Write the state, durable when this returns; a crash leaves the file before or this one."""
    moments = {
        f"moment/{i}/{name}": value.detach().cpu().numpy()
        for i, entries in state.optimiser.state_dict()["state"].items()
        for name, value in entries.items()
    }
    checkpoint.save(path, {
        "place": np.array([state.epoch, state.step]),
        "loss": np.array(state.loss), "validation": np.array(state.validation),
        **{f"weight/{k}": v for k, v in weights(state.net).items()},
        **{f"best/{k}": v for k, v in state.best.items()}, **moments,
    })  # fmt: skip


def load(path: Path) -> Arrays | None:
    """The arrays of a state, or None where there is none. Raises CorruptFile for an altered file."""
    return checkpoint.load(path) if path.exists() else None


def restore(state: State, arrays: Arrays) -> None:
    """Put loaded arrays into a fresh state."""
    set_weights(state.net, below(arrays, "weight/"))
    state.best = below(arrays, "best/")
    state.epoch, state.step = (int(v) for v in arrays["place"])
    state.loss, state.validation = arrays["loss"].tolist(), arrays["validation"].tolist()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in below(arrays, "moment/").items():
        index, name = key.split("/")
        moments.setdefault(int(index), {})[name] = torch.from_numpy(value)
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    """The entries under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
