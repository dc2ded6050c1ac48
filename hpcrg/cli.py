"""The verbs of the command line. Each reads files, calls one function and writes files.

Exit status: 0 done; 2 something in the input is wrong; 3 a bank has not thermalised; 4 test data leaked into training;
75 stopped on request with everything kept, the same command goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hpcrg.errors import EXIT_STATUS, InputError, expected

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Critical points and exponents of lattice models, by every method, from one campaign file.",
)  # fmt: skip

CampaignFile = Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="The campaign's YAML file.")]
Output = Annotated[Path, typer.Option("--output", help="The file to write.")]
Banks = Annotated[list[Path], typer.Argument(metavar="BANK...", help="Bank files.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Dask workers; the campaign's number by default.")]
Threads = Annotated[bool, typer.Option("--threads", help="Workers are threads of this process.")]
Ranks = Annotated[int | None, typer.Option(min=1, help="MPI ranks that this run must have.")]
TimeLimit = Annotated[float | None, typer.Option(min=0, help="Seconds after which to stop and keep all.")]
Interval = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]
Chunk = Annotated[int, typer.Option(min=1, help="Mebibytes of unpacked spins or series in one task.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler, or slurm:FILE.toml.")]


@app.command()
def plan(
    campaign: CampaignFile,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time the kernels of this host again.")] = False,
) -> None:
    """Print the ensembles and series of a campaign, their ids and what they will cost."""
    from hpcrg.campaign import load
    from hpcrg.plan import costs, series_costs
    from hpcrg.tables import plan_table, series_plan_table, show

    loaded = load(campaign)
    if loaded.ensembles_:
        show(plan_table(costs(loaded, calibrate)))
    if loaded.series_specs:
        show(series_plan_table(series_costs(loaded, calibrate)))
    for warning in loaded.warnings():
        print(f"warning: {warning}", file=sys.stderr)


@app.command()
def models() -> None:
    """Print which update serves which model on which lattice, and why not."""
    from hpcrg.matrix import table
    from hpcrg.tables import show

    found, notes = table()
    show(found)
    for number, note in enumerate(notes, 1):
        print(f"[{number}] {note}")


@app.command()
def schema() -> None:
    """Print the JSON schema of campaign files, for editors."""
    import json

    from hpcrg.campaign import Campaign

    print(json.dumps(Campaign.model_json_schema(), indent=1))


@app.command()
def tune(
    campaign: CampaignFile,
    ensemble: Annotated[str, typer.Option(help="The ensemble's label, such as scan-L16.")],
    output: Output,
) -> None:
    """Find the ladder of an ensemble from its pilot chains and write its betas."""
    from hpcrg.campaign import load
    from hpcrg.progress import reporting
    from hpcrg.tuning import tune_ladder

    loaded = load(campaign)
    with reporting(f"tune {ensemble}") as report:
        tune_ladder(loaded, ensemble, output, report)


@app.command()
def sample(
    campaign: CampaignFile,
    ensemble: Annotated[str, typer.Option(help="The ensemble's label, such as scan-L16.")],
    output: Output,
    state: Annotated[Path, typer.Option(help="Directory of segments and checkpoints.")],
    ladder: Annotated[Path | None, typer.Option(help="The betas that `tune` wrote.")] = None,
    ranks: Ranks = None,
    time_limit: TimeLimit = None,
    interval: Interval = 30.0,
) -> None:
    """Sample an ensemble into a bank; under mpiexec, on all its ranks. Goes on from a checkpoint."""
    from hpcrg.campaign import load
    from hpcrg.edges.sampling import run_sampling
    from hpcrg.tuning import read_ladder

    betas = read_ladder(ladder, ensemble) if ladder else None
    wanted = load(campaign).ensemble(ensemble, betas)
    run_sampling(wanted, output, state, ranks, time_limit, interval)


@app.command()
def produce(
    campaign: CampaignFile,
    series: Annotated[str, typer.Option(help="The series' label, such as site-L32.")],
    output: Output,
    state: Annotated[Path, typer.Option(help="Directory of finished chains and checkpoints.")],
    ranks: Ranks = None,
    time_limit: TimeLimit = None,
    interval: Interval = 30.0,
) -> None:
    """Produce a series (percolation, dimers, flat_histogram, population, probability_changing); under mpiexec, on all
    its ranks. Goes on from a checkpoint."""
    from hpcrg.campaign import load
    from hpcrg.edges.sampling import run_producing

    run_producing(load(campaign).one_series(series), output, state, ranks, time_limit, interval)


@app.command()
def evaluate(
    campaign: CampaignFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What `produce` wrote, one file a size.")],
    name: Annotated[str, typer.Option("--series", help="The name of the series in the campaign, without a size.")],
    output: Output,
) -> None:
    """Estimates from produced series of all sizes."""
    from hpcrg import evaluation
    from hpcrg.campaign import load

    _write(output, evaluation.run(load(campaign), name, files))


@app.command()
def inspect(
    banks: Banks,
    figures: Annotated[Path | None, typer.Option(help="Also write figure data for the report.")] = None,
) -> None:
    """Print what is in banks: ladder, acceptances, round trips, autocorrelation times; and in produced series."""
    from hpcrg import evaluation
    from hpcrg import figures as figure_files
    from hpcrg.analysis.inspection import inspect_banks
    from hpcrg.bank import is_produced
    from hpcrg.tables import show

    data = inspect_banks([path for path in banks if not is_produced(path)])
    for table in [*data.tables, *(evaluation.inspect(path) for path in banks if is_produced(path))]:
        show(table)
    if figures:
        figure_files.save(figures, data)


@app.command()
def verify(
    banks: Banks,
    replay: Annotated[int, typer.Option(min=0, help="Also recompute this many first rounds of every chain.")] = 0,
) -> None:
    """Check the checksums of banks and produced series and, of banks on request, that their first rounds can be
    recomputed bit for bit."""
    from hpcrg.verification import faults

    found = [f"{bank}: {fault}" for bank in banks for fault in faults(bank, replay)]
    if found:
        raise InputError("\n".join(found))
    print(f"{len(banks)} file(s) verified" + (f", the first {replay} rounds replayed" if replay else ""))


@app.command()
def export(bank: Annotated[Path, typer.Argument(help="A bank file.")], output: Output) -> None:
    """Copy a bank with its segments into one stand-alone file."""
    from hpcrg.bank import export as export_bank
    from hpcrg.bank import open_bank

    with open_bank(bank):
        pass
    export_bank(bank, output)


@app.command()
def flow(
    campaign: CampaignFile,
    banks: Banks,
    name: Annotated[str, typer.Option("--flow", help="The name under `flow` in the campaign.")],
    output: Output,
    workers: Workers = None,
    threads: Threads = False,
    scheduler: Scheduler = None,
    chunk: Chunk = 16,
) -> None:
    """Monte Carlo renormalisation of banks by block spins: y_t and y_h by level."""
    from hpcrg.analysis import mcrg
    from hpcrg.campaign import load

    loaded = load(campaign)
    spec = _named(loaded.flow, "flow", name)
    with _dask(loaded, workers, threads, scheduler) as compute:
        _write(output, mcrg.run(banks, name, spec, compute, chunk << 20))


@app.command()
def scale(
    campaign: CampaignFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Banks, or one series file with --train.")],
    output: Output,
    name: Annotated[str | None, typer.Option("--scale", help="The name under `scale` in the campaign.")] = None,
    train_name: Annotated[str | None, typer.Option("--train", help="Scale the outputs of this network.")] = None,
    workers: Workers = None,
    threads: Threads = False,
    scheduler: Scheduler = None,
    chunk: Chunk = 16,
) -> None:
    """Finite-size scaling of banks, or of a network's outputs: T_c and nu."""
    from hpcrg.analysis import fss, outputs
    from hpcrg.campaign import load

    loaded = load(campaign)
    if (name is None) == (train_name is None):
        raise InputError("scale: expected one of --scale and --train, found both or neither")
    if train_name is not None:
        if len(files) != 1 or workers or threads or scheduler:
            raise InputError(expected("scale --train", "one file of series and no workers", " ".join(map(str, files))))
        train_spec = _named(loaded.train, "train", train_name)
        _write(output, outputs.run(files[0], train_name, train_spec))
    else:
        spec = _named(loaded.scale, "scale", str(name))
        with _dask(loaded, workers, threads, scheduler) as compute:
            _write(output, fss.run(files, str(name), spec, compute, chunk << 20))


@app.command()
def train(
    campaign: CampaignFile,
    banks: Banks,
    name: Annotated[str, typer.Option("--train", help="The name under `train` in the campaign.")],
    output: Output,
    state: Annotated[Path, typer.Option(help="Directory of checkpoints.")],
    processes: Annotated[int | None, typer.Option(min=1, help="Start this many under torchrun here.")] = None,
    time_limit: TimeLimit = None,
) -> None:
    """Train networks on banks and write their outputs on chains they never saw. Goes on from a checkpoint.

    With --processes it starts torchrun on this machine; without, it is one process of a torchrun that you start."""
    from hpcrg.campaign import load
    from hpcrg.edges import torchrun

    loaded = load(campaign)
    spec = _named(loaded.train, "train", name)
    if processes is None:
        torchrun.run_training(banks, name, spec, loaded.seed, output, state, time_limit)
        return
    again = ["train", str(campaign), *map(str, banks), "--train", name, "--output", str(output), "--state", str(state)]
    again += ["--time-limit", str(time_limit)] if time_limit is not None else []
    raise typer.Exit(torchrun.launch(again, processes))


@app.command()
def report(
    campaign: CampaignFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Estimates and figure files.")],
    output: Output,
    estimates: Annotated[Path, typer.Option(help="The merged estimates to write.")],
) -> None:
    """One HTML page that sets all estimates side by side."""
    from hpcrg.report.page import write

    write(campaign, files, estimates, output)


def _named(specs: dict[str, Any], verb: str, name: str) -> Any:
    if name not in specs:
        raise InputError(expected(f"--{verb}", f"one of {', '.join(specs) or 'nothing, there is none'}", name, specs))
    return specs[name]


def _dask(campaign: Any, workers: int | None, threads: bool, scheduler: str | None) -> Any:
    from hpcrg.edges.dask import computing

    return computing(workers or campaign.resources.workers, not threads, scheduler)


def _write(output: Path, result: Any) -> None:
    from hpcrg import estimate, figures

    estimates, data = result
    figures.save(output.with_suffix(".figures.json"), data)
    estimate.save(output, estimates)


def main() -> None:
    """Run a verb; turn what the user can mend into one message and an exit status."""
    from hpcrg.progress import start_logging

    start_logging()
    try:
        app()
    except tuple(EXIT_STATUS) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))


if __name__ == "__main__":
    main()
