"""Networks by name. A network maps codes [example, *lattice] to outputs [example] and knows nothing of
processes."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from hpcrg.learn.nets.cnn import CNN, CNNConfig


def cnn(states: int, dimension: int, channels: int) -> nn.Module:
    """The symmetric convolutional network."""
    return CNN(CNNConfig(states, dimension, channels))


NETS: dict[str, Callable[[int, int, int], nn.Module]] = {"cnn": cnn}
"""Each makes a network from (states, lattice dimension, channels)."""
