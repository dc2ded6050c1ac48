"""A ladder with equal rejection between neighbours, found from fixed pilot chains before any ensemble exists. Equal
rejection is equal barrier and constant acceptance.

Pilot chains run on a trial ladder; the ladder is then spaced evenly in the measured communication barrier
(Syed, Bouchard-Cote, Deligiannidis, Doucet, J. R. Stat. Soc. B 84, 321 (2022)), a few times over. Pilots have a fixed
seed and length, so the betas, which enter the id of the ensemble, are the same on every machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpcrg.campaign import Campaign, TuneSpec
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError, expected
from hpcrg.files import parse_json, write_atomically
from hpcrg.ladder import barrier, round_trip_rate, tune
from hpcrg.progress import Report
from hpcrg.rng import Purpose, id_words, key_of
from hpcrg.running import Kernels, Running, start_state

SCHEMA = "hpcrg.ladder/1"
PILOTS = 2**31
"""The number of the first pilot chain: their random streams are those of no chain of an ensemble."""


def tune_ladder(campaign: Campaign, label: str, output: Path, report: Report) -> None:
    """Write the tuned betas of an ensemble. Raises InputError when its ladder is not one to be tuned."""
    wanted = campaign.ensemble(label)
    spec = campaign.ensembles_[wanted.group].ladder.tune
    if spec is None:
        raise InputError(f"ensembles.{wanted.group}.ladder: expected `tune`, found given temperatures")
    betas: Sequence[float] = np.linspace(1 / spec.coldest, 1 / spec.hottest, spec.slots).tolist()
    rejection = np.zeros(spec.slots - 1)
    for i in range(spec.iterations):
        trial = replace(wanted, betas=tuple(betas), exchange=True)
        rejection = pilot_rejection(trial, spec, i)
        if i + 1 < spec.iterations:
            betas = [round(float(b), 12) for b in tune(np.array(betas), rejection, spec.slots)]
        report((i + 1) / spec.iterations, f"barrier {barrier(rejection):.2f}")
    record = {
        "schema": SCHEMA, "ensemble": label, "betas": list(betas), "temperatures": [1 / b for b in betas],
        "rejection": rejection.tolist(), "barrier": float(barrier(rejection)),
        "round_trip_rate": round_trip_rate(rejection),
    }  # fmt: skip
    write_atomically(output, json.dumps(record, indent=1).encode())


def pilot_rejection(trial: Ensemble, spec: TuneSpec, iteration: int) -> NDArray[np.float64]:
    """Rejection rate of every neighbouring pair over the second half of the pilot chains."""
    kernels, half = Kernels(trial), spec.pilot_rounds // 2
    tried, accepted = np.zeros(trial.slots), np.zeros(trial.slots)
    for chain in range(spec.pilot_chains):
        key = key_of(trial.seed, Purpose.PILOT, *id_words(trial.id), iteration, chain)
        state = start_state(trial, PILOTS + chain, range(trial.walkers))
        running = Running(kernels, key, Alone(), range(trial.walkers), state)
        running.advance(half)
        running.forget_exchanges()
        running.advance(spec.pilot_rounds - half)
        tried, accepted = tried + state.attempted.sum(axis=0), accepted + state.accepted.sum(axis=0)
    return 1.0 - accepted[:-1] / tried[:-1]


def read_ladder(path: Path, label: str) -> list[float]:
    """The betas of the tuned ladder of one ensemble, coldest first. Raises InputError for any other file."""
    try:
        record = parse_json(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a ladder that `hpcrg tune` wrote, found {error}") from None
    found = (record.get("schema"), record.get("ensemble")) if isinstance(record, dict) else type(record).__name__
    if found != (SCHEMA, label):
        raise InputError(expected(f"{path}: schema and ensemble", f"{SCHEMA} for {label}", found))
    betas = record.get("betas")
    if not isinstance(betas, list) or not all(isinstance(b, float) and 0 < b < math.inf for b in betas):
        raise InputError(expected(f"{path}: betas", "a list of positive numbers", betas))
    return sorted(betas, reverse=True)
