"""How large the receptive fields of hidden units are, without asking where they lie.

A field is the vector of weights with which a unit sees the sites, f(x); in a stack it is the product of the weights of
all layers below. With p = f^2 / sum f^2,

    radius         R^2 = 1/2 sum over x, y of p(x) p(y) |x - y|^2,   distances on the torus
    participation  1 / sum p^2: over how many sites the field is spread

R is the second moment about the centre where the field is small beside the lattice, and L sqrt(d / 24) where it is
spread evenly over it. Both are invariant under translations and the sign of f.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def of_stack(weights: Sequence[NDArray[np.floating]]) -> list[Values]:
    """The fields of every layer, [site, unit], from weights [unit below, unit]."""
    found = [np.asarray(weights[0], np.float64)]
    for more in weights[1:]:
        found.append(found[-1] @ np.asarray(more, np.float64))
    return found


def radii(fields: Values, shape: Sequence[int]) -> Values:
    """R of every unit, in lattice spacings; NaN for a unit without weights. `fields` [site, unit]."""
    p = _shares(fields).T.reshape(-1, *shape)
    axes = tuple(range(1, p.ndim))
    power = np.abs(np.fft.fftn(p, axes=axes)) ** 2
    pairs = np.fft.ifftn(power, axes=axes).real
    steps = [np.minimum(np.arange(n), n - np.arange(n)) ** 2 for n in shape]
    distance = sum(np.ix_(*steps))
    found: Values = np.sqrt(np.maximum(0.5 * (pairs * distance).sum(axis=axes), 0.0))
    return found


def participation(fields: Values) -> Values:
    """The participation ratio of every unit, 1 to the number of sites; NaN for a unit without weights."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = 1.0 / (_shares(fields) ** 2).sum(axis=0)
    return found


def _shares(fields: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = fields**2 / (fields**2).sum(axis=0)
    return found
