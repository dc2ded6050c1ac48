"""Tables on a terminal: aligned text, the whole width, no colour needed."""

from __future__ import annotations

from collections.abc import Sequence

from hpcrg.figures import Table
from hpcrg.plan import Cost, SeriesCost


def show(table: Table) -> None:
    """Print a table to standard output; never cut, so that a script can read it."""
    print(table.title)
    widths = [max(len(r[i]) for r in [table.columns, *table.rows]) for i in range(len(table.columns))]
    for row in [table.columns, *table.rows]:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    print()


def amount(value: float, units: Sequence[str] = ("", "k", "M", "G", "T", "P")) -> str:
    """Three digits and a decimal prefix."""
    for unit in units[:-1]:
        if abs(value) < 1000:
            return f"{value:.3g} {unit}".rstrip()
        value /= 1000
    return f"{value:.3g} {units[-1]}"


def plan_table(costs: Sequence[Cost]) -> Table:
    """Ensembles with their ids and costs, and the sum."""
    rows = [
        [c.ensemble.label, c.ensemble.id if c.ensemble.betas else "(ladder to be tuned)",
         str(c.ensemble.slots or "-"), str(c.ensemble.chains), str(c.ensemble.draws), amount(c.spin_updates),
         f"{c.core_hours:.4f}", f"{amount(c.memory)}B", f"{amount(c.disk)}B"]
        for c in costs
    ]  # fmt: skip
    rows.append(["total", "", "", "", "", amount(sum(c.spin_updates for c in costs)),
                 f"{sum(c.core_hours for c in costs):.4f}", f"{amount(max(c.memory for c in costs))}B",
                 f"{amount(sum(c.disk for c in costs))}B"])  # fmt: skip
    columns = ["ensemble", "id", "slots", "chains", "draws", "spin updates", "core-hours", "memory a rank", "disk"]
    return Table("Plan (core-hours from kernels timed on this host; disk before compression)", columns, rows)


def series_plan_table(costs: Sequence[SeriesCost]) -> Table:
    """Series with their ids and costs, and the sum."""
    rows = [
        [c.series.label, c.series.id, str(c.series.chains), amount(c.steps), f"{c.core_hours:.4f}",
         f"{amount(c.memory)}B", f"{amount(c.disk)}B"]
        for c in costs
    ]  # fmt: skip
    rows.append(["total", "", "", amount(sum(c.steps for c in costs)), f"{sum(c.core_hours for c in costs):.4f}",
                 f"{amount(max(c.memory for c in costs))}B", f"{amount(sum(c.disk for c in costs))}B"])  # fmt: skip
    columns = ["series", "id", "chains", "steps", "core-hours", "memory a rank", "disk"]
    return Table("What the series will cost on this host, roughly", columns, rows)
