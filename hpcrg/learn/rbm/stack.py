"""Stacks of machines, trained from the lattice upwards, each on what the one below it draws from the configurations.

Mehta and Schwab (2014) read such a stack as successive RG steps. One job trains one seed: the stack and, on the same
chains, its null controls. All random numbers of a batch follow from where it stands (control, layer, epoch, batch),
and those of persistent chains from a generator that is kept in the checkpoint, so that a job that was stopped goes on
to the same weights, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpcrg import checkpoint
from hpcrg.errors import CorruptFile, InputError, Interrupted, expected
from hpcrg.learn import data
from hpcrg.learn.limits import Limits
from hpcrg.learn.rbm import controls
from hpcrg.learn.rbm.machine import LOW, Machine
from hpcrg.learn.rbm.training import Settings, Trainer, inverse_temperatures, start
from hpcrg.learning_specs import FOLDS, LANES, PLAIN, StackSpec
from hpcrg.rng import Purpose, id_words, stream

Arrays = dict[str, NDArray[Any]]
PARTS = ("weights", "visible", "hidden")
FIRST = 10
"""Batches that the biases and the chains of a machine start from."""


@dataclass(frozen=True)
class Job:
    """One seed of a stack: the bank, and the chains of it that this seed is trained on."""

    source: data.Source
    spec: StackSpec
    seed: int
    number: int

    @cached_property
    def split(self) -> data.Split:
        """Which chains train, and which are kept for the test: those of another fold for every seed, however many
        seeds there are. Nothing is chosen by validation, so that its chains train too."""
        e = self.source.ensemble
        found = data.split(e.label, e.chains, FOLDS, self.number)
        return data.Split(tuple(sorted(found.training + found.validation)), (), found.test)

    @property
    def variants(self) -> tuple[str, ...]:
        """The stack and its controls, in order."""
        return (PLAIN, *self.spec.controls)

    @property
    def units(self) -> tuple[int, ...]:
        """Of every layer, sites first."""
        return (self.source.volume, *self.spec.layers)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The fixed permutation of the sites."""
        return self.rng(len(controls.NAMES)).permutation(self.source.volume)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return data.steps(self._runs(self.split.training), self.spec.batch)

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits for all that the weights depend on."""
        e, spec = self.source.ensemble, self.spec.model_dump(exclude={"operators", "annealing", "ensemble", "seeds"})
        text = json.dumps([spec, self.seed, self.number, e.id, e.chains, e.draws], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rng(self, *address: int) -> np.random.Generator:
        """A generator for one place of this job."""
        words = (*id_words(self.source.ensemble.id), self.number, *address)
        return np.random.default_rng(stream(self.seed, Purpose.STACK, *words))

    def examples(
        self, variant: str, below: Sequence[Machine], epoch: int, device: torch.device, first: int = 0
    ) -> Iterator[Tensor]:
        """The batches of an epoch from number `first` on, [example, unit], as the machines `below` pass them on."""
        place = controls.NAMES.index(variant), len(below), epoch
        address = (*id_words(self.source.ensemble.id), self.number, *place)
        runs = self._runs(self.split.training)
        batches = data.batches(self.source, runs, self.spec.batch, self.seed, address, 0, 1)
        for number, batch in enumerate(islice(batches, first, None), first):
            rng = self.rng(*place, number)
            yield self.passed(variant, batch.codes, below, rng, device)[-1]

    def passed(
        self, variant: str, codes: NDArray[np.uint8], machines: Sequence[Machine], rng: np.random.Generator,
        device: torch.device,
    ) -> list[Tensor]:  # fmt: skip
        """What a variant sees of configurations [example, *lattice], and what every machine in turn draws from it."""
        seen = controls.seen(variant, codes.reshape(len(codes), -1), self.order, rng)
        low = LOW[self.spec.units]
        layers = [torch.from_numpy(seen).to(device, torch.float32) * (1.0 - low) + low]
        generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        for machine in machines:
            layers.append(machine.draw(machine.field_on_hidden(layers[-1]), generator))
        return layers

    def _runs(self, chains: Sequence[int]) -> list[data.Run]:
        return data.runs(self.source, chains, [0], LANES)


@dataclass
class Progress:
    """How far a job is: the finished machines of every variant by name, and the one under way."""

    machines: dict[str, list[Machine]] = field(default_factory=dict)
    trainer: Trainer | None = None


def train(
    job: Job, file: Path, device: torch.device, limits: Limits, report: Callable[[float, str], None]
) -> dict[str, list[Machine]]:  # fmt: skip
    """The machines of every variant, from where the checkpoint `file` stands. Raises InputError for weights that
    diverge, Interrupted after a commit when asked to stop, CorruptFile for an altered checkpoint."""
    current = _resume(job, file, device)
    saved = time.monotonic()
    for variant in job.variants:
        done = current.machines.setdefault(variant, [])
        while len(done) < len(job.spec.layers):
            if current.trainer is None:
                current.trainer = _begin(job, variant, done, device)
            for batch in _batches(job, variant, done, current.trainer.done, device):
                current.trainer.update(batch)
                stop = limits.stop()
                if stop or time.monotonic() - saved > limits.interval:
                    _save(job, file, current)
                    saved = time.monotonic()
                if stop:
                    raise Interrupted(f"{file}: stopped at {variant}, layer {len(done) + 1}; the state is kept")
                report(_fraction(job, current), f"{variant}, layer {len(done) + 1}")
            done.append(current.trainer.machine)
            current.trainer = None
    _save(job, file, current)
    return current.machines


def named(machines: dict[str, list[Machine]]) -> Arrays:
    """All machines as arrays, by variant, part and layer."""
    return {
        f"{variant}/{part}/{layer}": values.cpu().numpy()
        for variant, stack in machines.items()
        for layer, machine in enumerate(stack)
        for part, values in zip(PARTS, machine.parameters, strict=True)
    }


def _settings(job: Job, variant: str) -> Settings:
    s = job.spec
    return Settings(s.negative, s.steps, s.batch, job.steps * s.epochs, s.rate, controls.l1(variant, s.l1))


def _batches(job: Job, variant: str, below: Sequence[Machine], done: int, device: torch.device) -> Iterator[Tensor]:
    begun, first = divmod(done, job.steps)
    epochs = range(begun, job.spec.epochs)
    return chain.from_iterable(
        job.examples(variant, below, epoch, device, first if epoch == begun else 0) for epoch in epochs
    )


def _begin(job: Job, variant: str, below: Sequence[Machine], device: torch.device) -> Trainer:
    examples = torch.cat(list(islice(job.examples(variant, below, job.spec.epochs, device), FIRST)))
    place = controls.NAMES.index(variant), len(below), job.spec.epochs + 1
    generator = torch.Generator(device).manual_seed(int(job.rng(*place).integers(1 << 62)))
    hidden = job.spec.layers[len(below)]
    return start(examples, hidden, _settings(job, variant), generator, LOW[job.spec.units])


def _fraction(job: Job, current: Progress) -> float:
    """Of all updates, by what they cost."""
    costs = [a * b for a, b in pairwise(job.units)]
    layers = [len(current.machines.get(variant, [])) for variant in job.variants]
    spent = float(sum(sum(costs[:n]) for n in layers))
    if current.trainer is not None:
        under_way = next(n for n in layers if n < len(costs))
        spent += costs[under_way] * current.trainer.done / current.trainer.settings.updates
    return spent / (len(layers) * sum(costs))


def _save(job: Job, file: Path, current: Progress) -> None:
    arrays = named(current.machines)
    t = current.trainer
    if t is not None:
        arrays |= {f"trainer/{part}": p.cpu().numpy() for part, p in zip(PARTS, t.machine.parameters, strict=True)}
        arrays |= {"trainer/chains": t.chains.cpu().numpy(), "trainer/generator": t.generator.get_state().numpy(),
                   "trainer/place": np.array([t.done, t.parity])}  # fmt: skip
    bad = [name for name, values in arrays.items() if not np.isfinite(values).all()]
    if bad:
        wanted = f"weights that stay finite with rate {job.spec.rate}"
        raise InputError(f"{file}: expected {wanted}, found others in {bad[0]}; the last good state is kept")
    checkpoint.save(file, arrays)


def _resume(job: Job, file: Path, device: torch.device) -> Progress:
    if not file.exists():
        return Progress()
    arrays, low = checkpoint.load(file), LOW[job.spec.units]
    _check(job, file, arrays)
    found = Progress(stacks(arrays, job.variants, len(job.spec.layers), low, device))
    if "trainer/place" in arrays:
        variant = next(v for v in job.variants if len(found.machines.get(v, [])) < len(job.spec.layers))
        generator = torch.Generator(device)
        try:
            generator.set_state(torch.from_numpy(arrays["trainer/generator"]))
        except RuntimeError as error:
            raise CorruptFile(
                expected(f"{file}: trainer/generator", "a state of torch's generator", str(error))
            ) from None
        chains = torch.from_numpy(arrays["trainer/chains"]).to(device)
        done, parity = (int(v) for v in arrays["trainer/place"])
        machine = _machine(arrays, "trainer/{}", low, device)
        found.trainer = Trainer(machine, _settings(job, variant), chains, generator, done, parity)
    return found


def _check(job: Job, file: Path, arrays: Arrays) -> None:
    """Raises CorruptFile for a checkpoint that is not one of this job."""
    pairs = list(pairwise(job.units))
    done = {v: sum(f"{v}/weights/{k}" in arrays for k in range(len(pairs))) for v in job.variants}
    wanted: dict[str, tuple[tuple[int, ...], type]] = {}
    for variant, layers in done.items():
        for k, pair in enumerate(pairs[:layers]):
            wanted |= _machine_shapes(f"{variant}/{{}}/{k}", pair)
    open_ = [pairs[n] for n in done.values() if n < len(pairs)]
    if any(name.startswith("trainer/") for name in arrays) and open_:
        rungs = len(inverse_temperatures(_settings(job, PLAIN)))
        size = torch.Generator().get_state().numel()
        wanted |= _machine_shapes("trainer/{}", open_[0])
        wanted |= {"trainer/chains": ((rungs, job.spec.batch, open_[0][0]), np.float32),
                   "trainer/generator": ((size,), np.uint8), "trainer/place": ((2,), np.int64)}  # fmt: skip
    for name in wanted.keys() | arrays.keys():
        found = arrays.get(name)
        told = None if found is None else (found.shape, found.dtype.type)
        if told != wanted.get(name):
            raise CorruptFile(expected(f"{file}: {name}", f"shape and type {wanted.get(name)}", told))
    at = arrays.get("trainer/place")
    if at is not None and not (0 <= at[0] <= job.steps * job.spec.epochs and at[1] in (0, 1)):
        raise CorruptFile(expected(f"{file}: trainer/place", "an update of this job and a parity", at.tolist()))


def _machine_shapes(name: str, pair: tuple[int, int]) -> dict[str, tuple[tuple[int, ...], type]]:
    shapes = zip(PARTS, (pair, pair[:1], pair[1:]), strict=True)
    return {name.format(part): (shape, np.float32) for part, shape in shapes}


def stacks(
    arrays: Arrays, variants: Sequence[str], layers: int, low: float, device: torch.device
) -> dict[str, list[Machine]]:  # fmt: skip
    """The machines that `named` wrote."""
    return {
        variant: [
            _machine(arrays, f"{variant}/{{}}/{k}", low, device)
            for k in range(layers)
            if f"{variant}/weights/{k}" in arrays
        ]
        for variant in variants
    }


def _machine(arrays: Arrays, name: str, low: float, device: torch.device) -> Machine:
    weights, visible, hidden = (torch.from_numpy(arrays[name.format(part)]).to(device) for part in PARTS)
    return Machine(weights, visible, hidden, low)
