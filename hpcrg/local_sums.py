"""What a two-valued spin feels of its neighbours, operator by operator: the statistics of pseudo-likelihood.

For p(s) ~ exp(sum over a of K_a S_a), with the operators S_a of operators.py, every spin given all the others has

    p(s_i | others) = 1 / (1 + exp(-2 sum over a of K_a z_a(i))),   z_a(i) = s_i dS_a / ds_i,

where z_a(i) adds up the images of operator a that hold site i. Of a configuration no more is needed than how often each
set of z is seen, which is what is counted here; counts of several draws add up. analysis/couplings.py finds the K.
Source: J. Besag, The Statistician 24, 179 (1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.operators import EVEN, ODD, Cluster, images

MOST_SETS = 2**24


@dataclass(frozen=True)
class LocalSums:
    """Operators by name on a hypercubic lattice of some dimension. Raises InputError for an unknown one, and for so
    many that their sets of values could not be counted."""

    names: tuple[str, ...]
    dimension: int

    def __post_init__(self) -> None:
        known = [*EVEN, *ODD]
        for name in self.names:
            if name not in known:
                raise InputError(expected("couplings: operators", f"one of {', '.join(known)}", name, known))
        if self.sets > MOST_SETS:
            raise InputError(expected("couplings: operators", f"at most {MOST_SETS} sets of their values", self.sets))

    @property
    def bounds(self) -> NDArray[np.int64]:
        """The largest z of each operator: how many images hold a site."""
        return np.array([sum(map(len, self._images(name))) for name in self.names])

    @property
    def sets(self) -> int:
        """How many different sets of z there may be."""
        return int(np.prod(2 * self.bounds + 1))

    @property
    def values(self) -> NDArray[np.int64]:
        """z of every set, [set, operator]."""
        numbers = np.unravel_index(np.arange(self.sets), tuple(2 * self.bounds + 1))
        return np.stack(numbers, axis=1) - self.bounds

    def count(self, spins: NDArray[np.int8], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """How often each set is seen, float64[set], at the sites of periodic configurations int8[draw, *lattice] of -1
        and +1; draws may have weights."""
        index = np.zeros(spins.shape, np.int64)
        for name, bound in zip(self.names, self.bounds, strict=True):
            index = index * (2 * bound + 1) + self._z(spins, name) + bound
        each = None if weights is None else np.repeat(weights, index[0].size)
        return np.bincount(index.ravel(), each, minlength=self.sets).astype(np.float64)

    def _images(self, name: str) -> list[Cluster]:
        return images({**EVEN, **ODD}[name], self.dimension)

    def _z(self, spins: NDArray[np.int8], name: str) -> NDArray[np.int8]:
        axes = tuple(range(1, 1 + self.dimension))
        total = np.zeros(spins.shape, np.int8)
        for sites in self._images(name):
            product = np.ones_like(spins)
            for site in sites:
                product *= np.roll(spins, [-x for x in site], axes)
            for site in sites:
                total += np.roll(product, site, axes)
        return total
