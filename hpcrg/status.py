"""How far a campaign is, from what stands on disk: nothing is locked, started or changed.

An ensemble is done when its bank is there with the id and the draws that the campaign asks for; draws of one that is
under way are those of its committed segments. Time left is extrapolated from the draws that were committed since its
first commit, waiting in a queue included. An ensemble whose last commit is older than QUIET is called waiting: nothing
may be running, or one draw takes longer than that.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpcrg.bank import headline, is_produced, open_bank, read_produced
from hpcrg.campaign import Campaign
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError
from hpcrg.figures import Table
from hpcrg.producing import Series
from hpcrg.provenance import FAILED, JOURNAL, Journal, read_sidecar
from hpcrg.tuning import read_ladder

QUIET = 120.0
NAMES = {"betas": "temperatures", "measure": "spacing of measurements", "keep": "spacing of draws",
         "version": "version of the kernels"}  # fmt: skip
"""What a campaign's reader calls parts of an identity."""
DONE = "done"
SEGMENT = re.compile(r"draws-(\d+)-(\d+)\.h5")


@dataclass(frozen=True)
class Progress:
    """One result of a campaign: `state` is done, running, waiting, failed, stale or not begun; `fraction` that of the
    work, `left` is in seconds where it can be told; `told` is what else there is to say."""

    name: str
    state: str
    fraction: float
    left: float | None = None
    told: str = ""


def of_campaign(campaign: Campaign, results: Path) -> list[Progress]:
    """Every ensemble, series, analysis and the report of a campaign whose results stand in `results`/NAME."""
    out, now = results / campaign.name, time.time()
    found = [_ensemble(campaign, e, out, now) for e in campaign.ensembles()]
    found += [_series(s, out, now) for s in campaign.series()]
    banks = {e.label: out / "banks" / f"{e.label}.h5" for e in campaign.ensembles()}
    groups = {e.label: e.group for e in campaign.ensembles()}
    for verb in ("flow", "scale", "train", "hierarchy"):
        specs: Mapping[str, Any] = getattr(campaign, verb)
        for name, spec in specs.items():
            needed = [banks[label] for label, group in groups.items() if group == spec.ensemble]
            needed += [results / file for file in spec.taught_files] if verb == "train" else []
            made = out / verb / f"{name}.json" if verb != "train" else out / verb / name / "estimates.json"
            found.append(_analysis(f"{verb} {name}", made, needed))
    for name, stack in campaign.stack.items():
        bank = [banks[label] for label, group in groups.items() if group == stack.ensemble]
        files = [out / file for file in campaign.stack_files(name)]
        found += [_analysis(f"stack {name}{k}", file, bank) for k, file in enumerate(files)]
        found.append(_analysis(f"fields {name}", out / "stack" / f"{name}.json", files))
    for name in campaign.series_specs:
        needed = [out / "series" / f"{s.label}.h5" for s in campaign.series_of(name)]
        found.append(_analysis(f"evaluate {name}", out / "evaluate" / f"{name}.json", needed))
    estimates = [out / "scale" / f"{n}.json" for n in campaign.scale] + [
        out / "flow" / f"{n}.json" for n in campaign.flow
    ]
    estimates += [out / "train" / n / "estimates.json" for n in campaign.train]
    estimates += [out / "stack" / f"{n}.json" for n in campaign.stack]
    estimates += [out / "hierarchy" / f"{n}.json" for n in campaign.hierarchy]
    estimates += [out / "evaluate" / f"{n}.json" for n in campaign.series_specs]
    return [*found, _analysis("report", out / "report.html", estimates)]


def standing(ensemble: Ensemble, bank: Path) -> str:
    """What sampling an ensemble will add to the bank that is there: nothing, more draws or chains, or all, since it is
    another ensemble, with what differs."""
    if not bank.exists():
        return "new"
    try:
        there = headline(bank)
    except InputError as error:
        return f"new: {error}"
    size = f"{there.chains} chains x {there.draws} draws"
    if not ensemble.betas:
        return f"{size}, if the ladder stays"
    if there.id != ensemble.id:
        wanted = json.loads(json.dumps(ensemble.identity()))
        other = [NAMES.get(key, key) for key in wanted if there.identity.get(key) != wanted[key]]
        return f"new: other {', '.join(other)} than the bank of {size} there"
    if (there.chains, there.draws) == (ensemble.chains, ensemble.draws):
        return DONE
    more = there.chains < ensemble.chains or there.draws < ensemble.draws
    return f"{'extends' if more else 'cut from'} {size}"


def _ensemble(campaign: Campaign, ensemble: Ensemble, out: Path, now: float) -> Progress:
    name = f"sample {ensemble.label}"
    if not ensemble.betas:
        ladder = out / "ladders" / f"{ensemble.label}.json"
        if not ladder.exists():
            return Progress(name, "not begun", 0.0, told="its ladder has to be tuned first")
        ensemble = campaign.ensemble(ensemble.label, read_ladder(ladder, ensemble.label))
    bank = out / "banks" / f"{ensemble.label}.h5"
    stale = ""
    if bank.exists():
        try:
            with open_bank(bank) as there:
                if (there.id, there.ensemble.draws, there.ensemble.chains) == (
                    ensemble.id, ensemble.draws, ensemble.chains
                ):  # fmt: skip
                    return Progress(name, DONE, 1.0, told=_runs(bank))
                stale = f"a bank of {there.ensemble.chains} x {there.draws} draws" + (
                    "" if there.id == ensemble.id else " of another ensemble"
                ) + " is there"  # fmt: skip
        except InputError as error:
            stale = str(error)
    draws, first, last = 0, now, 0.0
    for directory in _begun(out / "state", ensemble):
        for file in directory.iterdir():
            if match := SEGMENT.fullmatch(file.name):
                draws += min(int(match[2]), ensemble.draws) - min(int(match[1]), ensemble.draws)
            if file.name == "checkpoint" or match:
                modified = file.stat().st_mtime
                first, last = min(first, modified), max(last, modified)
    failure = _failure(out / "state" / ensemble.id)
    return _under_way(name, draws / (ensemble.draws * ensemble.chains), first, last, now, stale, failure)


def _begun(state: Path, ensemble: Ensemble) -> Iterator[Path]:
    """The directories of those chains of an ensemble that have one."""
    for directory in (state / ensemble.id).glob("chain-*"):
        number = directory.name.removeprefix("chain-")
        if number.isdecimal() and int(number) < ensemble.chains and directory.is_dir():
            yield directory


def _series(series: Series, out: Path, now: float) -> Progress:
    name, file = f"produce {series.label}", out / "series" / f"{series.label}.h5"
    stale = ""
    if file.exists() and is_produced(file):
        told = read_produced(file).attributes
        if (told["id"], int(told["chains"])) == (series.id, series.chains):
            return Progress(name, DONE, 1.0, told=_runs(file))
        stale = f"a series of {told['chains']} chains is there"
    directory, total = out / "state" / series.id, sum(chains for _, _, chains in series.stages)
    files = list(directory.glob("*.npz")) if directory.is_dir() else []
    times = [f.stat().st_mtime for f in files]
    done = sum(not f.name.endswith(".running.npz") for f in files)
    first, last = min(times, default=now), max(times, default=0.0)
    return _under_way(name, done / total, first, last, now, stale, _failure(directory))


def _failure(state: Path) -> str:
    """How the last run of what is kept in a directory failed; nothing where it did not."""
    runs = Journal(state / JOURNAL).runs()
    outcome = str(runs[-1]["outcome"]) if runs else ""
    return outcome if outcome.startswith(FAILED) else ""


def _under_way(
    name: str, fraction: float, first: float, last: float, now: float, stale: str, failure: str
) -> Progress:  # fmt: skip
    if failure:
        return Progress(name, "failed", fraction, told="; ".join(filter(None, [failure, stale])))
    if not last:
        return Progress(name, "stale" if stale else "not begun", 0.0, told=stale)
    left = (last - first) / fraction * (1.0 - fraction) if 0.0 < fraction < 1.0 else None
    ago = f"last commit {duration(max(0.0, now - last))} ago"  # a clock may have gone back
    return Progress(
        name, "running" if now - last < QUIET else "waiting", fraction, left, "; ".join(filter(None, [ago, stale]))
    )


def _analysis(name: str, made: Path, needed: Sequence[Path]) -> Progress:
    missing = sum(not path.exists() for path in needed)
    if not made.exists():
        return Progress(name, "not begun", 0.0, told=f"waits for {missing} of {len(needed)} files" if missing else "")
    if missing or any(path.stat().st_mtime > made.stat().st_mtime for path in needed):
        return Progress(name, "stale", 0.0, told="older than what it is made of")
    return Progress(name, DONE, 1.0)


def _runs(path: Path) -> str:
    """What the sidecar says of the runs that made a file."""
    runs = read_sidecar(path)
    hosts = sorted({str(host) for r in runs for host in r.get("hosts") or [r.get("host")]})
    lost = sum(r.get("outcome") == "lost" for r in runs)
    spent = duration(sum(r.get("seconds") or 0.0 for r in runs))
    told = f"{len(runs)} run{'s' * (len(runs) > 1)} on {', '.join(hosts)}, {spent}" if runs else ""
    return told + (f", {lost} of them killed" if lost else "")


def duration(seconds: float) -> str:
    """12 s, 3 min, 2.5 h or 3.1 d."""
    for limit, unit, digits in ((90, 1.0, "s"), (5400, 60.0, "min"), (172800, 3600.0, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {digits}" if digits == "h" else f"{value:.0f} {digits}"
    return f"{seconds / 86400:.1f} d"


def with_jobs(rows: Sequence[Progress], jobs: Mapping[str, str]) -> list[Progress]:
    """The same rows with what a batch system says of the jobs of those that are not done, by name."""
    return [
        replace(r, told="; ".join(filter(None, [jobs[r.name], r.told]))) if r.name in jobs and r.state != DONE else r
        for r in rows
    ]


def table(campaign: Campaign, rows: Sequence[Progress]) -> Table:
    """For a terminal."""
    counts = {state: sum(r.state == state for r in rows) for state in dict.fromkeys(r.state for r in rows)}
    title = f"{campaign.name}: " + ", ".join(f"{count} {state}" for state, count in counts.items())
    return Table(title, ["result", "state", DONE, "left", ""], list(_cells(rows)))


def _cells(rows: Sequence[Progress]) -> Iterator[list[str]]:
    for r in rows:
        yield [r.name, r.state, f"{r.fraction:.0%}", duration(r.left) if r.left is not None else "-", r.told]
