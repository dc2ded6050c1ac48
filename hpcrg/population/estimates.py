"""ln Z and the energy at the end of population annealing, over independent populations, and whether these were large
enough. Chains of one system are weighted with their Z, which takes away the bias of a finite population; chains of a
disordered model are systems of their own and count alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hpcrg.estimate import Estimate, Measured, Reference, combined_error
from hpcrg.exact_energy import thermal
from hpcrg.figures import Curve, Figure, FigureData, Note, Table
from hpcrg.population.resampling import combine, combine_ln_z, ln_z
from hpcrg.population.run import Population
from hpcrg.producing import MAIN, Produced, left_out

LEAST_ENTROPY = float(np.log(100.0))
LARGEST_FAMILY = 1 / 100
"""Families that are fewer, or larger, say that the population was too small (Wang, Machta and Katzgraber 2015)."""


def population(produced: Produced) -> Population:
    """What was asked for."""
    return cast(Population, produced.series.producer)


def evaluate(results: Sequence[Produced]) -> tuple[list[Estimate], FigureData]:
    """Estimates of every size at the coldest temperature, and the energy on the way down."""
    found = [estimate for r in results for estimate in _estimates(r)]
    notes = [note for r in results for note in _notes(r)]
    return found, FigureData([_figure(results)], notes, [_table(results)])


def free_energies(r: Produced) -> NDArray[np.float64]:
    """ln Z of every chain at the end; of continuous spins, ln Z(beta) / Z(0)."""
    cooling = population(r).schedule.cooling
    vacant = [cooling.disorder(r.series.place(MAIN, chain)).vacant for chain in range(r.chains)]
    spins = cooling.system.volume - np.array([0 if v is None else int(v.sum()) for v in vacant])
    return np.asarray(ln_z(r["ln_q"])[:, -1] + spins * np.log(max(1, cooling.system.physics.states)))


def _estimates(r: Produced) -> list[Estimate]:
    schedule = population(r).schedule
    system, n = schedule.cooling.system, schedule.cooling.system.volume
    exact = thermal(system, schedule.beta)
    energies, ln_zs = r["energy"][:, -1], free_energies(r)
    if system.disordered:
        free, energy = left_out(r, ln_zs), left_out(r, energies)
    else:
        (value, rest), (mean, others) = combine_ln_z(ln_zs), combine(energies, ln_zs)
        free, energy = (value, {r.source: rest}), (mean, {r.source: others})
    at = f"at T = {1 / schedule.beta:g}, L = {r.size}"
    return [
        _estimate(r, f"ln Z per site {at}", free, n, exact.ln_z if exact else None),
        _estimate(r, f"energy per site {at}", energy, n, exact.energy if exact else None),
    ]


def _estimate(r: Produced, quantity: str, measured: Measured, n: int, reference: Reference | None) -> Estimate:
    cooling = population(r).schedule.cooling
    replicas = {source: rest / n for source, rest in measured[1].items()}
    return Estimate(
        quantity, f"population/{cooling.update_name}", cooling.system.model.name, (r.size,), measured[0] / n, replicas,
        {}, tuple(replicas), reference,
        {"walkers": cooling.walkers, "sweeps": cooling.sweeps, "steps": r.given["betas"].shape[1] - 1,
         "chains": r.chains},
    )  # fmt: skip


def _notes(r: Produced) -> list[Note]:
    walkers = population(r).schedule.cooling.walkers
    entropy, rho = float(r["entropy"][:, -1].min()), float(r["rho_t"][:, -1].max())
    if entropy >= LEAST_ENTROPY and rho <= LARGEST_FAMILY * walkers:
        return []
    found = f"family entropy {entropy:.2f} (at least {LEAST_ENTROPY:.2f})"
    found += f", rho_t {rho:.1f} (at most {LARGEST_FAMILY * walkers:.1f})"
    return [Note("warning", f"population, L = {r.size}: the population is too small: {found}")]


def _table(results: Sequence[Produced]) -> Table:
    rows = []
    for r in results:
        walkers = population(r).schedule.cooling.walkers
        rows.append([str(r.size), str(walkers), str(r.given["betas"].shape[1] - 1),
                     f"{r['entropy'][:, -1].min():.2f}", f"{r['rho_t'][:, -1].max():.1f}"])  # fmt: skip
    return Table("Populations at the end", ["L", "walkers", "steps", "least family entropy", "largest rho_t"], rows)


def _figure(results: Sequence[Produced]) -> Figure:
    curves = []
    for r in results:
        n, betas = population(r).schedule.cooling.system.volume, r.given["betas"][0]
        means = [left_out(r, r["energy"][:, k]) for k in range(len(betas))]
        curves.append(Curve(f"L = {r.size}", betas.tolist(), [v / n for v, _ in means],
                            [combined_error(e) / n for _, e in means]))  # fmt: skip
    return Figure("cooling", "Energy while populations are cooled", "inverse temperature beta", "energy per site",
                  curves, "Means over populations.")  # fmt: skip
