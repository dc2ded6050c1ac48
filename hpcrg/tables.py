"""Tables on a terminal: aligned text, the whole width, no colour needed."""

from __future__ import annotations

from collections.abc import Sequence

from hpcrg.figures import Table
from hpcrg.forecast import Step
from hpcrg.plan import Cost, SeriesCost
from hpcrg.status import DONE, duration

JOB = ["run time", "memory", "used"]
"""Columns of a job: as foreseen, corrected by jobs of its kind that are done, and as used by itself."""


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


def plan_table(costs: Sequence[Cost], steps: Sequence[Step], standings: Sequence[str]) -> Table:
    """Ensembles with their ids, costs, jobs and what of them is there, and the sum."""
    rows = [
        [c.ensemble.label, c.ensemble.id if c.ensemble.betas else "(ladder to be tuned)",
         str(c.ensemble.slots or "-"), str(c.ensemble.chains), str(c.ensemble.draws), amount(c.spin_updates),
         f"{c.core_hours:.4f}", f"{amount(c.disk)}B", *_job(step), standing]
        for c, step, standing in zip(costs, steps, standings, strict=True)
    ]  # fmt: skip
    rows.append(["total", "", "", "", "", amount(sum(c.spin_updates for c in costs)),
                 f"{sum(c.core_hours for c in costs):.4f}", f"{amount(sum(c.disk for c in costs))}B",
                 "", "", "", f"{sum(s != DONE for s in standings)} to sample"])  # fmt: skip
    columns = ["ensemble", "id", "slots", "chains", "draws", "spin updates", "core-hours", "disk", *JOB, "standing"]
    return Table("Plan (core-hours from kernels timed on this host; disk before compression)", columns, rows)


def series_plan_table(costs: Sequence[SeriesCost], steps: Sequence[Step]) -> Table:
    """Series with their ids, costs and jobs, and the sum."""
    rows = [
        [c.series.label, c.series.id, str(c.series.chains), amount(c.steps), f"{c.core_hours:.4f}",
         f"{amount(c.disk)}B", *_job(step)]
        for c, step in zip(costs, steps, strict=True)
    ]  # fmt: skip
    rows.append(["total", "", "", amount(sum(c.steps for c in costs)), f"{sum(c.core_hours for c in costs):.4f}",
                 f"{amount(sum(c.disk for c in costs))}B", "", "", ""])  # fmt: skip
    columns = ["series", "id", "chains", "steps", "core-hours", "disk", *JOB]
    return Table("What the series will cost on this host, roughly", columns, rows)


def jobs_table(steps: Sequence[Step]) -> Table:
    """Run time and memory of jobs as foreseen, and as used where they are done."""
    rows = [[s.title, str(s.processes), *_job(s)] for s in steps]
    return Table("Other jobs (memory of all processes together)", ["job", "processes", *JOB], rows)


def _job(step: Step) -> list[str]:
    used = "-"
    if step.used:
        used = f"{duration(step.used['seconds'])}, {amount(step.used['memory'])}B"
    return [duration(step.seconds), f"{amount(step.memory)}B", used]
