"""What is in a bank: ladder, acceptances, round trips, communication barrier, autocorrelation times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.autocorrelation import gamma_method, gamma_within
from hpcrg.analysis.tempering import Tempering, exchange_acceptance, tempering
from hpcrg.bank import Bank, open_bank
from hpcrg.figures import Curve, Figure, FigureData, Note, Table

FEWEST = 4
"""Measurements a chain without which no autocorrelation time can be told."""
MEMORY = 256 << 20
"""Bytes of series looked at together."""
TEMPERING = "Tempering: round trips a round and ladder, beside those that the ladder allows"
TEMPERING_COLUMNS = [
    "ensemble", "slots", "barrier", "mean r", "r", "round trips", "measured", "allowed", "ratio", "advice",
]  # fmt: skip


def inspect_banks(paths: Sequence[Path]) -> FigureData:
    """Tables, one a bank, and figures of exchange acceptance and autocorrelation time over temperature."""
    tables, acceptance_curves, tau_curves, tempered, notes = [], [], [], [], []
    for path in paths:
        with open_bank(path) as bank:
            tau = autocorrelation_times(bank)
            acceptance, found = exchange_acceptance(bank), tempering(bank)
            tables.append(_table(bank, acceptance, tau))
            tempered += [_row(bank.label, found)] if found else []
            notes += [Note("warning", f"{bank.label}: {advice}") for advice in (found.advice() if found else ())]
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
    if tempered:
        tables.append(Table(TEMPERING, TEMPERING_COLUMNS, tempered))
    return FigureData(figures, notes, tables)


def _row(label: str, found: Tempering) -> list[str]:
    seen = f" (seen every {found.unseen} rounds)" if found.unseen > 1 else ""
    efficiency = f"{found.efficiency:.2f}" if math.isfinite(found.efficiency) else "-"
    r = found.rejection
    numbers = [f"{found.barrier:.2f}", f"{r.mean():.3f}", f"{r.min():.3f} to {r.max():.3f}", f"{found.trips}{seen}"]
    advice = "; ".join(found.advice()) or "none"
    return [label, str(len(r) + 1), *numbers, f"{found.measured:.3g}", f"{found.predicted:.3g}", efficiency, advice]


def autocorrelation_times(bank: Bank) -> NDArray[np.float64]:
    """tau_int of the energy and of the squared order parameter (of a glass the overlap), in measurements [slot, 2]; NaN
    with fewer than FEWEST a chain. Samples of a disorder are looked at each about its own mean."""
    if bank.measurements < FEWEST:
        return np.full((bank.slots, 2), math.nan)
    whole = 2 * 8 * bank.chains * bank.measurements
    width = max(1, min(bank.slots, MEMORY // whole))
    rows = [_slots_tau(bank, slice(k, min(k + width, bank.slots))) for k in range(0, bank.slots, width)]
    return np.concatenate(rows)


def _slots_tau(bank: Bank, slots: slice) -> NDArray[np.float64]:
    time = gamma_within if bank.ensemble.system.disordered else gamma_method
    energy = np.array([bank.ladder("energy", c, slots=slots) for c in range(bank.chains)], np.float64)
    if bank.model.glass and "overlap" in bank.series_names:
        q = np.array([bank.ladder("overlap", c, slots=slots) for c in range(bank.ensemble.chains)])
        square = q[..., 0] ** 2
    else:
        order = np.array([bank.ladder("order", c, slots=slots) for c in range(bank.chains)])
        square = bank.model.order2(order, bank.lattice.volume)
    each = range(energy.shape[1])
    return np.array([[time(energy[:, s]).tau, time(square[:, s]).tau] for s in each])


def _told(tau: float) -> str:
    return f"{tau:.2f}" if math.isfinite(tau) else "-"


def _table(bank: Bank, acceptance: NDArray[np.float64], tau: NDArray[np.float64]) -> Table:
    rows = []
    for s, temperature in enumerate(bank.temperatures):
        exchange = f"{acceptance[s]:.3f}" if s < bank.slots - 1 else "-"
        rows.append([str(s), f"{temperature:.6g}", f"{bank.betas[s]:.8g}", exchange, *map(_told, tau[s])])
    title = (f"{bank.label}: {bank.model.name} {'x'.join(map(str, bank.lattice.shape))}, id {bank.id}, "
             f"{bank.chains} chains, {bank.draws} draws, {bank.measurements} measurements")  # fmt: skip
    return Table(title, ["slot", "T", "beta", "exchange", "tau energy", "tau order^2"], rows)
