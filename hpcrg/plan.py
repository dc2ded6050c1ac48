"""What sampling will cost: spin updates, core-hours, memory and disk of every ensemble and series, from timed kernels.

Timings are cached per host, system and list of updates; `refresh` measures them anew. Disk is a bound without
compression for series and the packed size for configurations.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from hpcrg import __version__
from hpcrg.bank.schema import columns, stored_dtype, stored_shape
from hpcrg.campaign import Campaign, TuneSpec
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble
from hpcrg.files import parse_json, write_atomically
from hpcrg.jit import cache_directory
from hpcrg.producing import MAIN, Series, State, run_chain
from hpcrg.running import Kernels, start
from hpcrg.segmentbuffer import SEGMENT_BYTES, SEGMENT_MEASUREMENTS

SITES = 8192
"""In the plain layout no lattice of more sites is timed."""
SLOTS = 4
"""So many temperatures of a ladder are timed there."""
LANES = 64  # temperatures to time a ladder with that is still to be tuned
BURN_IN = 30
"""Rounds before the timed ones: clusters of a random start are smaller."""
MEASURING = 2.0  # nanoseconds a site
STORING = 30.0
"""Nanoseconds a byte: compression and checksums."""


@dataclass
class Timings:
    """What this host takes for a piece of work, by a key that says which; measured when asked for the first time."""

    refresh: bool = False
    known: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if calibration_file().exists() and not self.refresh:
            with suppress(OSError, ValueError, TypeError, AttributeError):  # measured again where they cannot be read
                self.known = {key: float(value) for key, value in parse_json(calibration_file().read_text()).items()}

    def get(self, key: str, measure: Callable[[], float]) -> float:
        """The timing of a key."""
        if key not in self.known:
            self.known[key] = measure()
        return self.known[key]

    def save(self) -> None:
        """For the next time."""
        write_atomically(calibration_file(), json.dumps(self.known, indent=1, sort_keys=True).encode())


@dataclass(frozen=True)
class Cost:
    """One ensemble: attempted spin updates, core-hours, those of tuning its ladder, bytes of data in the memory of a
    rank and on disk."""

    ensemble: Ensemble
    spin_updates: float
    core_hours: float
    tuning_hours: float
    memory: float
    disk: float


def calibration_file() -> Path:
    """Where the timings of this host stand."""
    return cache_directory() / f"calibration-{platform.node() or 'host'}.json"


def _trial(ensemble: Ensemble) -> Ensemble:
    """A chain to time: that of the ensemble, or in the plain layout, where a site costs much the same at any size, one
    of the few sizes 2^k and 3 2^k, at a few of its temperatures."""
    e = replace(ensemble, betas=ensemble.betas or (0.5,) * LANES, chains=1, seed=0)
    if e.layout.name != "plain":
        return e
    size = 3 if e.size % 3 == 0 else 2
    while 2 * size <= e.size and (2 * size) ** e.geometry.dimension * e.geometry.basis <= SITES:
        size *= 2
    return replace(e, betas=e.betas[:: -(-e.slots // SLOTS)], size=size)


def _key(trial: Ensemble) -> str:
    updates = " ".join(f"{u.type}x{u.repeat}" for u in trial.updates)
    model = json.dumps(dict(trial.model), sort_keys=True)
    where = f"{trial.system.name} {model} L={trial.size} T={1 / trial.betas[0]:.2g}..{1 / trial.betas[-1]:.2g}"
    return f"{__version__} {trial.version} {where} {updates}"


def _time(trial: Ensemble) -> float:
    """Nanoseconds a site and round. All that sampling has to compile is compiled, so that the first job need not."""
    running = start(Kernels(trial), 0, Alone(), range(trial.walkers))
    _ = running.kernels.measuring.look, running.kernels.measuring.extras
    running.advance(BURN_IN)
    rounds, count, spent = 0, 1, 0.0
    while spent < 0.1:
        begun = time.process_time()
        running.advance(count)
        rounds, count, spent = rounds + count, 2 * count, spent + time.process_time() - begun
    return 1e9 * spent / (rounds * trial.geometry.volume * trial.walkers)


def cost(ensemble: Ensemble, timings: Timings, tune: TuneSpec | None) -> Cost:
    """The cost of one ensemble, with that of tuning its ladder."""
    e, model, trial = ensemble, ensemble.physics, _trial(ensemble)
    walkers = (tune.slots if tune else e.slots) * e.copies
    nanoseconds = timings.get(_key(trial), partial(_time, trial))
    passes = e.geometry.volume * walkers * e.chains * e.rounds
    stored = int(np.prod(stored_shape(model, e.geometry), dtype=np.int64)) * stored_dtype(model).itemsize
    row = sum(c.length * np.dtype(c.dtype).itemsize for c in columns(e).values())
    disk = e.chains * walkers * (e.draws * stored + e.measurements * row)
    seconds = 1e-9 * (passes * (nanoseconds + MEASURING / e.measure) + STORING * disk)
    pilots = tune.iterations * tune.pilot_chains * tune.pilot_rounds if tune else 0
    tuning = 1e-9 * pilots * walkers * e.geometry.volume * nanoseconds
    table = 4 * e.system.coordination * e.geometry.volume
    block = walkers * e.geometry.volume * model.dtype.itemsize * max(1, model.spin_components)
    segment = min(SEGMENT_BYTES, walkers * e.draws * stored) + walkers * min(SEGMENT_MEASUREMENTS, e.measurements) * row
    updates = float(passes * sum(u.repeat for u in e.updates))
    return Cost(e, updates, seconds / 3600, tuning / 3600, float(table + 2 * block + 3 * segment), float(disk))


@dataclass(frozen=True)
class SeriesCost:
    """One series: elementary steps, core-hours, and bytes of data in the memory of a rank and on disk."""

    series: Series
    steps: float
    core_hours: float
    memory: float
    disk: float


def series_costs(campaign: Campaign, timings: Timings) -> list[SeriesCost]:
    """The cost of every series of a campaign, what comes before its chains included."""
    return [_series_cost(series, timings) for series in campaign.series()]


def _series_cost(series: Series, timings: Timings) -> SeriesCost:
    steps, seconds = 0.0, 0.0
    for _, producer, chains in series.stages:
        trial, given = producer.trial()
        key = f"{__version__} {json.dumps(trial.identity(), sort_keys=True)}"
        step = timings.get(key, partial(_time_series, Series("trial", series.size, trial, 0, 1), given))
        steps += chains * producer.work
        seconds += chains * producer.work * step * 1e-9
    state = producer.start(series.place(MAIN, 0), given)
    kept = sum(values.nbytes for values in producer.record(state).values())
    memory = sum(values.nbytes for values in state.values())
    return SeriesCost(series, steps, seconds / 3600, float(memory), float(series.chains * kept))


def _time_series(trial: Series, given: State) -> float:
    """Nanoseconds a step; the first run loads or compiles."""
    run_chain(trial, MAIN, trial.producer, 0, given)
    begun = time.process_time()
    run_chain(trial, MAIN, trial.producer, 1, given)
    return 1e9 * (time.process_time() - begun) / trial.producer.work


def costs(campaign: Campaign, timings: Timings) -> list[Cost]:
    """The cost of every ensemble of a campaign."""
    return [cost(e, timings, campaign.ensembles_[e.group].ladder.tune) for e in campaign.ensembles()]
