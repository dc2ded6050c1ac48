"""Site and bond percolation by the method of Newman and Ziff (Phys. Rev. E 64, 016706 (2001))."""

from hpcrg.percolation.run import Percolation

__all__ = ["Percolation"]
