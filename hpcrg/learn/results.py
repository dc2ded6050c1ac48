"""All networks of all sizes together: the series file's blocks, the check against the posterior, figures,
networks.

Arrays: [network, chain, slot, draw], NaN where a network's seed did not hold the chain out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg import checkpoint
from hpcrg.bank import SeriesBlock
from hpcrg.campaign import TrainSpec
from hpcrg.figures import Curve, Figure, FigureData, Note, Table
from hpcrg.learn import posterior
from hpcrg.learn.evaluate import Outputs, Values
from hpcrg.learn.posterior import Paired

CURVE_POINTS = 60
FEWEST = 3
"""Held-out chains without which nothing can be said of a network that is too good."""
ABS_M, POSTERIOR = "|m|", "posterior"


@dataclass(frozen=True)
class Result:
    """What a training run leaves; `leaks` says which sizes are better than is possible."""

    blocks: list[SeriesBlock]
    figures: FigureData
    leaks: list[str]


@dataclass(frozen=True)
class Size:
    """All networks of one lattice size: the block, and correct answers [chain, slot, draw] of each architecture and
    baseline on chains that some seed held out, averaged over the seeds that did."""

    block: SeriesBlock
    outputs: Sequence[Outputs]
    correct: dict[str, Values]

    def paired(self, net: str) -> Paired:
        """An architecture against the exact posterior."""
        return posterior.paired(self.correct[net], self.correct[POSTERIOR])


def collect(outputs: Sequence[Outputs], name: str, spec: TrainSpec) -> Result:
    """Join the outputs of all jobs."""
    labels = dict.fromkeys(o.source.ensemble.label for o in outputs)
    sizes = [_size([o for o in outputs if o.source.ensemble.label == label], name, spec) for label in labels]
    leaks = [_leak(s, net) for s in sizes for net in spec.net if s.paired(net).leak]
    notes = [Note("failure", text) for text in leaks]
    notes += [Note("warning", _untested(s)) for s in sizes if len(s.correct[POSTERIOR]) < FEWEST]
    drawn = [*(_training(name, net, sizes) for net in spec.net), *(_accuracy(name, spec.net, s) for s in sizes)]
    return Result([s.block for s in sizes], FigureData(drawn, notes, [_table(spec.net, sizes)]), leaks)


def networks(directory: Path, name: str, outputs: Iterable[Outputs]) -> None:
    """Write each network: its weights by name and, as JSON, what it was trained on."""
    for o in outputs:
        if o.source is not o.trained:
            continue
        e = o.trained.ensemble
        about = {"label": e.label, "ensemble": e.id, "net": o.net, "seed": o.number, "abs_m_threshold": o.threshold}
        about |= {"training": o.split.training, "validation": o.split.validation, "test": o.split.test}
        text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        path = directory / f"{name}-{e.label}-{o.net}-seed{o.number}.network"
        checkpoint.save(path, {"about": text} | {f"weight/{k}": v for k, v in o.weights.items()})


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
    attrs = {"train": name, "nets": [o.net for o in outputs], "objective": spec.objective, "cold": spec.cold,
             "hot": spec.hot, "abs_m_threshold": [o.threshold for o in outputs]}  # fmt: skip
    block = SeriesBlock(
        e.label, e.size, e.id, dict(e.model), e.geometry.dimension, e.temperatures, values, held, attrs
    )  # fmt: skip
    exact = spread([o.posterior for o in outputs])
    correct: dict[str, Values] = {}
    for net in spec.net:
        of = [o.net == net for o in outputs]
        correct[net] = _correct(values["p"][of], held[of])
    correct |= {ABS_M: _correct(values["p_abs_m"], held), POSTERIOR: _correct(exact, held)}
    return Size(block, outputs, correct)


def _correct(p: Values, held: NDArray[np.bool_]) -> Values:
    """Correct answers [chain, slot, draw] of the held-out chains, averaged over the networks that held each
    out."""
    right = np.where(np.isnan(p), 0.0, posterior.correct(p))
    times = held.sum(axis=0)
    tested = times > 0
    mean: Values = right.sum(axis=0)[tested] / times[tested, None, None, None].reshape(-1, 1, 1)
    return mean


def _leak(size: Size, net: str) -> str:
    p = size.paired(net)
    return (f"{size.block.label}, {net}: expected an accuracy of at most {p.posterior:.4f}, that of the exact "
            f"posterior on the same draws, found {p.network:.4f}, {p.sigma:.1f} sigma above over {p.chains} "
            "chains: the network has seen its test data")  # fmt: skip


def _untested(size: Size) -> str:
    return (f"{size.block.label}: only {len(size.correct[POSTERIOR])} chain(s) were held out in all, too few to test "
            "whether the network is better than the exact posterior; use more chains or seeds")  # fmt: skip


def _training(name: str, net: str, sizes: Sequence[Size]) -> Figure:
    curves = []
    for s in sizes:
        trained = [o for o in s.outputs if o.net == net]
        shortest = min(len(o.loss) for o in trained)  # seeds that hold out fewer chains take more steps
        loss = np.mean([o.loss[:shortest] for o in trained], axis=0)
        width = max(1, len(loss) // CURVE_POINTS)
        bins = loss[: len(loss) // width * width].reshape(-1, width).mean(axis=1)
        steps = (np.arange(len(bins)) + 0.5) * width
        validation = np.array([o.validation for o in trained])
        ends = np.arange(1, validation.shape[1] + 1) * (len(loss) / validation.shape[1])
        label = f"L = {s.block.size}"
        curves.append(Curve(f"{label}, training", steps.tolist(), bins.tolist(), None, "line"))
        each = validation.mean(axis=0).tolist()
        curves.append(Curve(f"{label}, validation", ends.tolist(), each, None, "points"))
    return Figure(
        f"{name}-training-{net}", f"Training of {name}, {net}", "step", "loss (nats)", curves,
        "Mean over seeds of the loss on labelled slots; validation on a chain that is not trained on.",
        yscale="log",
    )  # fmt: skip


def _accuracy(name: str, nets: Sequence[str], size: Size) -> Figure:
    titles = {**{net: net for net in nets}, ABS_M: "|m|, one parameter", POSTERIOR: "exact posterior"}
    x = size.block.temperatures.tolist()
    curves = []
    for key, title in titles.items():
        by_chain = size.correct[key].mean(axis=2)
        n = len(by_chain)
        error = (by_chain.std(axis=0, ddof=1) / np.sqrt(n)).tolist() if n > 1 else None
        curves.append(Curve(title, x, by_chain.mean(axis=0).tolist(), error, "both"))
    return Figure(
        f"{name}-accuracy-{size.block.label}", f"Cold or hot half of the ladder? L = {size.block.size}",
        "temperature T (J / k_B)", "fraction of held-out draws put right", curves,
        "Held-out chains at all temperatures. The exact posterior knows the energy only, and nothing can "
        "be better over the whole ladder; the network was shown its ends only. Errors over chains.",
    )  # fmt: skip


def _table(nets: Sequence[str], sizes: Sequence[Size]) -> Table:
    columns = ["L", "held-out chains", "network", "right", ABS_M, "exact posterior", "network - posterior",
               "sigma, one-sided"]  # fmt: skip
    rows = []
    for s in sizes:
        for net in nets:
            p = s.paired(net)
            rows.append([
                str(s.block.size), str(p.chains), net, f"{p.network:.4f}", f"{s.correct[ABS_M].mean():.4f}",
                f"{p.posterior:.4f}", f"{p.difference:+.4f} +- {p.error:.4f}", f"{p.sigma:+.1f}",
            ])  # fmt: skip
    return Table("Accuracy over the whole ladder, on the same held-out draws", columns, rows)
