"""The page docs/bench.md from results/bench/sampling.json, and loop.json beside it where there is one:
`python tests/bench/table.py JSON [PAGE]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]
TITLES = {
    "ising_metropolis": "2D Ising, Metropolis, T_c (spins attempted)",
    "ising_swendsen_wang": "2D Ising, Swendsen-Wang, T_c (all spins)",
    "ising_wolff": "2D Ising, Wolff, T_c (spins moved)",
    "ea_tempering": "3D +-J Edwards-Anderson, tempering: 32 temperatures 0.8 to 2.0, two copies (spins attempted)",
    "xy_swendsen_wang": "2D XY, embedded Swendsen-Wang, T = 0.9 (all spins)",
    "xy_wolff": "2D XY, embedded Wolff, T = 0.9 (spins moved)",
    "xy_metropolis": "2D XY, Metropolis, T = 0.9 (spins attempted)",
}

LIMITS = {
    "ising_metropolis": "Limit: random bits. Made alone, for all lanes and exact to 2^-64, they come at 11.4 spins/ns on a "
    "Zen 3 with AVX2, where whole sweeps of strips make 9.5 to 10.2: nine tenths of the time. The rest is the flips.",
    "ising_swendsen_wang": "Limit: union-find over runs, whose steps wait for each other. Bonds take 0.24 ns a site on a "
    "Zen 3, coins 0.03, of 2.5 to 3.3 in all; labels and moves take the rest. At L = 64 a row is one word, and the loops "
    "along a row are too short for vectors.",
    "ising_wolff": "Limit: about a hundred instructions (counted, not timed) for each spin that moves and its four neighbours, none of them a branch "
    "that is hard to foresee; at L = 1024 spins and queue outgrow the second cache too. Generic is the only code.",
    "ea_tempering": "Limit: random bits, which alone come at 10.8 spins/ns on a Zen 3 and are two fifths of the time at L = 16. "
    "The rest is flips, and the energies of all 64 lanes and the exchange before every sweep, whose fixed costs weigh at "
    "L = 8.",
    "xy_swendsen_wang": "Limit: passes over all sites (projections, gaps, exponentials in single precision, random "
    "numbers, reflections) beside the union-find. Not split further.",
    "xy_wolff": "Limit: projections are made anew for every look at a neighbour, from two arrays; comparing and joining "
    "go in batches. Not split further.",
    "xy_metropolis": "Limit: random directions, square roots and one exponential a spin, not vectorised.",
}
"""What holds the fastest code of hpcrg back."""


@dataclass(frozen=True)
class Target:
    """At least `ratio` times the fastest peer, or the peer named `over`; without one, `speed` spins per ns. Speeds are
    those aimed at on a Zen 5 with AVX-512: on another machine ratios alone say something."""

    case: str
    size: int
    speed: float
    ratio: float = 0.0
    over: str = ""


TARGETS = (
    *(Target("ising_metropolis", size, 12, 50) for size in (64, 256, 1024)),
    *(Target("ising_swendsen_wang", size, 0.40, 8) for size in (64, 256, 1024)),
    *(Target("ising_wolff", size, 0.12, 2.5) for size in (64, 256, 1024)),
    Target("ea_tempering", 8, 5, 70, "peapods"), Target("ea_tempering", 16, 9, 120, "peapods"),
    Target("xy_swendsen_wang", 64, 0.08),
)  # fmt: skip

COUNTING = """\
Spins per nanosecond of CPU time of one core (user and system, all threads of the process), the median of the rounds of
one run in which all codes take turns, with the best round in brackets. Every code first brings a configuration of its
own to equilibrium; compilation and set-up are not counted. Metropolis and Swendsen-Wang count every spin of every
sweep, moved or not; Wolff counts the spins that moved. With tempering, all 32 x 2 configurations are counted, and an
exchange between temperatures precedes every sweep. Multi-spin at L = 64 updates 64 walkers a word, at larger L 64 sites
of one walker. hpcrg is timed without measurements; generic and multi-spin or packed are different updates of the same model.

How the peers are timed, and what they cannot switch off:

* mcising: bare sweeps through its simulation class; it says how many spins moved. Nothing else runs.
* peapods: all sweeps are declared warm-up, which it does not measure. It makes cluster updates only on top of a
  Metropolis sweep: their time is the difference between sweeps with and without. For Wolff both are measured, and a
  cluster is counted as N m^2 spins of the same run, its exact mean. Tempering exchanges one pair of temperatures a sweep.
* dwave-samplers and openjij: annealers of general graphs, at constant temperature, through their compiled part; for
  the spin glass one configuration sweeps down the 32 temperatures, without exchanges. openjij runs on its compressed
  sparse graph, the faster of its two.
* ALPS spinmc: its thermalisation, which makes no measurement, less a short run. It goes on, measuring, until its clock
  of whole seconds says that it has finished; these sweeps are counted too. It starts from aligned spins, and at L = 1024
  gets so few sweeps that it stays near them."""
TARGETING = """\
Ratios decide. The speeds aimed at belong to a Zen 5 with AVX-512, and decide where no peer is timed."""

LOOPS = """\
CPU seconds of a chain as `hpcrg sample` runs it, with exchanges, measurements, stored configurations, checksums, state
hashes and checkpoint, beside the same rounds, with exchanges, in one compiled call (tests/bench/loop.py). These chains
are short: start, state hashes at powers of two and the one segment weigh more than in a long run. A kept configuration is
unpacked to a byte a site and packed again."""


def speed(rows: Rows, case: str, size: int, codes: Iterable[str]) -> tuple[float, str]:
    """The fastest of some codes and its spins per ns; 0 where none ran."""
    found = [
        (r["spins_per_ns"], r["code"])
        for r in rows
        if (r["case"], r["L"]) == (case, size) and r["code"] in codes and "spins_per_ns" in r
    ]
    return max(found, default=(0.0, "none"))


def names(rows: Rows) -> tuple[list[str], list[str]]:
    """Our codes and the others, in the order of the rows."""
    codes = list(dict.fromkeys(r["code"] for r in rows))
    return [c for c in codes if c.startswith("hpcrg")], [c for c in codes if not c.startswith("hpcrg")]


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def line(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def section(rows: Rows, case: str) -> list[str]:
    """The table of one case: codes by sizes, and our fastest over the fastest peer."""
    sizes = sorted({r["L"] for r in rows if r["case"] == case})
    cells = {(r["code"], r["L"]): r for r in rows if r["case"] == case}
    codes = list(dict.fromkeys(code for code, _ in cells))

    def cell(code: str, size: int) -> str:
        row = cells.get((code, size), {})
        return f"{number(row['spins_per_ns'])} ({number(row['best'])})" if "spins_per_ns" in row else "-"

    def ratio(size: int) -> str:
        mine, peer = (speed(rows, case, size, group)[0] for group in names(rows))
        return number(mine / peer) if mine and peer else "-"

    return [
        f"### {TITLES.get(case, case)}", "",
        line(["code", *(f"L = {size}" for size in sizes)]), line(["---"] * (len(sizes) + 1)),
        *(line([code, *(cell(code, size) for size in sizes)]) for code in codes),
        line(["fastest hpcrg / fastest peer", *map(ratio, sizes)]), "",
        *([LIMITS[case], ""] if case in LIMITS else []),
    ]  # fmt: skip


def verdict(rows: Rows, target: Target) -> str:
    """One target beside what was measured."""
    own, peers = names(rows)
    mine, code = speed(rows, target.case, target.size, own)
    peer, other = speed(rows, target.case, target.size, [target.over] if target.over else peers)
    ratio = mine / peer if peer else 0.0
    met = ratio >= target.ratio if target.ratio else mine >= target.speed
    return line([
        TITLES[target.case].partition(" (")[0].partition(":")[0], str(target.size),
        f"{number(mine)} ({code.removeprefix('hpcrg ')})", number(target.speed),
        f"{number(ratio)} ({other})" if target.ratio else "-", number(target.ratio) if target.ratio else "-",
        "not run" if not mine or (target.ratio and not peer) else "met" if met else "not met",
    ])  # fmt: skip


def loops(rows: Rows) -> list[str]:
    """What the whole of sampling costs beside the bare rounds."""
    return [
        "## The whole of sampling", "", LOOPS, "",
        line(["case", "L", "slots", "bare rounds, s", "sampling, s", "loss of speed"]), line(["---"] * 6),
        *(
            line([r["case"], str(r["L"]), str(r["slots"]), number(r["bare"]), number(r["whole"]),
                  f"{100 * (1 - r['bare'] / r['whole']):.0f} %"])
            for r in rows
        ), "",
    ]  # fmt: skip


def render(record: Mapping[str, Any], looped: Rows = ()) -> str:
    """The whole page."""
    rows, machine = record["rows"], record["machine"]
    versions = dict.fromkeys(f"{r['code'].split()[0] if r['code'].startswith('hpcrg') else r['code']} {r['version']}"
                             for r in rows if "spins_per_ns" in r)  # fmt: skip
    failed = [f"* {r['code']}, {r['case']}, L = {r['L']}: {r['error']}" for r in rows if "error" in r]
    present = {(r["case"], r["L"]) for r in rows}
    return "\n".join([
        "# Speed of sampling", "",
        "Written by `make bench` from results/bench/sampling.json; do not edit.", "",
        *(f"* {key}: {value}" for key, value in machine.items()), f"* versions: {', '.join(versions)}", "",
        "## What is counted", "", COUNTING, "", "## Spins per nanosecond", "",
        *(text for case in dict.fromkeys(r["case"] for r in rows) for text in section(rows, case)),
        "## Targets", "", TARGETING, "", line(["case", "L", "spins/ns", "aim on a Zen 5", "over peer", "at least", "verdict"]),
        line(["---"] * 7), *(verdict(rows, t) for t in TARGETS if (t.case, t.size) in present), "",
        *(loops(looped) if looped else []),
        *(["## What did not run", "", *failed, ""] if failed else []),
    ])  # fmt: skip


def main(source: str, page: str = "") -> None:
    """Write the page, or print it."""
    beside = Path(source).with_name("loop.json")
    looped = json.loads(beside.read_text()) if beside.exists() else []
    text = render(json.loads(Path(source).read_text()), looped)
    if page:
        Path(page).write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
