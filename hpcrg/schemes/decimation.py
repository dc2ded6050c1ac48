"""Decimation: the block spin is the block's first spin, s'(x) = s(b x).

Exact in one dimension. In two and more it keeps the size of the spin fixed, so it has no non-trivial fixed
point and its Swendsen exponents are wrong (y_h flows to d); it is here because a method must be seen to fail
where it does. Source: L. P. Kadanoff and A. Houghton, Phys. Rev. B 11, 377 (1975); R. H. Swendsen, Phys. Rev.
Lett. 42, 859 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.models import Model
from hpcrg.schemes.base import blocked_shape


@dataclass(frozen=True)
class Decimation:
    """Keeps one spin in factor^d; nothing is random."""

    factor: int = 2

    def coarsen(self, model: Model, spins: NDArray[np.int8], keys: NDArray[np.uint64]) -> NDArray[np.int8]:
        """See Scheme."""
        shape = blocked_shape(spins.shape[1:], self.factor)
        step = slice(None, None, self.factor)
        return np.ascontiguousarray(spins[(slice(None), *(step for _ in shape))])
