"""Training stacks of machines and hierarchical networks in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hpcrg import checkpoint
from hpcrg.edges.job import job
from hpcrg.edges.signals import stop_requests
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate
from hpcrg.figures import FigureData
from hpcrg.learning_specs import STACK_SCHEMA, HierarchySpec, StackSpec
from hpcrg.progress import reporting

STATE = "checkpoint"


def run_stack(
    bank: Path, name: str, spec: StackSpec, seed: int, number: int, output: Path, state: Path,
    time_limit: float | None, interval: float,
) -> None:  # fmt: skip
    """Train and test seed `number` of the stack `name`; goes on from the checkpoint under `state`. Raises InputError
    for a number beyond `spec.seeds` and when another run holds the state."""
    import torch

    from hpcrg.learn import data
    from hpcrg.learn.limits import Limits
    from hpcrg.learn.rbm import evaluate, stack

    if not 0 <= number < spec.seeds:
        raise InputError(expected(f"stack {name}: --number", f"0 to {spec.seeds - 1}", number))
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = stack.Job(data.source(bank), spec, seed, number)
    e = wanted.source.ensemble
    with job(f"stack {name}", f"seed {number}", wanted.id, output, state, None, time_limit) as run:
        limits = Limits(interval, run.stop)
        machines = stack.train(wanted, state / wanted.id / STATE, device, limits, run.report)
        found = evaluate.run(wanted, machines, device, run.stop, run.report)
        about = {
            "schema": STACK_SCHEMA, "stack": name, "number": number, "id": e.id, "label": e.label,
            "model": e.physics.name, "beta": e.betas[0], "size": e.size, "shape": e.geometry.shape,
            "units": wanted.units, "variants": wanted.variants, "operators": spec.operators,
            "passes": evaluate.PASSES, "test": wanted.split.test, "draws": e.draws,
        }  # fmt: skip
        arrays: stack.Arrays = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
        checkpoint.save(output, arrays | {"order": wanted.order} | stack.named(machines) | found)


def run_hierarchy(
    bank: Path, name: str, spec: HierarchySpec, seed: int, time_limit: float | None
) -> tuple[list[Estimate], FigureData]:
    """What hierarchical networks and trees make of a bank."""
    import torch

    from hpcrg.learn import data, hierarchies

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with stop_requests(time_limit) as stop, reporting(f"hierarchy {name}") as report:
        return hierarchies.run(data.source(bank), name, spec, seed, stop, report)
