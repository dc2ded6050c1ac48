"""Networks that another campaign trained, tested on banks of this one: nothing is trained.

Every chain is held out for every network, but in a bank of the ensemble that a network was trained on: there those
chains are that it did not see. There is no state: what was interrupted begins again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hpcrg import figures
from hpcrg.bank import write_series
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError, Interrupted, Leakage, expected
from hpcrg.figures import Note
from hpcrg.files import sha256
from hpcrg.learn import data, network_files
from hpcrg.learn.evaluate import Outputs, held_out
from hpcrg.learn.network_files import About, Network
from hpcrg.learn.objectives import OBJECTIVES
from hpcrg.learn.place import Place
from hpcrg.learn.results import collect
from hpcrg.learning_specs import Net, TeacherSpec


def run(
    banks: Sequence[Path], name: str, spec: TrainSpec, directory: Path, output: Path, place: Place,
    stop: Callable[[], bool], report: Callable[[float, str], None],
) -> None:  # fmt: skip
    """Write what the networks in `directory` that `spec.taught_by` names say of every bank: the series file `output`
    and figure data. Called by all processes of `place`.

    Raises InputError for networks that are missing, altered, or made for something else, Interrupted when stopped,
    Leakage when a network is better than the exact posterior allows.
    """
    sources = data.sources(banks, f"train {name}")
    networks = place.from_first(lambda: load(directory, name, spec, sources))
    splits = {(s.path, n.path): _split(s, n.about, n.path) for s in sources for n in networks}
    outputs: list[Outputs] = []
    for source in sources:
        objective = OBJECTIVES[spec.objective](source.ensemble.betas, spec.cold, spec.hot)
        for network in networks:
            of = network.about
            report(len(outputs) / len(splits), f"{source.ensemble.label} {of.net} seed {of.seed}")
            net = network.module(source.ensemble.geometry.shape, spec.precision).to(place.device)
            try:
                outputs.append(held_out(
                    source, None, splits[source.path, network.path], spec, objective, net, (of.net, of.seed), place,
                    stop, math.nan if of.abs_m_threshold is None else of.abs_m_threshold,
                ))  # fmt: skip
            except Interrupted:
                raise Interrupted(f"train {name}: stopped; the same command begins again") from None
    report(1.0, "writing")
    result = place.from_first(lambda: _finish(outputs, networks, name, spec, output))
    if result:
        raise Leakage(result)


def load(directory: Path, name: str, spec: TrainSpec, sources: Sequence[data.Source]) -> list[Network]:
    """All networks that are asked for, architecture by architecture and seed by seed. Raises InputError for one that is
    missing, altered, not what its name says, or not made for these banks."""
    teacher = spec.taught_by
    if teacher is None:
        raise InputError(expected(f"train {name}: taught_by", "where networks were trained", None))
    return [_one(directory, teacher, spec, net, seed, sources) for net, seed in spec.networks]


def _one(
    directory: Path, teacher: TeacherSpec, spec: TrainSpec, net: Net, seed: int, sources: Sequence[data.Source]
) -> Network:
    path = directory / teacher.file(net, seed)
    if not path.exists():
        raise InputError(expected(str(path), teacher.first, "no such file"))
    network = network_files.load(path)
    of = network.about
    wanted = {"label": f"{teacher.ensemble}-L{teacher.size}", "net": net, "seed": seed, "objective": spec.objective}
    for key, value in wanted.items():
        if getattr(of, key) != value:
            raise InputError(expected(f"{path}: {key}", repr(value), getattr(of, key)))
    for source in sources:
        e = source.ensemble
        where = f"{path}: for {e.label}"
        if of.states != e.physics.states:
            raise InputError(expected(f"{where}: states of a spin", str(e.physics.states), of.states))
        if of.dimension != e.geometry.dimension:
            raise InputError(expected(f"{where}: dimension of the lattice", str(e.geometry.dimension), of.dimension))
        network.module(e.geometry.shape, spec.precision)
    return network


def _split(source: data.Source, of: About, path: Path) -> data.Split:
    """The chains of a bank that a network did not see. Raises InputError where there is none."""
    e = source.ensemble
    if of.ensemble != e.id:
        return data.Split((), (), tuple(range(e.chains)))
    training, validation = (tuple(c for c in seen if c < e.chains) for seen in (of.training, of.validation))
    test = tuple(c for c in range(e.chains) if c not in (*training, *validation))
    if not test:
        raise InputError(expected(f"{path}: for {e.label}", "chains that it was not trained on", "none"))
    return data.Split(training, validation, test)


def _finish(
    outputs: Sequence[Outputs], networks: Sequence[Network], name: str, spec: TrainSpec, output: Path
) -> str:  # fmt: skip
    """Write everything, unless a network is better than is possible; then say so and write only the figures."""
    result = collect(outputs, name, spec)
    on = ", ".join(dict.fromkeys(f"{n.about.label} ({n.about.ensemble})" for n in networks))
    told = f"{name}: nothing was trained here; these are networks of {_source(spec)}, trained on {on}"
    data_ = replace(result.figures, notes=[Note("info", told), *result.figures.notes])
    figures.save(output.with_suffix(".figures.json"), data_)
    if result.leaks:
        return "\n".join(result.leaks)
    taught = {"taught_by": _source(spec), "networks": {n.path.name: sha256(n.path) for n in networks}}
    write_series(output, [replace(b, attrs={**b.attrs, **taught}) for b in result.blocks])
    return ""


def _source(spec: TrainSpec) -> str:
    return f"{spec.taught_by.campaign}, train.{spec.taught_by.train}" if spec.taught_by else ""
