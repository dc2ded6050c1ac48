"""The stack itself and its null controls: what each of them sees of a bank.

Fields of a network that are local, or grow with depth, say nothing about RG as long as they do so for data that have no
scale, or because weights were made sparse. Every control leaves out one thing that a claim could rest on.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hpcrg.learning_specs import PLAIN, Control

NAMES = (PLAIN, *get_args(Control))
"""Their order is part of what determines the numbers."""
Codes = NDArray[np.uint8]


def seen(control: str, codes: Codes, order: NDArray[np.int64], rng: np.random.Generator) -> Codes:
    """What a stack sees of configurations [example, site] of zeros and ones; `order` is the fixed permutation."""
    if control == "shuffled":
        return rng.permuted(codes, axis=1)
    if control == "random":
        return rng.integers(0, 2, codes.shape, np.uint8)
    return codes[:, order] if control == "permuted" else codes


def l1(control: str, wanted: float) -> float:
    """The regularisation of a stack."""
    return 0.0 if control == "unregularised" else wanted
