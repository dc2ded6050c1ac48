"""The verbs that plan, sample and produce, and those that look at what there is."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from hpcrg.cli.options import Banks, CampaignFile, Interval, Output, Ranks, Results, TimeLimit, app
from hpcrg.errors import InputError
from hpcrg.provenance import told


@app.command()
def plan(
    campaign: CampaignFile,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time the kernels of this host again.")] = False,
    results: Results = Path("results"),
) -> None:
    """Print the ensembles and series of a campaign, their ids and costs, what of them is there, and what jobs take."""
    from hpcrg.campaign import load
    from hpcrg.forecast import steps
    from hpcrg.plan import Timings, costs, series_costs
    from hpcrg.status import standing
    from hpcrg.tables import jobs_table, plan_table, series_plan_table, show

    loaded, timings = load(campaign), Timings(calibrate)
    found, series = costs(loaded, timings), series_costs(loaded, timings)
    jobs = steps(loaded, results, timings, [*found, *series])
    if found:
        banks = results / loaded.name / "banks"
        standings = [standing(c.ensemble, banks / f"{c.ensemble.label}.h5") for c in found]
        show(plan_table(found, jobs[: len(found)], standings))
    if series:
        show(series_plan_table(series, jobs[len(found) : len(found) + len(series)]))
    show(jobs_table(jobs[len(found) + len(series) :]))
    timings.save()
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
    with told(output, f"tune {ensemble}"), reporting(f"tune {ensemble}") as report:
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
def status(
    campaign: CampaignFile,
    results: Results = Path("results"),
) -> None:
    """Print what of a campaign is done, running, waiting, failed or not begun, how long is left, and what SLURM says of
    its jobs."""
    from hpcrg import status as progress
    from hpcrg.campaign import load
    from hpcrg.edges.batch import submitted
    from hpcrg.tables import show

    loaded = load(campaign)
    rows = progress.with_jobs(progress.of_campaign(loaded, results), submitted(results.parent))
    show(progress.table(loaded, rows))


@app.command()
def inspect(
    banks: Banks,
    figures: Annotated[Path | None, typer.Option(help="Also write figure data for the report.")] = None,
) -> None:
    """Print what is in banks: ladder, acceptances, round trips, autocorrelation times; and in produced series."""
    from hpcrg import figures as figure_files
    from hpcrg.analysis.inspection import inspect_banks
    from hpcrg.bank import is_produced
    from hpcrg.tables import show

    with told(figures, "inspect") if figures else nullcontext():
        produced = [path for path in banks if is_produced(path)]
        data = inspect_banks([path for path in banks if path not in produced])
        for table in data.tables:
            show(table)
        if produced:
            from hpcrg import evaluation  # with the kernels of all producers

            for path in produced:
                show(evaluation.inspect(path))
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


site = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Site files of clusters.")
app.add_typer(site, name="site")


@site.command("check")
def check_site(
    file: Annotated[Path, typer.Argument(metavar="SITE", help="The site file.")],
    directory: Annotated[Path, typer.Option(help="Where jobs write, on the file system of the results.")] = Path(
        "site-check"
    ),
    patience: Annotated[float, typer.Option(min=1, help="Seconds to wait for each job.")] = 300.0,
) -> None:
    """Submit a few small jobs and say of each whether the cluster does what hpcrg needs: PASSED, WARNING or ERROR."""
    from hpcrg.edges.site_check import check
    from hpcrg.site import load_site

    worst = 0
    for verdict in check(load_site(file), file, directory, patience):
        print(f"{verdict.level:8}{verdict.subject:10}{verdict.text}", flush=True)
        worst = max(worst, int(verdict.level == "ERROR"))
    raise typer.Exit(2 * worst)
