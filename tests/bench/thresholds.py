"""What a decision at one and the same |m| per site costs: T_c and nu of decided |m| with a threshold that does not depend
on the size, and with one that falls as L^(-beta/nu), as |m| at the transition does. Two dimensions, Ising.

    python tests/bench/thresholds.py results/triangular-cnn/train/transferred/series.h5
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpcrg.analysis.output_curves import size_curves
from hpcrg.analysis.output_fits import extrapolated, from_slopes
from hpcrg.bank import read_series

BETA_OVER_NU = 0.125
WHERE = 48
"""The size at which both thresholds are that of the series file."""
BLOCKS = 4


def main(path: Path) -> None:
    for power in (0.0, BETA_OVER_NU):
        sizes = []
        for block in read_series(path):
            threshold = np.array(block.attrs["abs_m_threshold"])[:, None, None, None] * (WHERE / block.size) ** power
            decided = np.where(np.isnan(block.values["abs_m"]), np.nan, block.values["abs_m"] > threshold)
            sizes.append(size_curves(replace(block, values={**block.values, "m": decided}), BLOCKS, ("m",)))
        halves = [size.half("m") for size in sizes]
        (nu, _), of_nu = from_slopes(sizes, halves, 0.0)
        (t_c, _), _ = extrapolated(sizes, halves, 1.0 / nu)
        print(f"|m| ~ L^-{power}: T_c {t_c:.4f}, nu {nu:.3f}; parts of nu {of_nu}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
