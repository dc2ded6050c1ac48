"""Samples one small ensemble, or more, for every update of the registry, on the ranks of this world.

mpiexec -n RANKS python -m mpi4py every_update.py DIRECTORY RANKS
"""

import sys
from pathlib import Path

from hpcrg.edges.sampling import run_sampling
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.updates import UPDATES

ISING, XY = {"type": "ising"}, {"type": "xy"}
GLASS = {"type": "edwards_anderson", "couplings": "pm1"}
FIVE = (0.50, 0.46, 0.44, 0.42, 0.38)
MANY = tuple(0.6 - 0.01 * k for k in range(40))
PARTNERS = {"overrelaxation": ("heat_bath",), "houdayer": ("metropolis",)}
CASES = (
    # group, update, model, dimension, size, betas, copies
    ("metropolis", "metropolis", ISING, 2, 8, FIVE, 1),
    ("metropolis-gaussian", "metropolis", {"type": "edwards_anderson", "couplings": "gaussian"}, 3, 4, FIVE, 2),
    ("metropolis-phi4", "metropolis", {"type": "phi4", "lam": 1.1}, 2, 6, FIVE, 1),
    ("heat_bath", "heat_bath", {"type": "potts", "q": 3}, 2, 8, FIVE, 1),
    ("heat_bath-heisenberg", "heat_bath", {"type": "heisenberg"}, 3, 4, FIVE, 1),
    ("overrelaxation", "overrelaxation", XY, 2, 8, FIVE, 1),
    ("wolff", "wolff", ISING, 2, 8, FIVE, 1),
    ("wolff-clock", "wolff", {"type": "clock", "q": 6}, 2, 8, FIVE, 1),
    ("wolff-xy", "wolff", XY, 2, 8, FIVE, 1),
    ("swendsen_wang", "swendsen_wang", {"type": "diluted_ising", "site": 0.2}, 2, 8, FIVE, 1),
    ("swendsen_wang-xy", "swendsen_wang", XY, 2, 8, FIVE, 1),
    ("packed_swendsen_wang", "packed_swendsen_wang", ISING, 2, 12, FIVE, 1),
    ("multispin-lanes", "multispin", ISING, 2, 8, MANY, 1),
    ("multispin-glass", "multispin", GLASS, 3, 4, MANY[:32], 2),
    ("multispin-strips", "multispin", ISING, 2, 128, FIVE, 1),
    ("houdayer", "houdayer", GLASS, 2, 6, FIVE, 2),
)


def ensembles():
    """Every case, as a campaign would ask for it."""
    for group, update, model, dimension, size, betas, copies in CASES:
        if update in UPDATES:
            calls = tuple(UpdateCall(name) for name in (update, *PARTNERS.get(update, ())))
            yield Ensemble(
                group, size, model, {"type": "hypercubic", "dimension": dimension}, betas, calls, True, 11, 12, 2, 4, 2, 9,
                copies,
            )  # fmt: skip


def main(directory: Path, ranks: int) -> None:
    """Sample all of them."""
    assert {case[1] for case in CASES} >= set(UPDATES)
    for ensemble in ensembles():
        run_sampling(ensemble, directory / f"{ensemble.group}.h5", directory / "state", ranks, None, 0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
