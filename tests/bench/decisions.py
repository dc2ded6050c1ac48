"""Whether nu from networks depends on where their decision falls: `python tests/bench/decisions.py SERIES TEMPERATURE`.

SERIES is what `train` wrote. Every output is scaled as it is, and with its log-odds moved, size by size, until the mean
output is 1/2 at the same TEMPERATURE for all sizes; prints nu and the slopes there (docs/networks.md).
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpcrg.analysis.binder import references
from hpcrg.analysis.output_blocks import P_ABS_M, P, by_architecture
from hpcrg.analysis.output_curves import size_curves
from hpcrg.analysis.output_fits import from_slopes
from hpcrg.bank import SeriesBlock, read_series
from hpcrg.errors import InputError

BLOCKS, HALVINGS = 4, 14


def moved(block: SeriesBlock, key: str, temperature: float) -> SeriesBlock:
    """The block with an output whose mean is 1/2 at a temperature, by halving intervals of its log-odds."""
    p = np.clip(block.values[key], 1e-9, 1 - 1e-9)
    odds = np.log(p / (1 - p))
    low, high = np.nanpercentile(odds, [0.5, 99.5])
    for _ in range(HALVINGS):
        centre = 0.5 * (low + high)
        found = replace(block, values={**block.values, key: 1 / (1 + np.exp(centre - odds))})
        try:
            t = size_curves(found, BLOCKS, (key,)).half(key).t[0]
        except InputError:  # it passes 1/2 nowhere: the decision is far out
            t = np.inf if centre < 0 else 0.0
        low, high = (centre, high) if t > temperature else (low, centre)
    return found


def main(path: str, temperature: float) -> None:
    """Every architecture and the |m| classifier."""
    raw = read_series(Path(path))
    log = references(raw[0]).logs.thermal
    nets = list(dict.fromkeys(raw[0].attrs["nets"]))
    blocks = [by_architecture(Path(path), b, nets, P) for b in raw]
    for key in (*nets, P_ABS_M):
        for name, some in (("as it is", blocks), ("moved", [moved(b, key, temperature) for b in blocks])):
            sizes = [size_curves(b, BLOCKS, (key,)) for b in some]
            halves = [s.half(key) for s in sizes]
            nu = from_slopes(sizes, halves, log)[0][0]
            slopes = ", ".join(f"{abs(h.slope[0]):.1f} at T = {h.t[0]:.4f}" for h in halves)
            print(f"{key} {name}: nu = {nu:.3f}; slopes {slopes}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
