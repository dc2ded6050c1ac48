"""Curves of trainings, and how good networks are beside the best that is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpcrg.bank import SeriesBlock
from hpcrg.figures import Curve, Figure, Table
from hpcrg.learn.evaluate import Outputs, Values
from hpcrg.learn.posterior import Paired

CURVE_POINTS = 60
ABS_M, POSTERIOR = "|m|", "posterior"


@dataclass(frozen=True)
class Words:
    """How the scores of an objective are told: `shown` makes the number of a figure or table of mean scores."""

    question: str
    axis: str
    column: str
    bound: str
    difference: str
    caption: str
    shown: Callable[[Values], Values]

    def text(self, score: float) -> str:
        """A mean score as a number."""
        return f"{float(self.shown(np.array(score))):.4g}"


def _root(score: Values) -> Values:
    root: Values = np.sqrt(-score)
    return root


WORDS: Mapping[str, Words] = {
    "classifier": Words(
        "Cold or hot half of the ladder?", "fraction of held-out draws put right", "right", "an accuracy of at most",
        "network - posterior",
        "The exact posterior knows the energy only, and nothing can be better over the whole ladder; the network was "
        "shown its ends only.", lambda score: score,
    ),
    "regressor": Words(
        "Which temperature?", "root mean square error of 1/T (k_B/J)", "rms error of 1/T",
        "a root mean square error of at least", "mean squares: posterior - network",
        "The exact posterior knows the energy only, and nothing can be better over the whole ladder, though it can be "
        "at one temperature.", _root,
    ),
}  # fmt: skip


def training(name: str, net: str, sizes: Sequence[tuple[int, Sequence[Outputs]]]) -> Figure:
    """Losses of one architecture at each size: steps in bins, and validation by epoch, means over seeds."""
    curves = []
    for size, trained in sizes:
        epochs = min(len(o.validation) for o in trained)
        each = min(len(o.loss) // len(o.validation) for o in trained)  # more where fewer chains are held out
        loss = np.mean([o.loss[: epochs * each] for o in trained], axis=0)
        width = max(1, len(loss) // CURVE_POINTS)
        bins = loss[: len(loss) // width * width].reshape(-1, width).mean(axis=1)
        steps = (np.arange(len(bins)) + 0.5) * width
        validation = np.mean([o.validation[:epochs] for o in trained], axis=0)
        ends = np.arange(1, epochs + 1) * float(each)
        label = f"L = {size}"
        curves.append(Curve(f"{label}, training", steps.tolist(), bins.tolist(), None, "line"))
        curves.append(Curve(f"{label}, validation", ends.tolist(), validation.tolist(), None, "points"))
    unit = sizes[0][1][0].objective.unit
    return Figure(
        f"{name}-training-{net}", f"Training of {name}, {net}", "step", f"loss ({unit})", curves,
        "Mean over seeds of the loss on labelled slots; validation on a chain that is not trained on.",
        yscale="log",
    )  # fmt: skip


def scores(
    name: str, words: Words, nets: Sequence[str], block: SeriesBlock, found: Mapping[str, Values]
) -> Figure:  # fmt: skip
    """Mean scores [chain, slot, draw] of each architecture and of what it is compared with, by temperature."""
    titles = {**{net: net for net in nets}, ABS_M: "|m|, one parameter", POSTERIOR: "exact posterior"}
    x = block.temperatures.tolist()
    curves = []
    for key, title in titles.items():
        if key not in found:
            continue
        by_chain = words.shown(found[key].mean(axis=2))
        n = len(by_chain)
        error = (by_chain.std(axis=0, ddof=1) / np.sqrt(n)).tolist() if n > 1 else None
        curves.append(Curve(title, x, by_chain.mean(axis=0).tolist(), error, "both"))
    return Figure(
        f"{name}-accuracy-{block.label}", f"{words.question} L = {block.size}", "temperature T (J / k_B)", words.axis,
        curves, f"Held-out chains at all temperatures. {words.caption} Errors over chains.",
    )  # fmt: skip


def table(words: Words, rows: Sequence[tuple[str, str, Paired, Mapping[str, Values]]]) -> Table:
    """Size, architecture, its comparison with the posterior and all scores, a line each."""
    has_abs_m = any(ABS_M in found for *_, found in rows)
    columns = ["L", "held-out chains", "network", words.column, *([ABS_M] if has_abs_m else []), "exact posterior",
               words.difference, "sigma, one-sided"]  # fmt: skip
    lines = []
    for size, net, p, found in rows:
        baseline = [words.text(float(found[ABS_M].mean()))] if has_abs_m else []
        lines.append([
            size, str(p.chains), net, words.text(p.network), *baseline, words.text(p.posterior),
            f"{p.difference:+.3g} +- {p.error:.2g}", f"{p.sigma:+.1f}",
        ])  # fmt: skip
    return Table("Over the whole ladder, on the same held-out draws", columns, lines)
