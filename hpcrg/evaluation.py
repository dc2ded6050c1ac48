"""From files of produced series to estimates and figure data: each method by its own rules, all sizes of one group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hpcrg.bank import ProducedFile, read_produced
from hpcrg.campaign import Campaign
from hpcrg.dimers import estimates as dimers
from hpcrg.errors import CorruptFile, InputError, expected
from hpcrg.estimate import Estimate
from hpcrg.figures import FigureData, Note, Table
from hpcrg.flat_histogram import estimates as flat_histogram
from hpcrg.percolation import estimates as percolation
from hpcrg.population import estimates as population
from hpcrg.probability_changing import estimates as probability_changing
from hpcrg.producing import Produced, Producer, Series

Evaluation = tuple[list[Estimate], FigureData]
POOR = 1e-3
"""The probability of a larger chi^2 below which a fit is doubted."""
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
    files = [(path, read_produced(path)) for path in paths]
    results = [_matched(series, files) for series in wanted]
    if len(paths) != len(wanted):
        raise InputError(expected(f"evaluate {name}", f"{len(wanted)} files, one a size", len(paths)))
    estimates, data = EVALUATE[campaign.method_of(name)](results, campaign.series_specs[name])
    return estimates, replace(data, notes=[*data.notes, *doubts(estimates)])


def doubts(estimates: Sequence[Estimate]) -> Iterator[Note]:
    """A warning for every fit that chi^2 refuses, and for one with nothing left to judge it by."""
    for e in estimates:
        if e.settings.get("quality", 1.0) < POOR:
            yield Note("warning", f"{e.method}: the fit of {e.quantity} has chi^2 = {e.settings['chi2']:.1f} for "
                                  f"{e.settings['freedom']} degrees of freedom; leave small sizes out")  # fmt: skip
        if e.settings.get("freedom") == 0:
            yield Note("warning", f"{e.method}: {e.quantity} is fitted with as many parameters as sizes; its error has "
                                  "no part for what the smallest size does to it")  # fmt: skip


def _matched(series: Series, files: Sequence[tuple[Path, ProducedFile]]) -> Produced:
    """The file of a series among `files`."""
    for path, found in files:
        if found.attributes["id"] == series.id:
            if found.attributes["chains"] != series.chains:
                raise InputError(expected(f"{path}: chains", str(series.chains), found.attributes["chains"]))
            pilot = series.producer.pilot
            _fits(path, series.producer, found.arrays)
            if pilot:
                _fits(path, pilot[0], found.given)
            return Produced(series, dict(found.arrays), dict(found.given))
    names = ", ".join(str(path) for path, _ in files)
    raise InputError(expected(f"evaluate {series.label}", f"a file of the series {series.id}", names))


def _fits(path: Path, producer: Producer, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises CorruptFile where arrays are not those that the producer records."""
    wanted = {name: 1 + len(axes) for name, axes in sorted(producer.axes.items())}
    found = {name: values.ndim for name, values in sorted(arrays.items())}
    if found != wanted:
        raise CorruptFile(expected(f"{path}: axes of arrays", str(wanted), found))


def inspect(path: Path) -> Table:
    """What is in a file of produced series."""
    found = read_produced(path)
    a = found.attributes
    title = f"{a['label']}: series {a['id']}, {a['chains']} chains, seed {a['seed']}; {a['series']}"
    rows = [[name, str(v.dtype), "x".join(map(str, v.shape))] for name, v in found.arrays.items()]
    rows += [[f"given/{name}", str(v.dtype), "x".join(map(str, v.shape))] for name, v in found.given.items()]
    return Table(title, ["dataset", "type", "shape"], rows)
