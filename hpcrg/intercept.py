"""Infinite size from several sizes: the intercept of a straight line value = a + b x by weighted least squares, where x
vanishes with the size in the way that theory says, and the weighted mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Replicas, combined_error, derive

Value = tuple[float, Replicas]


def intercept(x: Sequence[float], values: Sequence[Value]) -> Value:
    """a with its replicas. Raises InputError for fewer than two different x."""
    if len(set(x)) < 2:
        raise InputError(expected("intercept", "at least two sizes", len(set(x))))
    weights = 1 / np.array([combined_error(replicas) for _, replicas in values])
    design = np.stack([np.ones(len(x)), np.asarray(x, np.float64)], axis=1) * weights[:, None]
    row = np.linalg.pinv(design)[0] * weights
    return derive(lambda *found: float(row @ np.array(found)), *values)


def weighted_mean(values: Sequence[Value]) -> Value:
    """The mean with weights 1 / error^2, with its replicas."""
    weights = np.array([combined_error(replicas) for _, replicas in values]) ** -2
    return derive(lambda *found: float(weights @ np.array(found) / weights.sum()), *values)
