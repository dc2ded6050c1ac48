"""Close-packed dimers on the square lattice with attraction of parallel neighbours (Alet et al., Phys. Rev. Lett. 94,
235702 (2005))."""

from hpcrg.dimers.run import Dimers

__all__ = ["Dimers"]
