"""Energy per site at T_c against Kaufman's exact values: L = 8, 16, 32, every update alone, with and without tempering.

    python tests/bench/energies.py [SEED]

Prints one line a case and the largest pull. Errors are the blocked jackknife over chains.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from hpcrg.bank import open_bank
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.models import kaufman
from hpcrg.sampler import Limits, sample
from hpcrg.updates import UPDATES

BETA_C = np.log(1.0 + np.sqrt(2.0)) / 2.0
REPEAT = {"wolff": 3}
CHAINS = 16


def energy(update, size, tempering, seed, directory):
    """Mean energy per site at T_c and its standard error over independent chains."""
    betas = (BETA_C * 1.02, BETA_C, BETA_C * 0.98) if tempering else (BETA_C,)
    draws = {8: 4000, 16: 4000, 32: 6000}[size] * (4 if update in ("metropolis", "heat_bath") else 1)
    e = Ensemble(
        group="energy", size=size, model={"type": "ising"}, lattice={"type": "hypercubic", "dimension": 2},
        betas=betas, updates=(UpdateCall(update, REPEAT.get(update, 1)),), exchange=tempering, seed=seed,
        thermalise=4000, measure=1, keep=50, chains=CHAINS, draws=draws // 50,
    )  # fmt: skip
    path = directory / f"{update}-{size}-{tempering}.h5"
    sample(e, path, directory / "state", Alone(), Limits(), lambda *_: None)
    with open_bank(path) as bank:
        slot = len(betas) // 2
        means = np.array([bank.series("energy", c, slot).mean() / size**2 for c in range(CHAINS)])
    return means.mean(), means.std(ddof=1) / np.sqrt(CHAINS)


def main(seed=1):
    largest = 0.0
    with tempfile.TemporaryDirectory() as directory:
        for size in (8, 16, 32):
            exact = kaufman.energy(size, size, BETA_C)
            for update in UPDATES:
                for tempering in (False, True):
                    value, error = energy(update, size, tempering, seed, Path(directory))
                    pull = (value - exact) / error
                    largest = max(largest, abs(pull))
                    how = "tempering" if tempering else "alone"
                    print(
                        f"L = {size:2} {update:14} {how:10} {value:.6f} +- {error:.6f} exact {exact:.6f} pull {pull:+.2f}",
                        flush=True,
                    )
    print(f"largest pull {largest:.2f}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
