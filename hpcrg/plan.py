"""What a campaign will cost: spin updates, core-hours, memory and disk of every ensemble, from timed kernels.

Timings are cached per host, model, lattice dimension and update, and measured on about 4096 sites; `refresh` measures
them anew. Disk is a bound without compression for series and the packed size for configurations.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcrg import __version__
from hpcrg.bank.schema import columns, stored_shape
from hpcrg.bank.write import update_series
from hpcrg.campaign import Campaign
from hpcrg.ensemble import Ensemble
from hpcrg.files import write_atomically
from hpcrg.jit import cache_directory
from hpcrg.lattice import LATTICES
from hpcrg.observables import initial
from hpcrg.rng import Purpose, stream
from hpcrg.segmentbuffer import SEGMENT_BYTES, SEGMENT_MEASUREMENTS
from hpcrg.updates import UPDATES

SITES = 4096
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
    """Nanoseconds per site and sweep of every update that the campaign uses, on one core of this host."""
    path = calibration_file()
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() and not refresh else {}
    needed = {(u.type, _key(campaign, u.type)) for e in campaign.ensembles() for u in e.updates}
    for update, key in sorted(needed):
        if key not in known:
            known[key] = _time(campaign, update)
    write_atomically(path, json.dumps(known, indent=1, sort_keys=True).encode())
    return known


def _key(campaign: Campaign, update: str) -> str:
    model = json.dumps(campaign.model.model_dump(), sort_keys=True)
    return f"{__version__} {model} d={campaign.lattice.dimension} {update}"


def _time(campaign: Campaign, update: str) -> float:
    model, d = campaign.physics, campaign.lattice.dimension
    lattice = LATTICES[campaign.lattice.type]((round(SITES ** (1 / d)),) * d)
    sweep, table = UPDATES[update].build(model, lattice), lattice.neighbours()
    rng = stream(0, Purpose.WALKER, 0)[None, :].copy()
    spins = initial(model, lattice, "random", rng[0].copy())[None, :].copy()
    exact = model.exact(lattice).beta_c
    betas, info = np.array([exact.value if exact else 0.5]), np.empty((1, len(sweep.series)))
    rounds, spent = 0, 0.0
    sweep.kernel(spins, betas, rng, table, info)
    while spent < 0.2:
        begun = time.process_time()
        for _ in range(20):
            sweep.kernel(spins, betas, rng, table, info)
        rounds, spent = rounds + 20, spent + time.process_time() - begun
    return 1e9 * spent / (rounds * lattice.volume)


def cost(campaign: Campaign, ensemble: Ensemble, timings: Mapping[str, float], slots: int) -> Cost:
    """The cost of one ensemble of `slots` temperatures."""
    e = ensemble
    passes = e.geometry.volume * slots * e.chains * e.rounds
    sweeps = [(_key(campaign, u.type), u.repeat) for u in e.updates]
    seconds = passes * (sum(timings[key] * repeat for key, repeat in sweeps) + MEASURING) * 1e-9
    stored = int(np.prod(stored_shape(e.physics, e.geometry), dtype=np.int64))
    row = sum(c.component * np.dtype(c.dtype).itemsize for c in columns(e.physics, update_series(e)).values())
    disk = e.chains * slots * (e.draws * stored + e.measurements * row)
    table = 8 * e.geometry.dimension * e.geometry.volume
    buffers = 3 * (SEGMENT_BYTES + slots * min(SEGMENT_MEASUREMENTS, e.measurements) * row)
    memory = PROCESS_BYTES + slots * e.geometry.volume + table + buffers
    return Cost(e, float(passes * sum(n for _, n in sweeps)), seconds / 3600, memory, float(disk))


def costs(campaign: Campaign, refresh: bool = False) -> list[Cost]:
    """The cost of every ensemble of a campaign."""
    timings = calibrated(campaign, refresh)
    slots = {g: s.ladder.tune.slots if s.ladder.tune else 0 for g, s in campaign.ensembles_.items()}
    return [cost(campaign, e, timings, slots[e.group] or e.slots) for e in campaign.ensembles()]
