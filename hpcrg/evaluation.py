"""From files of produced series to estimates and figure data: each method by its own rules, all sizes of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpcrg.bank import read_produced
from hpcrg.campaign import Campaign
from hpcrg.dimers import estimates as dimers
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate
from hpcrg.figures import FigureData, Table
from hpcrg.flat_histogram import estimates as flat_histogram
from hpcrg.percolation import estimates as percolation
from hpcrg.population import estimates as population
from hpcrg.probability_changing import estimates as probability_changing
from hpcrg.producing import Produced, Series

Evaluation = tuple[list[Estimate], FigureData]
EVALUATE: Mapping[str, Callable[[Sequence[Produced], Any], Evaluation]] = {
    "percolation": lambda results, spec: percolation.evaluate(results),
    "dimers": lambda results, spec: dimers.evaluate(results),
    "flat_histogram": lambda results, spec: flat_histogram.evaluate(results),
    "population": lambda results, spec: population.evaluate(results),
    "probability_changing": lambda results, spec: probability_changing.evaluate(results, spec.nu),
}
"""By the campaign's key: from the series of one group, smallest first, and what the campaign says of it."""


def run(campaign: Campaign, name: str, paths: Sequence[Path]) -> Evaluation:
    """Evaluate the series of one name. Raises InputError unless `paths` are exactly its files, with their chains."""
    wanted = campaign.series_of(name)
    results = [_matched(series, paths) for series in wanted]
    if len(paths) != len(wanted):
        raise InputError(expected(f"evaluate {name}", f"{len(wanted)} files, one a size", len(paths)))
    return EVALUATE[campaign.method_of(name)](results, campaign.series_specs[name])


def _matched(series: Series, paths: Sequence[Path]) -> Produced:
    """The file of a series among `paths`."""
    for path in paths:
        found = read_produced(path)
        if found.attributes["id"] == series.id:
            if found.attributes["chains"] != series.chains:
                raise InputError(expected(f"{path}: chains", str(series.chains), found.attributes["chains"]))
            return Produced(series, dict(found.arrays), dict(found.given))
    files = ", ".join(map(str, paths))
    raise InputError(expected(f"evaluate {series.label}", f"a file of the series {series.id}", files))


def inspect(path: Path) -> Table:
    """What is in a file of produced series."""
    found = read_produced(path)
    a = found.attributes
    title = f"{a['label']}: series {a['id']}, {a['chains']} chains, seed {a['seed']}; {a['series']}"
    rows = [[name, str(v.dtype), "x".join(map(str, v.shape))] for name, v in found.arrays.items()]
    rows += [[f"given/{name}", str(v.dtype), "x".join(map(str, v.shape))] for name, v in found.given.items()]
    return Table(title, ["dataset", "type", "shape"], rows)
