"""How long every step of a campaign will run and how much memory it takes, and what steps that are done have taken.

A step runs START of its kind, counted in the time that this host takes to import the sampler, and then its work: that
of sampling by kernels timed on this host (plan.py), that of an analysis by what one of its innermost operations takes.
Steps that are done correct the others of their kind: by the median of what they took over what was predicted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from hpcrg.campaign import Campaign
from hpcrg.ensemble import Ensemble
from hpcrg.learning_specs import ANNEALED, FOLDS, HierarchySpec, StackSpec, TrainSpec
from hpcrg.plan import Cost, SeriesCost, Timings
from hpcrg.provenance import Run, read_sidecar
from hpcrg.specs import FlowSpec

IMPORT = "import of the sampler"
START = {"tune": 2.0, "sample": 2.5, "produce": 2.5, "inspect": 2.5, "flow": 9.0, "scale": 9.0, "train": 12.0,
         "scale --train": 4.0, "stack": 6.0, "fields": 4.0, "hierarchy": 6.0, "evaluate": 4.0,
         "report": 10.5}  # fmt: skip
"""What a step takes beside its work, in imports of the sampler."""
MEGABYTES = {"tune": 240, "sample": 235, "produce": 235, "inspect": 210, "flow": 300, "scale": 300, "train": 560,
             "scale --train": 300, "stack": 450, "fields": 300, "hierarchy": 300, "evaluate": 260,
             "report": 260}  # fmt: skip
"""What a process takes before it holds data: the interpreter, libraries and kernels."""
OPERATOR_SUM = 1.6
"""Nanoseconds a site, operator and level of a flow."""
REDUCING = 1800.0
"""Nanoseconds a measurement of all reductions of a scaling analysis."""
PASS = 12.0
"""Nanoseconds a site, colour, channel and pass of a cnn; an update of the weights is three passes."""
SHARE = {"cnn": 1.0, "resnet": 0.8, "dense": 0.25}
"""Of that, by architecture."""
WEIGHT = 0.4
"""Nanoseconds a weight, example and sweep of a machine; an update is two sweeps and two more for its gradient."""
WHOLE, WINDOW = 50.0, 2.5e5
"""Nanoseconds an iteration, level and configuration of a ring, or site of one whose windows are learned."""
INSPECTING = 150.0
"""Nanoseconds a measurement."""
INSPECTED = 40.0
"""Bytes a measurement of one ensemble."""
FEWEST_SECONDS = 0.1


@dataclass(frozen=True)
class Step:
    """One step of a campaign: its kind and name, the file that it leaves, its processes, the seconds it runs and the
    bytes of all its processes as predicted, how many earlier steps corrected that, and the run that made the file."""

    kind: str
    name: str
    output: Path
    processes: int
    seconds: float
    memory: float
    earlier: int = 0
    used: Run | None = None

    @property
    def title(self) -> str:
        """Kind and name, as `hpcrg status` gives them."""
        return f"{self.kind} {self.name}".strip()


def steps(campaign: Campaign, results: Path, timings: Timings, costs: Sequence[Cost | SeriesCost]) -> list[Step]:
    """All steps, those of `costs` first and in that order, predictions corrected by those that are done."""
    raw = [replace(s, used=_used(s)) for s in _raw(campaign, results / campaign.name, timings, costs)]
    done = [s for s in raw if s.used]
    return [_corrected(s, [d for d in done if d.kind == s.kind and d is not s]) for s in raw]


def _corrected(step: Step, earlier: list[Step]) -> Step:
    if not earlier:
        return step
    seconds = median(d.used["seconds"] / max(d.seconds, FEWEST_SECONDS) for d in earlier if d.used)
    memory = median(d.used["memory"] / d.memory for d in earlier if d.used)
    return replace(step, seconds=step.seconds * seconds, memory=step.memory * memory, earlier=len(earlier))


def _used(step: Step) -> Run | None:
    """The run that made the file of a step from nothing to its end, with as many processes."""
    runs = read_sidecar(step.output)
    if len(runs) != 1 or runs[0].get("outcome") != "finished" or not step.output.exists():
        return None
    told = runs[0]
    same = told["ranks"] == step.processes or step.kind in ("flow", "scale")
    return told if same and told.get("memory") else None


def _raw(campaign: Campaign, out: Path, timings: Timings, costs: Sequence[Cost | SeriesCost]) -> Iterator[Step]:
    started = timings.get(IMPORT, _import)
    for step in [*(_sampling(campaign, out, cost) for cost in costs), *_others(campaign, out, costs)]:
        processes = 1 + step.processes if step.kind in ("flow", "scale") else step.processes
        memory = step.memory + 1e6 * processes * MEGABYTES[step.kind]
        yield replace(step, seconds=step.seconds + started * START[step.kind], memory=memory)


def _import() -> float:
    """Seconds, the second time, when the files are in memory."""
    command = [sys.executable, "-c", "import hpcrg.edges.sampling"]
    subprocess.run(command, check=True)
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun


def _sampling(campaign: Campaign, out: Path, cost: Cost | SeriesCost) -> Step:
    """Sampling an ensemble, or producing a series. Ranks beyond the chains share walkers where they can."""
    ranks, made = campaign.resources.ranks, cost.ensemble if isinstance(cost, Cost) else cost.series
    groups = min(ranks, made.chains)
    divisible = isinstance(made, Ensemble) and made.layout.divisible
    share = -(-made.chains // groups) / made.chains * (groups / ranks if divisible else 1.0)
    kind, folder = ("sample", "banks") if isinstance(made, Ensemble) else ("produce", "series")
    file = out / folder / f"{made.label}.h5"
    return Step(kind, made.label, file, ranks, 3600 * cost.core_hours * share, ranks * cost.memory)


def _others(campaign: Campaign, out: Path, costs: Sequence[Cost | SeriesCost]) -> Iterator[Step]:
    for cost in costs:
        if isinstance(cost, Cost) and cost.tuning_hours:
            label = cost.ensemble.label
            yield Step("tune", label, out / "ladders" / f"{label}.json", 1, 3600 * cost.tuning_hours, cost.memory)
    ensembles = [cost.ensemble for cost in costs if isinstance(cost, Cost)]
    if ensembles:
        sizes = [_measured(e) for e in ensembles]
        seconds, memory = INSPECTING * 1e-9 * sum(sizes), INSPECTED * max(sizes)
        yield Step("inspect", "", out / "inspect.figures.json", 1, seconds, memory)
    workers, processes = campaign.resources.workers, campaign.resources.processes
    groups = {group: [e for e in ensembles if e.group == group] for group in campaign.ensembles_}
    for name, flow in campaign.flow.items():
        seconds = sum(_flow(flow, e) for e in groups[flow.ensemble]) / workers
        yield Step("flow", name, out / "flow" / f"{name}.json", workers, seconds, 0.0)
    for name, scale in campaign.scale.items():
        seconds = sum(REDUCING * 1e-9 * _measured(e) for e in groups[scale.ensemble]) / workers
        yield Step("scale", name, out / "scale" / f"{name}.json", workers, seconds, 0.0)
    for name, train in campaign.train.items():
        banks = groups[train.ensemble]
        seconds = sum(_train(train, e) for e in banks) / processes
        held = max(e.geometry.volume * e.chains * e.slots * e.draws for e in banks)
        yield Step("train", name, out / "train" / name / "series.h5", processes, seconds, float(processes * held))
        yield Step("scale --train", name, out / "train" / name / "estimates.json", 1, 0.0, 0.0)
    for name, stack in campaign.stack.items():
        for number, file in enumerate(campaign.stack_files(name)):
            seconds = sum(_stack(stack, e) for e in groups[stack.ensemble])
            yield Step("stack", f"{name}{number}", out / file, 1, seconds, 0.0)
        yield Step("fields", name, out / "stack" / f"{name}.json", 1, 0.0, 0.0)
    for name, hierarchy in campaign.hierarchy.items():
        seconds = sum(_hierarchy(hierarchy, e) for e in groups[hierarchy.ensemble])
        yield Step("hierarchy", name, out / "hierarchy" / f"{name}.json", 1, seconds, 0.0)
    for name in campaign.series_specs:
        yield Step("evaluate", name, out / "evaluate" / f"{name}.json", 1, 0.0, 0.0)
    yield Step("report", "", out / "report.html", 1, 0.0, 0.0)


def _measured(e: Ensemble) -> float:
    return float(e.chains * e.copies * max(1, e.slots) * e.measurements)


def _flow(spec: FlowSpec, e: Ensemble) -> float:
    """Seconds of one core."""
    shrink = float(spec.factor) ** -e.geometry.dimension
    sites = e.geometry.volume * sum(shrink**level for level in range(spec.levels + 1))
    operators = len(spec.even) + len(spec.odd) * e.physics.components
    return OPERATOR_SUM * 1e-9 * e.chains * e.draws * sites * operators


def _train(spec: TrainSpec, e: Ensemble) -> float:
    """Seconds of one core: updates of the weights on the labelled draws of the chains in training, and one pass over
    all of those held out, for every seed; for networks of another campaign one pass over all draws."""
    draws = e.draws * e.chains / max(2, spec.seeds)
    updates = (
        0.0
        if spec.size not in (None, e.size)
        else 3.0 * spec.epochs * draws * (max(2, spec.seeds) - 1) * (spec.cold + spec.hot)
    )
    if spec.taught_by is not None:
        updates, draws = 0.0, float(e.draws * e.chains)
    networks = spec.seeds * sum(SHARE[net] for net in spec.net)
    colours = 1 if e.physics.states == 2 else e.physics.states
    sites = e.geometry.volume * colours
    return PASS * 1e-9 * spec.channels * sites * networks * (updates + draws * e.slots)


def _hierarchy(spec: HierarchySpec, e: Ensemble) -> float:
    """Seconds of one core: every start of networks and trees, as if all iterations were needed."""
    fits = 2 * min(spec.folds, e.chains) * spec.starts * spec.iterations
    sites = e.geometry.volume
    cost = WHOLE * 2**sites if spec.window == "whole" else WINDOW * sites
    return 1e-9 * fits * spec.levels * cost


def _stack(spec: StackSpec, e: Ensemble) -> float:
    """Seconds of one core for one seed: all epochs of the stack and its controls, and ln Z from both sides."""
    units = (e.geometry.volume, *spec.layers)
    weights = sum(a * b for a, b in pairwise(units))
    examples = spec.epochs * e.draws * e.chains * (1.0 - 1.0 / min(e.chains, FOLDS))
    sweeps = (2 + 2 * spec.steps) * (1 + len(spec.controls)) * examples * weights
    annealed = 2 * 2 * 2 * spec.annealing * ANNEALED * units[0] * units[1]
    return WEIGHT * 1e-9 * (sweeps + annealed)
