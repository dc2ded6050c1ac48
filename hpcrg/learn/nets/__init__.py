"""Networks by name. A network maps codes [example, *lattice] to outputs [example] and knows nothing of
processes."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from hpcrg.learn.nets.cnn import CNN
from hpcrg.learn.nets.dense import Dense
from hpcrg.learn.nets.inputs import Inputs
from hpcrg.learn.nets.resnet import ResNet

NETS: dict[str, Callable[[Inputs, int], nn.Module]] = {"cnn": CNN, "resnet": ResNet, "dense": Dense}
"""Each makes a network from its inputs and its channels."""

__all__ = ["NETS", "Inputs"]
