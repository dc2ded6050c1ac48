"""Sampling an ensemble, and producing series, on all ranks of a job."""

from __future__ import annotations

from pathlib import Path

from hpcrg.bank import write_produced
from hpcrg.chains import produce
from hpcrg.edges.job import job
from hpcrg.ensemble import Ensemble
from hpcrg.producing import Series
from hpcrg.sampler import Limits, other_machines, sample


def run_sampling(
    ensemble: Ensemble, output: Path, state: Path, ranks: int | None, time_limit: float | None, interval: float
) -> None:
    """Sample an ensemble on all ranks of this run. Raises InputError when another run holds its state."""
    ensemble.identity()
    total = ensemble.rounds * ensemble.chains
    title = f"sample {ensemble.label}"
    with job(title, "ensemble", ensemble.id, output, state, ranks, time_limit) as run:
        mine = _Fraction(ensemble, min(run.comm.size, ensemble.chains))
        machines = sample(
            ensemble, output, state, run.comm, Limits(interval, run.stop),
            lambda chain, done, rounds: run.report(mine(chain, done, rounds), f"of {total} rounds"),
        )  # fmt: skip
        run.notes.update(machines=machines, warning=other_machines(ensemble, machines))


def run_producing(
    series: Series, output: Path, state: Path, ranks: int | None, time_limit: float | None, interval: float
) -> None:
    """Produce a series on all ranks of this run. Raises InputError when another run holds its state."""
    title = f"produce {series.label}"
    with job(title, "series", series.id, output, state, ranks, time_limit) as run:
        arrays, given = produce(
            series, state / series.id, run.comm, run.stop, interval,
            lambda fraction: run.report(fraction, f"of {series.chains} chains"),
        )  # fmt: skip
        if run.comm.rank == 0:
            write_produced(output, series, arrays, given)


class _Fraction:
    """How far the first group of ranks is with its chains; the other groups are as far."""

    def __init__(self, ensemble: Ensemble, groups: int) -> None:
        self.chains = len(range(0, ensemble.chains, groups))
        self.groups = groups

    def __call__(self, chain: int, done: int, rounds: int) -> float:
        return (chain // self.groups + done / max(1, rounds)) / self.chains
