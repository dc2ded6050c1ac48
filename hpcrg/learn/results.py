"""All networks of all sizes together: the series file's blocks, the check against the posterior, figures,
networks.

Arrays: [network, chain, slot, draw], NaN where a network's seed did not hold the chain out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.bank import SeriesBlock
from hpcrg.campaign import TrainSpec
from hpcrg.figures import FigureData, Note
from hpcrg.learn import network_files, posterior
from hpcrg.learn.evaluate import Outputs, Values
from hpcrg.learn.network_files import About
from hpcrg.learn.objectives import Objective
from hpcrg.learn.posterior import Paired
from hpcrg.learn.result_figures import ABS_M, POSTERIOR, WORDS, scores, table, training
from hpcrg.learning_specs import network_file

FEWEST = 3
"""Held-out chains without which nothing can be said of a network that is too good."""
P_ABS_M = "p_abs_m"


@dataclass(frozen=True)
class Result:
    """What a training run leaves; `leaks` says which sizes are better than is possible."""

    blocks: list[SeriesBlock]
    figures: FigureData
    leaks: list[str]


@dataclass(frozen=True)
class Size:
    """All networks of one lattice size: the block, and scores [chain, slot, draw] of each architecture and baseline on
    chains that some seed held out, averaged over the seeds that did."""

    block: SeriesBlock
    outputs: Sequence[Outputs]
    scores: dict[str, Values]

    def paired(self, net: str) -> Paired:
        """An architecture against the exact posterior."""
        return posterior.paired(self.scores[net], self.scores[POSTERIOR], self.outputs[0].objective.grain)

    def trained(self, net: str) -> tuple[int, list[Outputs]]:
        """The size, and the outputs of the networks of an architecture that were trained on it."""
        return self.block.size, [o for o in self.outputs if o.net == net and o.source is o.trained]


def collect(outputs: Sequence[Outputs], name: str, spec: TrainSpec) -> Result:
    """Join the outputs of all jobs."""
    labels = dict.fromkeys(o.source.ensemble.label for o in outputs)
    sizes = [_size([o for o in outputs if o.source.ensemble.label == label], name, spec) for label in labels]
    leaks = [_leak(s, net, spec.objective) for s in sizes for net in spec.net if s.paired(net).leak]
    notes = [Note("failure", text) for text in leaks]
    notes += [Note("warning", _untested(s)) for s in sizes if len(s.scores[POSTERIOR]) < FEWEST]
    words = WORDS[spec.objective]
    trained = spec.net if spec.taught_by is None else ()
    drawn = [training(name, net, [t for t in (s.trained(net) for s in sizes) if t[1]]) for net in trained]
    drawn += [scores(name, words, spec.net, s.block, s.scores) for s in sizes]
    rows = [(str(s.block.size), net, s.paired(net), s.scores) for s in sizes for net in spec.net]
    return Result([s.block for s in sizes], FigureData(drawn, notes, [table(words, rows)]), leaks)


def networks(directory: Path, name: str, spec: TrainSpec, outputs: Iterable[Outputs]) -> None:
    """Write each network, with what it was trained on."""
    for o in outputs:
        if o.source is not o.trained:
            continue
        e = o.source.ensemble
        about = About(
            e.label, e.id, o.net, o.number, None if math.isnan(o.threshold) else o.threshold, o.split.training,
            o.split.validation, o.split.test, spec.objective, spec.channels, e.physics.states, e.geometry.dimension,
        )  # fmt: skip
        network_files.save(directory / network_file(name, e.label, o.net, o.number), about, o.weights)


def _size(outputs: Sequence[Outputs], name: str, spec: TrainSpec) -> Size:
    e = outputs[0].source.ensemble
    held = np.zeros((len(outputs), e.chains), dtype=bool)
    for row, o in zip(held, outputs, strict=True):
        row[list(o.split.test)] = True

    def spread(parts: Sequence[Values]) -> Values:
        out = np.full((len(outputs), e.chains, e.slots, e.draws), np.nan)
        for row, o, part in zip(out, outputs, parts, strict=True):
            row[list(o.split.test)] = part
        return out

    values = {key: spread([o.values[key] for o in outputs]) for key in outputs[0].values}
    objective = outputs[0].objective
    attrs = {"train": name, "nets": [o.net for o in outputs], "objective": spec.objective, "cold": spec.cold,
             "hot": spec.hot, "lattice": dict(e.lattice)}  # fmt: skip
    if P_ABS_M in values:
        attrs["abs_m_threshold"] = [o.threshold for o in outputs]
    block = SeriesBlock(
        e.label, e.size, e.id, dict(e.model), e.geometry.dimension, e.temperatures, values, held, attrs
    )  # fmt: skip
    best = spread([o.best for o in outputs])
    found: dict[str, Values] = {}
    for net in spec.net:
        of = [o.net == net for o in outputs]
        found[net] = _scores(objective, values[objective.output][of], held[of])
    if P_ABS_M in values:
        found[ABS_M] = _scores(objective, values[P_ABS_M], held)
    found[POSTERIOR] = _scores(objective, best, held)
    return Size(block, outputs, found)


def _scores(objective: Objective, reported: Values, held: NDArray[np.bool_]) -> Values:
    """Scores [chain, slot, draw] of the held-out chains, averaged over the networks that held each out."""
    each = np.where(np.isnan(reported), 0.0, objective.score(reported))
    times = held.sum(axis=0)
    tested = times > 0
    mean: Values = each.sum(axis=0)[tested] / times[tested, None, None, None].reshape(-1, 1, 1)
    return mean


def _leak(size: Size, net: str, objective: str) -> str:
    p, words = size.paired(net), WORDS[objective]
    return (f"{size.block.label}, {net}: expected {words.bound} {words.text(p.posterior)}, that of the exact "
            f"posterior on the same draws, found {words.text(p.network)}, {p.sigma:.1f} sigma better over {p.chains} "
            "chains: the network has seen its test data")  # fmt: skip


def _untested(size: Size) -> str:
    return (f"{size.block.label}: only {len(size.scores[POSTERIOR])} chain(s) were held out in all, too few to test "
            "whether the network is better than the exact posterior; use more chains or seeds")  # fmt: skip
