"""Site and bond percolation by the method of Newman and Ziff (Phys. Rev. E 64, 016706 (2001))."""

from hpcrg.percolation.run import Percolation, Result, load, merge, produce, run, save

__all__ = ["Percolation", "Result", "load", "merge", "produce", "run", "save"]
