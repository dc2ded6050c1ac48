"""The best possible phase classifier, and the check that a network is not better than it.

At a slot drawn at random, P(slot k | configuration) = exp(f_k - beta_k E) / sum_j exp(f_j - beta_j E), with f
= -ln Z: it depends on the energy alone. No network can beat the accuracy of sum over the cold half of the
ladder of P(k | E) in expectation; one that does has seen its test data. The relative f follow from energies
of the training chains (Bennett 1976; Shirts and Chodera, J. Chem. Phys. 129, 124105 (2008)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm, t

from hpcrg.bank import open_bank

LIMIT = 3.0
"""Standard deviations above the posterior at which a network is refused."""


@dataclass(frozen=True)
class Histogram:
    """Energies by slot: `levels` [level], `counts` [slot, level]."""

    levels: NDArray[np.float64]
    counts: NDArray[np.float64]


def histogram(path: Path, chains: Sequence[int]) -> Histogram:
    """Energies of every measurement of these chains of a bank; one chain and slot in memory at a time."""
    found: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []
    with open_bank(path) as bank:
        for chain in chains:
            for slot in range(bank.slots):
                found.append((slot, *np.unique(bank.series("energy", chain, slot), return_counts=True)))
        slots = bank.slots
    levels = np.unique(np.concatenate([values for _, values, _ in found]))
    counts = np.zeros((slots, len(levels)))
    for slot, values, number in found:
        counts[slot, np.searchsorted(levels, values)] += number
    return Histogram(levels.astype(np.float64), counts)


def free_energies(energies: Histogram, betas: NDArray[np.float64]) -> NDArray[np.float64]:
    """-ln Z of each slot, up to a constant: the maximum of the likelihood of the slots given the energies, by
    Newton's method from thermodynamic integration. Raises RuntimeError when it does not converge."""
    drawn = energies.counts.sum(axis=1)
    mean = energies.counts @ energies.levels / drawn
    f = np.concatenate([[0.0], np.cumsum(np.diff(betas) * (mean[1:] + mean[:-1]) / 2)])
    total = energies.counts.sum(axis=0)
    for _ in range(100):
        weight = slot_probability(energies.levels, betas, f, np.log(drawn))
        gradient = total @ weight - drawn
        if np.abs(gradient).max() < 1e-8 * drawn.min():
            return f
        hessian = np.diag(total @ weight) - weight.T @ (total[:, None] * weight)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
        f = f - (step - step[0]) / max(1.0, float(np.abs(step).max()))
    raise RuntimeError("posterior: the relative free energies did not converge")


def slot_probability(
    energy: NDArray[np.float64],
    betas: NDArray[np.float64],
    f: NDArray[np.float64],
    prior: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """P(slot | E), [..., slot], for energies [...]; `prior` is the logarithm of the weight of each slot."""
    logs = prior + f - betas * energy[..., None]
    out: NDArray[np.float64] = np.exp(logs - logsumexp(logs, axis=-1, keepdims=True))
    return out


def cold_probability(
    energy: NDArray[np.float64], betas: NDArray[np.float64], f: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability that a draw with this energy comes from the cold half of the ladder."""
    half: NDArray[np.float64] = slot_probability(energy, betas, f)[..., : cold_half(len(betas))].sum(axis=-1)
    return half


def cold_half(slots: int) -> int:
    """How many slots are the cold half; a middle slot belongs to the hot half."""
    return slots // 2


def correct(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether p of the cold phase [..., slot, draw] puts each draw in the half of the ladder that it comes
    from."""
    slots = p.shape[-2]
    truth = np.arange(slots)[:, None] < cold_half(slots)
    right: NDArray[np.bool_] = (p > 0.5) == truth
    return right


@dataclass(frozen=True)
class Paired:
    """Mean score of a network less that of the posterior on the same draws of held-out chains. `error` is one
    standard error over chains; `sigma` is the one-sided significance as standard deviations of a normal
    distribution."""

    chains: int
    network: float
    posterior: float
    difference: float
    error: float
    sigma: float

    @property
    def leak(self) -> bool:
        """Better than is possible, beyond chance."""
        return self.sigma > LIMIT


def paired(network: NDArray[np.float64], posterior: NDArray[np.float64], grain: float = 1.0) -> Paired:
    """Compare mean scores [chain, slot, draw], such as fractions of correct answers. Few chains make an uncertain error
    bar, so the significance comes from Student's t with chains - 1 degrees of freedom; the error is never below a
    `grain` in one draw of a chain. A single chain gives no error and no significance."""
    each = network.mean(axis=(1, 2)) - posterior.mean(axis=(1, 2))
    n, mean = len(each), float(each.mean())
    if n < 2:
        return Paired(n, float(network.mean()), float(posterior.mean()), mean, float("nan"), float("nan"))
    one_draw = grain / network[0].size
    error = max(float(each.std(ddof=1)), one_draw) / np.sqrt(n)
    tail = t.logsf(mean / error, n - 1)
    sigma = float(norm.isf(np.exp(tail))) if tail > -700 else float("inf")
    return Paired(n, float(network.mean()), float(posterior.mean()), mean, float(error), sigma)
