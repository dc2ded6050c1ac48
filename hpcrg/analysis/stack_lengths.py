"""The correlation length of a stack's bank, which is known above the critical temperature, and of what comes back from
the depths of the stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpcrg.analysis import correlation_length
from hpcrg.analysis.stack_files import Mean, Seed, Values
from hpcrg.correlations import exact_length
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate
from hpcrg.figures import Note, Table
from hpcrg.learning_specs import PLAIN
from hpcrg.system import System

LINES = "lines"


def run(name: str, seeds: Sequence[Seed], system: System) -> tuple[list[Estimate], list[Table], list[Note]]:
    """An estimate of the bank, whose chains are each tested by some seed, and a table by variant and depth."""
    about = seeds[0].about
    if not all(f"{variant}/{LINES}" in s.arrays for s in seeds for variant in about.variants):
        return [], [], [Note("info", f"stack {name}: files of an earlier version, without correlation lengths")]
    known = exact_length(system, about.beta)
    depths = range(seeds[0].layers + 1)
    rows = [[variant, *(_of_depth(seeds, f"{variant}/{LINES}", k) for k in depths)] for variant in about.variants]
    told = f", exact for the bank: {known.value:.4g}" if known else ""
    title = f"Correlation length, in spacings, of what comes back from so many layers up, {name}{told}"
    tables = [Table(title, ["stack", *("bank" if k == 0 else str(k) for k in depths)], rows)]
    by_chain = {c: s.arrays[f"{PLAIN}/{LINES}"][0][i] for s in seeds for i, c in enumerate(s.about.test)}
    if len(by_chain) < 2:
        return [], tables, []
    try:
        value, replicas, systematic = correlation_length.measured([by_chain[c] for c in sorted(by_chain)])
    except InputError as error:
        return [], tables, [Note("warning", f"stack {name}: {error}")]
    return [Estimate(
        "xi", "correlations of lines", about.model, (about.size,), value, {about.id: replicas}, systematic,
        (about.id,), known, {"chains": len(by_chain)},
    )], tables, []  # fmt: skip


def _of_depth(seeds: Sequence[Seed], key: str, k: int) -> str:
    """Mean over seeds; "none" where a seed's configurations have no length that the lattice holds."""
    values: list[float] = []
    for seed in seeds:
        whole: Values = seed.arrays[key][k].sum(axis=0)
        try:
            values.append(correlation_length.length(whole, correlation_length.nearest(whole)))
        except InputError:
            return "none"
    return str(Mean(np.array(values))) if np.isfinite(values).all() else "none"
