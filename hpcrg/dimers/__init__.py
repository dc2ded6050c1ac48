"""Close-packed dimers on the square lattice with attraction of parallel neighbours (Alet et al., Phys. Rev. Lett. 94,
235702 (2005))."""

from hpcrg.dimers.run import Dimers, Result, load, merge, produce, run, save

__all__ = ["Dimers", "Result", "load", "merge", "produce", "run", "save"]
