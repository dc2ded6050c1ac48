"""What is in a bank: ladder, acceptances, round trips, communication barrier, autocorrelation times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.autocorrelation import integrated_time
from hpcrg.bank import Bank, open_bank
from hpcrg.figures import Curve, Figure, FigureData, Table
from hpcrg.ladder import barrier, round_trips

FEWEST = 4
"""Measurements a chain without which no autocorrelation time can be told."""


def inspect_banks(paths: Sequence[Path]) -> FigureData:
    """Tables, one a bank, and figures of exchange acceptance and autocorrelation time over temperature."""
    tables, acceptance_curves, tau_curves = [], [], []
    for path in paths:
        with open_bank(path) as bank:
            tau = np.array([slot_tau(bank, s) for s in range(bank.slots)])
            acceptance = exchange_acceptance(bank)
            tables.append(_table(bank, acceptance, tau))
            t = bank.temperatures
            told = np.isfinite(tau[:, 0])
            tau_curves.append(Curve(bank.label, t[told].tolist(), tau[told, 0].tolist()))
            if bank.slots > 1:
                middle = (t[1:] + t[:-1]) / 2
                acceptance_curves.append(Curve(bank.label, middle.tolist(), acceptance.tolist()))
    figures = [Figure("autocorrelation", "Integrated autocorrelation time of the energy", "temperature T (J/k_B)",
                      "tau_int (measurements)", tau_curves,
                      "In units of the measurement spacing; tau = 1/2 for independent measurements.")]  # fmt: skip
    if acceptance_curves:
        figures.append(Figure("exchange", "Exchange acceptance of neighbouring temperatures", "temperature T (J/k_B)",
                              "accepted / attempted", acceptance_curves,
                              "Non-reversible even-odd exchange; low values are bottlenecks."))  # fmt: skip
    return FigureData(figures, [], tables)


def exchange_acceptance(bank: Bank) -> NDArray[np.float64]:
    """Accepted over attempted exchanges of slot p and p + 1, over all chains, shape (slots - 1,)."""
    tried, accepted = np.zeros(bank.slots), np.zeros(bank.slots)
    for chain in range(bank.chains):
        for slot in range(bank.slots):
            tried[slot] += bank.series("exchange_attempted", chain, slot).sum()
            accepted[slot] += bank.series("exchange_accepted", chain, slot).sum()
    return accepted[:-1] / np.maximum(tried[:-1], 1)


def trips(bank: Bank) -> int:
    """Round trips of walkers from the coldest slot to the hottest and back, over all chains, in measured rounds: trips
    that turn between two measurements go unseen."""
    if bank.slots < 2:
        return 0
    total = 0
    for chain in range(bank.chains):
        walker_at = np.stack([bank.series("walker", chain, s) for s in range(bank.slots)], axis=1)
        total += int(round_trips(walker_at.astype(np.int64)))
    return total


def slot_tau(bank: Bank, slot: int) -> tuple[float, float]:
    """tau_int of the energy and of the squared order parameter in one slot, in measurements; NaN with fewer than
    FEWEST a chain."""
    if bank.measurements < FEWEST:
        return math.nan, math.nan
    energy = [bank.series("energy", c, slot).astype(np.float64) for c in range(bank.chains)]
    volume = bank.lattice.volume
    m2 = [bank.model.order2(bank.series("order", c, slot), volume) for c in range(bank.chains)]
    return integrated_time(energy).tau, integrated_time(m2).tau


def _told(tau: float) -> str:
    return f"{tau:.2f}" if math.isfinite(tau) else "-"


def _table(bank: Bank, acceptance: NDArray[np.float64], tau: NDArray[np.float64]) -> Table:
    rows = []
    for s, temperature in enumerate(bank.temperatures):
        exchange = f"{acceptance[s]:.3f}" if s < bank.slots - 1 else "-"
        rows.append([str(s), f"{temperature:.6g}", f"{bank.betas[s]:.8g}", exchange, *map(_told, tau[s])])
    title = (f"{bank.label}: {bank.model.name} {'x'.join(map(str, bank.lattice.shape))}, id {bank.id}, "
             f"{bank.chains} chains, {bank.draws} draws, {bank.measurements} measurements")  # fmt: skip
    if bank.slots > 1:
        seen = f"seen every {bank.measure} rounds" if bank.measure > 1 else "seen every round"
        title += f"; {trips(bank)} round trips ({seen}), barrier {barrier(1 - acceptance):.2f}"
    return Table(title, ["slot", "T", "beta", "exchange", "tau energy", "tau order^2"], rows)
