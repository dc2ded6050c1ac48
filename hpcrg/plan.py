"""What a campaign will cost: spin updates, core-hours, memory and disk of every ensemble, from timed kernels.

Timings are cached per host, system and list of updates; `refresh` measures them anew. Disk is a bound without
compression for series and the packed size for configurations.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpcrg import __version__
from hpcrg.bank.schema import columns, stored_dtype, stored_shape
from hpcrg.campaign import Campaign
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble
from hpcrg.files import write_atomically
from hpcrg.jit import cache_directory
from hpcrg.producing import MAIN, Series, State, run_chain
from hpcrg.running import Kernels, start
from hpcrg.segmentbuffer import SEGMENT_BYTES, SEGMENT_MEASUREMENTS

SITES = 4096
LANES = 64  # temperatures to time a ladder with that is still to be tuned
MEASURING = 1.6  # nanoseconds a site
PROCESS_BYTES = 200e6  # an interpreter with numba and HDF5


@dataclass(frozen=True)
class Cost:
    """One ensemble: attempted spin updates, core-hours, and bytes of memory per rank and on disk."""

    ensemble: Ensemble
    spin_updates: float
    core_hours: float
    memory: float
    disk: float


def calibration_file() -> Path:
    """Where the timings of this host stand."""
    return cache_directory() / f"calibration-{platform.node() or 'host'}.json"


def calibrated(campaign: Campaign, refresh: bool) -> dict[str, float]:
    """Nanoseconds per site and round of every list of updates that the campaign uses, on one core of this host."""
    path = calibration_file()
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() and not refresh else {}
    needed = {_key(e): e for e in campaign.ensembles()}
    for key, ensemble in sorted(needed.items()):
        if key not in known:
            known[key] = _time(_trial(ensemble))
    write_atomically(path, json.dumps(known, indent=1, sort_keys=True).encode())
    return known


def _trial(ensemble: Ensemble) -> Ensemble:
    """A chain to time: that of the ensemble, or in the plain layout, where a site costs the same at any size, a small
    one."""
    e = replace(ensemble, betas=ensemble.betas or (0.5,) * LANES, chains=1, seed=0)
    if e.layout.name != "plain" or e.geometry.volume <= 2 * SITES:
        return e
    smaller = e.size
    while smaller % 2 == 0 and (smaller // 2) ** e.geometry.dimension * e.geometry.basis >= SITES:
        smaller //= 2
    return replace(e, betas=e.betas[:4], size=smaller)


def _key(ensemble: Ensemble) -> str:
    e = _trial(ensemble)
    updates = " ".join(f"{u.type}x{u.repeat}" for u in e.updates)
    return f"{__version__} {e.version} {e.system.name} {json.dumps(dict(e.model), sort_keys=True)} L={e.size} {updates}"


def _time(trial: Ensemble) -> float:
    running = start(Kernels(trial), 0, Alone(), range(trial.walkers))
    rounds, count, spent = 0, 1, 0.0
    running.advance()
    while spent < 0.2:
        begun = time.process_time()
        running.advance(count)
        rounds, count, spent = rounds + count, 2 * count, spent + time.process_time() - begun
    return 1e9 * spent / (rounds * trial.geometry.volume * trial.walkers)


def cost(ensemble: Ensemble, timings: Mapping[str, float], slots: int) -> Cost:
    """The cost of one ensemble of `slots` temperatures."""
    e, model = ensemble, ensemble.physics
    walkers = slots * e.copies
    passes = e.geometry.volume * walkers * e.chains * e.rounds
    seconds = passes * (timings[_key(e)] + MEASURING / e.measure) * 1e-9
    stored = int(np.prod(stored_shape(model, e.geometry), dtype=np.int64)) * stored_dtype(model).itemsize
    row = sum(c.length * np.dtype(c.dtype).itemsize for c in columns(e).values())
    disk = e.chains * walkers * (e.draws * stored + e.measurements * row)
    table = 4 * e.system.coordination * e.geometry.volume
    buffers = 3 * (SEGMENT_BYTES + walkers * min(SEGMENT_MEASUREMENTS, e.measurements) * row)
    memory = PROCESS_BYTES + walkers * e.geometry.volume * model.dtype.itemsize * max(1, model.spin_components)
    return Cost(
        e, float(passes * sum(u.repeat for u in e.updates)), seconds / 3600, memory + table + buffers, float(disk)
    )


@dataclass(frozen=True)
class SeriesCost:
    """One series: elementary steps, core-hours, and bytes of memory per rank and on disk."""

    series: Series
    steps: float
    core_hours: float
    memory: float
    disk: float


def series_costs(campaign: Campaign, refresh: bool = False) -> list[SeriesCost]:
    """The cost of every series of a campaign, what comes before its chains included."""
    path = calibration_file()
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() and not refresh else {}
    found = [_series_cost(series, known) for series in campaign.series()]
    write_atomically(path, json.dumps(known, indent=1, sort_keys=True).encode())
    return found


def _series_cost(series: Series, known: dict[str, float]) -> SeriesCost:
    """One cost; timings that `known` lacks are measured and added."""
    steps, seconds = 0.0, 0.0
    for _, producer, chains in series.stages:
        trial, given = producer.trial()
        key = f"{__version__} {json.dumps(trial.identity(), sort_keys=True)}"
        if key not in known:
            known[key] = _time_series(Series("trial", series.size, trial, 0, 1), given)
        steps += chains * producer.work
        seconds += chains * producer.work * known[key] * 1e-9
    state = producer.start(series.place(MAIN, 0), given)
    kept = sum(values.nbytes for values in producer.record(state).values())
    memory = PROCESS_BYTES + sum(values.nbytes for values in state.values())
    return SeriesCost(series, steps, seconds / 3600, memory, float(series.chains * kept))


def _time_series(trial: Series, given: State) -> float:
    """Nanoseconds a step; the first run loads or compiles."""
    run_chain(trial, MAIN, trial.producer, 0, given)
    begun = time.process_time()
    run_chain(trial, MAIN, trial.producer, 1, given)
    return 1e9 * (time.process_time() - begun) / trial.producer.work


def costs(campaign: Campaign, refresh: bool = False) -> list[Cost]:
    """The cost of every ensemble of a campaign."""
    timings = calibrated(campaign, refresh)
    slots = {g: s.ladder.tune.slots if s.ladder.tune else 0 for g, s in campaign.ensembles_.items()}
    return [cost(e, timings, slots[e.group] or e.slots) for e in campaign.ensembles()]
