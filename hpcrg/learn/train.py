"""The training loop: distributed data parallel, one network a lattice size, architecture and seed, one after another.

Every process holds the whole network, takes its share of each batch, and averages gradients in the backward
pass. The processes agree at every step on the loss and on whether to stop. For a given seed and number of
processes the losses are the same bit for bit, with or without interruptions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hpcrg import figures
from hpcrg.bank import write_series
from hpcrg.campaign import TrainSpec
from hpcrg.comm import share
from hpcrg.errors import InputError, Interrupted, Leakage, expected
from hpcrg.learn import data, state
from hpcrg.learn.evaluate import Outputs, held_out
from hpcrg.learn.job import Job, jobs_of
from hpcrg.learn.limits import Limits
from hpcrg.learn.pace import Pace
from hpcrg.learn.place import Place
from hpcrg.learn.precision import forward
from hpcrg.learn.read_ahead import ahead
from hpcrg.learn.results import collect, networks
from hpcrg.learn.state import State
from hpcrg.learn.tensorboard_logs import Board
from hpcrg.learning_specs import LANES

DIVERGED = 20.0
"""Nats, or variances of the labels: a mean loss above this is not going to come back."""
READ_AHEAD = frozenset({"cuda"})
"""Types of device beside which batches are read ahead; a CPU has no time to spare for it (docs/networks.md)."""


def run(
    banks: Sequence[Path], name: str, spec: TrainSpec, seed: int, output: Path, directory: Path, place: Place,
    limits: Limits, report: Callable[[float, str], None],
) -> None:  # fmt: skip
    """Train all of `spec.networks` on every bank and write what each says of chains that it never saw: the
    series file `output`, figure data and the networks beside it. States are kept under `directory`, and the
    same call goes on from them. Called by all processes of `place`.

    Raises InputError for banks that cannot serve or a loss that diverges, Interrupted when stopped with
    everything kept, Leakage when a network is better than the exact posterior allows.
    """
    if place.world > LANES:
        raise InputError(expected(f"train {name}: processes", f"at most {LANES}", place.world))
    jobs = jobs_of(banks, name, spec, seed, directory)
    outputs: list[Outputs] = []
    board = Board(output.parent / "tensorboard")
    for index, job in enumerate(jobs):
        what = f"{job.source.ensemble.label} {job.net} seed {job.number}"
        pace = Pace()
        trained = train(job, place, limits, partial(_part, report, what, pace, index, len(jobs)), pace,
                        board)  # fmt: skip
        for tested in job.tested:
            found = held_out(tested, job.source, job.split, spec, job.objective, trained.net, (job.net, job.number),
                             place, limits.stop)  # fmt: skip
            outputs.append(found.with_curves(trained.loss, trained.validation, trained.best))
    report(1.0, "writing")
    result = place.from_first(lambda: _finish(outputs, name, spec, output))
    if result:
        raise Leakage(result)


def _part(report: Callable[[float, str], None], what: str, pace: Pace, index: int, jobs: int, fraction: float) -> None:
    report((index + fraction) / jobs, f"{what}, {pace}")


def train(
    job: Job, place: Place, limits: Limits, report: Callable[[float], None], pace: Pace, board: Board | None = None
) -> State:
    """One network from where its state file stands to the end; it then has the weights of its best epoch. Its curves
    are logged on `board`."""
    current = _begin(job, place)
    log = partial(board.keep, job, current, pace) if board else lambda: None
    model = DistributedDataParallel(current.net)
    training = job.runs(job.split.training)
    saved = time.monotonic()
    while current.epoch < job.spec.epochs and not current.stale(job.spec.patience):
        with closing(_epoch(job, training, current.epoch, place)) as batches:
            for _ in islice(batches, current.step):
                pass
            for batch in pace.timed(batches):
                late = place.rank == 0 and time.monotonic() - saved > limits.interval
                stop, late = _step(job, model, current, batch, place, (limits.stop(), late))
                if stop or late:
                    _save(job, current, place, log)
                    saved = time.monotonic()
                if stop:
                    raise Interrupted(f"{job.file.stem}: stopped at step {len(current.loss)}; the state is kept")
                report(job.done(len(current.loss)))
        _end_epoch(job, current, place, log)
    if board and place.rank == 0:
        board.mend(job, current)
    state.set_weights(current.net, current.best)
    return current


def _save(job: Job, current: State, place: Place, log: Callable[[], None]) -> None:
    """Keep the state. All processes call this, so that all end when the first cannot write."""
    place.from_first(lambda: _keep(job, current, log))


def _keep(job: Job, current: State, log: Callable[[], None]) -> None:
    if not all(bool(p.isfinite().all()) for p in current.net.parameters()):
        _check(job, current, "loss", math.nan)
    log()  # before the state: a network that is done has all of its log
    state.save(job.file, current)


def _step(
    job: Job, model: nn.Module, current: State, batch: data.Batch, place: Place, asked: tuple[bool, bool]
) -> tuple[bool, bool]:
    """One update of the weights by all processes together; whether any of them `asked` to stop, and to save."""
    for group in current.optimiser.param_groups:
        group["lr"] = job.rate_at(len(current.loss))
    loss = _loss(job, model, batch, place)
    current.optimiser.zero_grad()
    torch.autograd.backward(loss * place.world)
    norm = torch.stack([p.grad.square().sum() for p in model.parameters() if p.grad is not None]).sum()
    told = torch.tensor([float(loss.detach()), *map(float, asked)], dtype=torch.float64)
    mean, stops, saves = place.sum(told).tolist()
    _check(job, current, "loss", mean if math.isfinite(float(norm)) else math.nan)
    current.optimiser.step()
    current.loss.append(mean)
    current.step += 1
    return stops > 0, saves > 0


def _check(job: Job, current: State, what: str, value: float) -> None:
    """Raises InputError for a loss that is no number or is not going to come back."""
    if not (math.isfinite(value) and value < DIVERGED):
        where = f"{job.file.stem}, epoch {current.epoch}, step {current.step}"
        wanted = f"a {what} that stays below {DIVERGED} {job.objective.unit} with learning_rate {job.rate}"
        raise InputError(f"{where}: expected {wanted}, found {value}; the last good state is kept in {job.file}")


def _loss(job: Job, model: nn.Module, batch: data.Batch, place: Place) -> Tensor:
    """This process's part of the mean loss of the global batch."""
    codes = data.codes_on(place.device, batch.stored, batch.width)
    slot, real = data.on(place.device, batch.slot), data.on(place.device, batch.real)
    output = forward(model, codes, job.spec.precision)
    return (job.objective.loss(output, slot) * real).sum() / batch.total


def _end_epoch(job: Job, current: State, place: Place, log: Callable[[], None]) -> None:
    """Validate, keep the weights if they are the best, and save."""
    validation = _validate(job, current.net, place)
    _check(job, current, "validation loss", validation)
    if not current.validation or validation < min(current.validation):
        current.best = state.weights(current.net)
    current.validation.append(validation)
    current.epoch, current.step = current.epoch + 1, 0
    _save(job, current, place, log)


@torch.no_grad()
def _validate(job: Job, net: nn.Module, place: Place) -> float:
    """Mean loss on the validation chains, each process on its own runs."""
    runs = job.runs(job.split.validation)
    mine = [runs[i] for i in share(len(runs), place.world, place.rank)]
    total = torch.zeros(2, dtype=torch.float64)
    for run, stored in zip(mine, data.read(job.source, mine), strict=True):
        slot = torch.full((len(run),), run.slot, device=place.device)
        codes = data.codes_on(place.device, stored, job.source.width)
        output = forward(net, codes, job.spec.precision)
        losses = job.objective.loss(output, slot)
        total += torch.tensor([float(losses.double().sum()), len(run)])
    loss, count = place.sum(total).tolist()
    return float(loss / count)


def _begin(job: Job, place: Place) -> State:
    """The state as saved, or a fresh one, the same on every process."""
    net = job.network().to(place.device)
    current = State(net, torch.optim.Adam(net.parameters(), lr=job.rate))
    arrays = place.from_first(lambda: state.load(job.file))
    if arrays is not None:
        state.restore(current, arrays)
    else:
        _save(job, current, place, lambda: None)
    return current


def _epoch(job: Job, runs: Sequence[data.Run], epoch: int, place: Place) -> Generator[data.Batch]:
    address = (*job.address, epoch)
    batches = data.batches(job.source, runs, job.spec.batch, job.seed, address, place.rank, place.world)
    return ahead(batches) if place.device.type in READ_AHEAD else batches


def _finish(outputs: Sequence[Outputs], name: str, spec: TrainSpec, output: Path) -> str:
    """Write everything, unless a network is better than is possible; then say so and write only the
    figures."""
    result = collect(outputs, name, spec)
    figures.save(output.with_suffix(".figures.json"), result.figures)
    if result.leaks:
        return "\n".join(result.leaks)
    networks(output.parent / "networks", name, spec, outputs)
    write_series(output, result.blocks)
    return ""
