"""Flip single bits in every kind of file, and see that none is loaded for something else.

    python tests/faults/flips.py [--flips 1000] [--seed 1]

A flip is loaded in a process of its own. It may be refused (an InputError or CorruptFile, which name the file), or make no
difference to anything that is loaded; a different value, another exception or a crash is wrong. Prints one line a kind of
file; exit status 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpcrg import checkpoint
from hpcrg.analysis import stack_files
from hpcrg.bank import open_bank, read_produced, read_series
from hpcrg.bank.export import export
from hpcrg.campaign import parse
from hpcrg.comm import Alone
from hpcrg.edges.stacking import run_stack
from hpcrg.errors import InputError
from hpcrg.sampler import Limits, sample

CAMPAIGN = """
name: flips
seed: 3
model: {type: ising}
ensembles:
  scan: {sizes: [8], ladder: {temperatures: [2.0, 2.2, 2.4]}, updates: [{type: metropolis}, {type: wolff}], chains: 2, thermalise: 20, keep: 5, draws: 40}
  point: {sizes: [8], ladder: {critical: true}, updates: [{type: wolff}], chains: 3, thermalise: 20, keep: 5, draws: 40}
stack: {deep: {ensemble: point, layers: [6], epochs: 1, seeds: 1, annealing: 10, controls: [permuted]}}
percolation:
  site: {sizes: [8, 12], type: site, realisations: 50, chains: 2}
"""
TIME = 60.0


def bank(path: Path) -> Any:
    """Everything that analysis may ask of a bank."""
    with open_bank(path) as b:
        series = [
            b.series(name, c, s).tobytes() for name in b.series_names for c in range(b.chains) for s in range(b.slots)
        ]
        spins = [b.spins(c, s, 0, b.draws).tobytes() for c in range(b.chains) for s in range(b.slots)]
        return b.ensemble, b.id, series, spins, b.state_hashes()


def arrays(path: Path) -> Any:
    """A checkpoint."""
    return {key: (a.dtype.str, a.shape, a.tobytes()) for key, a in checkpoint.load(path).items()}


def series(path: Path) -> Any:
    """Outputs of a network."""
    return [
        (b.label, b.size, b.ensemble_id, dict(b.model), b.dimension, b.temperatures.tobytes(), b.held_out.tobytes(),
         dict(b.attrs), {k: v.tobytes() for k, v in b.values.items()})
        for b in read_series(path)
    ]  # fmt: skip


def make_files(place: Path) -> dict[str, tuple[Path, Path, Callable[[Path], Any]]]:
    """For each kind of file: the one to damage, the one to load, and how."""
    import numpy as np

    from hpcrg.bank import SeriesBlock, write_produced, write_series
    from hpcrg.producing import run

    campaign = parse(CAMPAIGN, "c.yaml")
    ensemble, point = campaign.ensembles()
    sample(ensemble, place / "bank.h5", place / "state", Alone(), Limits(), lambda *_: None)
    sample(point, place / "point.h5", place / "point", Alone(), Limits(), lambda *_: None)
    spec, stacked = campaign.stack["deep"], place / "seed0.stack"
    run_stack(place / "point.h5", "deep", spec, campaign.seed, 0, stacked, place / "stack", None, 30.0)
    export(place / "bank.h5", place / "alone.h5")
    asked, _ = campaign.series()
    made = run(asked)
    write_produced(place / "produced.h5", asked, made.arrays, made.given)
    rng = np.random.default_rng(1)
    block = SeriesBlock(
        "scan-L8", 8, ensemble.id, {"type": "ising"}, 2, np.array([2.0, 2.2]), {"p": rng.random((1, 2, 2, 40))},
        np.ones((1, 2), bool), {"a": 1},
    )  # fmt: skip
    write_series(place / "series.h5", [block])
    segment = next((place / "state").rglob("*.h5"))
    record = next((place / "state").rglob("checkpoint"))
    return {
        "bank": (place / "bank.h5", place / "bank.h5", bank), "segment": (segment, place / "bank.h5", bank),
        "exported bank": (place / "alone.h5", place / "alone.h5", bank), "checkpoint": (record, record, arrays),
        "network outputs": (place / "series.h5", place / "series.h5", series),
        "produced series": (place / "produced.h5", place / "produced.h5", produced),
        "stack": (stacked, stacked, stack), "checkpoint of a stack": (*[next((place / "stack").rglob("checkpoint"))] * 2, arrays),
    }  # fmt: skip


def produced(path: Path) -> Any:
    """A produced series."""
    found = read_produced(path)
    return dict(found.attributes), *({k: v.tobytes() for k, v in part.items()} for part in (found.arrays, found.given))


def stack(path: Path) -> Any:
    """A seed of a stack."""
    seed = stack_files.read(path)
    return seed.about, {key: a.tobytes() for key, a in seed.arrays.items()}


def outcome(load: Callable[[Path], Any], path: Path, wanted: Any) -> str:
    """What comes of loading a damaged file, in a process of its own."""
    receiver, sender = multiprocessing.Pipe(False)
    child = multiprocessing.get_context("fork").Process(target=_load, args=(load, path, wanted, sender))
    child.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(TIME) else "WRONG: hangs"
    except EOFError:
        found = "WRONG: crashes"
    child.kill()
    child.join()
    return found


def _load(load: Callable[[Path], Any], path: Path, wanted: Any, sender: Any) -> None:
    try:
        found = "same" if load(path) == wanted else "WRONG: another value"
    except InputError:
        found = "refused"
    except BaseException as error:
        found = f"WRONG: {type(error).__name__}: {error}"
    sender.send(found)


def flip(path: Path, rng: random.Random) -> tuple[int, int]:
    """Flip one random bit; (byte, bit)."""
    content = bytearray(path.read_bytes())
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return at, bit


def run_all(flips: int, seed: int) -> int:
    """Everything; how many flips were wrong."""
    rng, wrong = random.Random(seed), 0
    with tempfile.TemporaryDirectory(prefix="flips-") as directory:
        files = make_files(Path(directory))
        for kind, (target, whole, load) in files.items():
            wanted, tally, kept = load(whole), Counter(), target.read_bytes()
            for _ in range(-(-flips // len(files))):
                at = flip(target, rng)
                found = outcome(load, whole, wanted)
                tally[found.split(":")[0]] += 1
                if found.startswith("WRONG"):
                    wrong += 1
                    print(f"{kind}: bit {at} of {len(kept)} bytes: {found[:300]}", flush=True)
                target.write_bytes(kept)
            print(f"{kind}: {dict(tally)}", flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(min(1, run_all(given.flips, given.seed)))
