"""The verbs that make estimates, train networks and report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hpcrg.cli.options import (
    Banks,
    CampaignFile,
    Chunk,
    Interval,
    Output,
    Scheduler,
    Threads,
    TimeLimit,
    Tls,
    Workers,
    app,
)
from hpcrg.errors import InputError, expected
from hpcrg.provenance import told


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

    with told(output, f"evaluate {name}"):
        _write(output, evaluation.run(load(campaign), name, files))


@app.command()
def flow(
    campaign: CampaignFile,
    banks: Banks,
    name: Annotated[str, typer.Option("--flow", help="The name under `flow` in the campaign.")],
    output: Output,
    workers: Workers = None,
    threads: Threads = False,
    scheduler: Scheduler = None,
    tls: Tls = None,
    chunk: Chunk = 16,
) -> None:
    """Monte Carlo renormalisation of banks by block spins: y_t and y_h by level."""
    from hpcrg.analysis import mcrg
    from hpcrg.campaign import load

    loaded = load(campaign)
    spec = _named(loaded.flow, "flow", name)
    with _dask(loaded, f"flow {name}", output, workers, threads, scheduler, tls) as compute:
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
    tls: Tls = None,
    chunk: Chunk = 16,
) -> None:
    """Finite-size scaling of banks, or of a network's outputs: T_c and nu."""
    from hpcrg.analysis import fss, outputs, thermometers
    from hpcrg.campaign import load

    loaded = load(campaign)
    if (name is None) == (train_name is None):
        raise InputError("scale: expected one of --scale and --train, found both or neither")
    if train_name is not None:
        if len(files) != 1:
            raise InputError(expected("scale --train", "one file of series", " ".join(map(str, files))))
        if workers or threads or scheduler or tls is not None:
            raise InputError("scale --train: expected none of --workers, --threads, --scheduler and --tls, found some")
        train_spec = _named(loaded.train, "train", train_name)
        method = thermometers if train_spec.objective == "regressor" else outputs
        with told(output, f"scale {train_name}"):
            _write(output, method.run(files[0], train_name, train_spec))
    else:
        spec = _named(loaded.scale, "scale", str(name))
        with _dask(loaded, f"scale {name}", output, workers, threads, scheduler, tls) as compute:
            _write(output, fss.run(files, str(name), spec, compute, chunk << 20))


@app.command()
def train(
    campaign: CampaignFile,
    banks: Banks,
    name: Annotated[str, typer.Option("--train", help="The name under `train` in the campaign.")],
    output: Output,
    state: Annotated[Path, typer.Option(help="Directory of checkpoints.")],
    processes: Annotated[int | None, typer.Option(min=1, help="Start this many under torchrun here.")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of the SLURM step, each of which runs this verb.")] = 1,
    networks: Annotated[Path | None, typer.Option(help="Directory of the networks that `taught_by` names.")] = None,
    time_limit: TimeLimit = None,
) -> None:
    """Train networks on banks and write their outputs on chains they never saw. Goes on from a checkpoint. Networks of
    another campaign (`taught_by`) only have their outputs written.

    With --processes it starts torchrun on this machine, or on every node of a SLURM step with --nodes; without, it is
    one process of a torchrun that you start."""
    from hpcrg.campaign import load
    from hpcrg.edges import torchrun

    loaded = load(campaign)
    spec = _named(loaded.train, "train", name)
    if (networks is None) != (spec.taught_by is None):
        wanted = "one for a `train` with taught_by, and for no other"
        raise InputError(expected("--networks", wanted, "none" if networks is None else str(networks)))
    if processes is None:
        torchrun.run_training(banks, name, spec, loaded.seed, output, state, time_limit, networks=networks)
        return
    again = ["train", str(campaign), *map(str, banks), "--train", name, "--output", str(output), "--state", str(state)]
    again += ["--time-limit", str(time_limit)] if time_limit is not None else []
    again += ["--networks", str(networks)] if networks is not None else []
    raise typer.Exit(torchrun.launch(again, processes, nodes=nodes))


@app.command()
def stack(
    campaign: CampaignFile,
    bank: Annotated[Path, typer.Argument(metavar="BANK", help="The bank file.")],
    name: Annotated[str, typer.Option("--stack", help="The name under `stack` in the campaign.")],
    number: Annotated[int, typer.Option(min=0, help="Which seed of it, from 0.")],
    output: Output,
    state: Annotated[Path, typer.Option(help="Directory of checkpoints.")],
    time_limit: TimeLimit = None,
    interval: Interval = 30.0,
) -> None:
    """Train one seed of a stack of Boltzmann machines and of its null controls on a bank. Goes on from a checkpoint."""
    from hpcrg.campaign import load
    from hpcrg.edges.stacking import run_stack

    loaded = load(campaign)
    run_stack(bank, name, _named(loaded.stack, "stack", name), loaded.seed, number, output, state, time_limit, interval)


@app.command()
def fields(
    campaign: CampaignFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What `stack` wrote, one file a seed.")],
    name: Annotated[str, typer.Option("--stack", help="The name under `stack` in the campaign.")],
    output: Output,
) -> None:
    """Receptive fields, couplings and likelihood of all seeds of a stack beside its null controls."""
    from hpcrg.analysis import stacks
    from hpcrg.campaign import load

    loaded = load(campaign)
    spec = _named(loaded.stack, "stack", name)
    with told(output, f"fields {name}"):
        _write(output, stacks.run(files, name, loaded.system_of(spec.ensemble)))


@app.command()
def hierarchy(
    campaign: CampaignFile,
    bank: Annotated[Path, typer.Argument(metavar="BANK", help="The bank file, of a ring.")],
    name: Annotated[str, typer.Option("--hierarchy", help="The name under `hierarchy` in the campaign.")],
    output: Output,
    time_limit: TimeLimit = None,
) -> None:
    """Learn hierarchical Bayesian networks and trees from a bank and test them on chains they never saw."""
    from hpcrg.campaign import load
    from hpcrg.edges.stacking import run_hierarchy

    loaded = load(campaign)
    spec = _named(loaded.hierarchy, "hierarchy", name)
    with told(output, f"hierarchy {name}"):
        _write(output, run_hierarchy(bank, name, spec, loaded.seed, time_limit))


@app.command()
def report(
    campaign: CampaignFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Estimates and figure files.")],
    output: Output,
    estimates: Annotated[Path, typer.Option(help="The merged estimates to write.")],
) -> None:
    """One HTML page that sets all estimates side by side."""
    from hpcrg.report.page import write

    with told(output, "report"):
        write(campaign, files, estimates, output)


def _named(specs: dict[str, Any], verb: str, name: str) -> Any:
    if name not in specs:
        raise InputError(expected(f"--{verb}", f"one of {', '.join(specs) or 'nothing, there is none'}", name, specs))
    return specs[name]


@contextmanager
def _dask(
    campaign: Any, what: str, output: Path, workers: int | None, threads: bool, scheduler: str | None, tls: bool | None
) -> Iterator[Any]:  # fmt: skip
    """What runs graphs; its own workers are counted in what the sidecar of `output` tells."""
    from hpcrg.edges.dask import computing

    count = workers or campaign.resources.workers
    with (
        told(output, what, 0 if threads or scheduler else count),
        computing(count, not threads, scheduler, tls) as compute,
    ):
        yield compute


def _write(output: Path, result: Any) -> None:
    from hpcrg import estimate, figures

    estimates, data = result
    figures.save(output.with_suffix(".figures.json"), data)
    estimate.save(output, estimates)
