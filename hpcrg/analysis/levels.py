"""What scaling needs of a bank, and nothing more: sums per energy level in every jackknife block, and thin
series.

For H = beta E the energy is a sufficient statistic: the exact multi-histogram weights of a measurement depend
on it alone, so the sums of the observables over the measurements at each energy level hold all there is. Real
energies are rounded to levels a `unit` apart, so fine that no Boltzmann factor within the ladder changes by more than
LEVEL. The columns are

    count, |order|, order^2, order^4, structure        (order per site, 1 when fully ordered; see models)

Series are kept as sums over bins of equal length, at most BINS bins a chain, for autocorrelation and
equilibration. Every sum is taken one measurement at a time in the order of the chain, so the result is the
same, bit for bit, for every chunk size; see graph.py. A task holds one chunk of series, never spins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.graph import Compute, block_ranges, evaluate, partition
from hpcrg.bank import Bank, open_bank

Array = NDArray[np.float64]
COLUMNS = ("count", "abs", "order2", "order4", "structure")
SERIES = ("energy", "energy2", "abs", "order2", "order4", "structure")
BINS = 8192
LEVEL = 0.02
"""The unit of real energies times the range of beta."""
BYTES_A_MEASUREMENT = 256
"""Of series, in a task: what turns a chunk in bytes into measurements."""


@dataclass(frozen=True)
class Levels:
    """Sums [level, column] at the energies [level], ascending, in units."""

    energy: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sums: Array = field(default_factory=lambda: np.zeros((0, len(COLUMNS))))

    def aligned(self, energy: NDArray[np.int64]) -> Array:
        """The sums on a finer set of levels that contains these."""
        out = np.zeros((len(energy), self.sums.shape[1]))
        out[np.searchsorted(energy, self.energy)] = self.sums
        return out


@dataclass
class ChainSums:
    """The accumulator of one chain at one slot: levels of each block, and binned series [bin, series]."""

    blocks: list[Levels]
    bins: Array


@dataclass(frozen=True)
class Gather:
    """The step of the fold over the measurements of one chain at one slot (graph.py)."""

    ranges: tuple[tuple[int, int], ...]
    bin_length: int
    unit: float = 1.0

    def __call__(self, sums: ChainSums, bank: Bank, chain: int, slot: int, start: int, stop: int) -> ChainSums:
        """Add the measurements [start, stop)."""
        raw = bank.series("energy", chain, slot, start, stop)
        energy = np.rint(raw / self.unit).astype(np.int64)
        order2 = bank.model.order2(bank.series("order", chain, slot, start, stop), bank.lattice.volume)
        structure = bank.series("structure", chain, slot, start, stop).astype(np.float64)
        values = np.stack([np.ones(len(energy)), np.sqrt(order2), order2, order2**2, structure], axis=1)
        for b, (first, last) in enumerate(self.ranges):
            inside = slice(max(first - start, 0), max(last - start, 0))
            if energy[inside].size:
                sums.blocks[b] = _add(sums.blocks[b], energy[inside], values[inside])
        self._bin(sums.bins, start, raw.astype(np.float64), values)
        return sums

    def _bin(self, bins: Array, start: int, e: Array, values: Array) -> None:
        rows = np.concatenate([np.stack([e, e**2], axis=1), values[:, 1:]], axis=1)
        index = (start + np.arange(len(e))) // self.bin_length
        kept = index < len(bins)
        np.add.at(bins, index[kept], rows[kept])


@dataclass(frozen=True)
class BankSums:
    """One bank, reduced. `blocks` are levels [slot][block], block = chain * blocks_per_chain + b; `series`
    are bin means [slot, chain, bin, series]; `counts` are measurements of one block at one slot; `unit` is that of the
    levels, `basis` the sites of a unit cell and `boundary` that of the lattice."""

    id: str
    label: str
    model_name: str
    size: int
    dimension: int
    components: int
    betas: Array
    measurements: int
    counts: int
    bin_length: int
    blocks: list[list[Levels]]
    series: Array
    unit: float = 1.0
    basis: int = 1
    boundary: str = "periodic"

    @property
    def volume(self) -> int:
        """Sites."""
        return int(self.size**self.dimension) * self.basis

    @property
    def temperatures(self) -> Array:
        """Temperatures, coldest first."""
        return 1.0 / self.betas


def reduce_bank(path: Path, blocks: int, chunk: int, compute: Compute) -> BankSums:
    """All sums of one bank, by a graph over its chains and slots. Raises InputError with more blocks than
    draws."""
    with open_bank(path) as bank:
        n, chains, slots = bank.measurements, bank.chains, bank.slots
        ranges = block_ranges(n, blocks)
        head = (
            bank.id,
            bank.label,
            bank.model.name,
            bank.lattice.shape[0],
            bank.lattice.dimension,
            bank.model.cumulant_components,
            bank.betas,
        )
        unit, basis, boundary = level_unit(bank), bank.lattice.basis, bank.lattice.boundary
    bin_length = -(-n // BINS)
    step = Gather(tuple(ranges), bin_length, unit)
    nothing = ChainSums([Levels() for _ in ranges], np.zeros((n // bin_length, len(SERIES))))
    found = evaluate(path, partition(chains, slots, n, 1), step, nothing, chunk, compute)
    by_slot = [[found[c * slots + s] for c in range(chains)] for s in range(slots)]
    series = np.array([[c.bins / bin_length for c in row] for row in by_slot])
    levels = [[block for c in row for block in c.blocks] for row in by_slot]
    return BankSums(*head, n, ranges[0][1] - ranges[0][0], bin_length, levels, series, unit, basis, boundary)


def level_unit(bank: Bank) -> float:
    """1 for integer energies, else LEVEL over the range of beta (a tenth of beta for a single temperature)."""
    if bank.ensemble.system.integer:
        return 1.0
    span = float(bank.betas[0] - bank.betas[-1])
    return LEVEL / (span if span > 0 else 0.1 * float(bank.betas[0]))


def _add(levels: Levels, energy: NDArray[np.int64], values: Array) -> Levels:
    union = np.union1d(levels.energy, energy)
    sums = levels.aligned(union)
    np.add.at(sums, np.searchsorted(union, energy), values)
    return Levels(union, sums)
