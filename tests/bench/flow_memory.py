"""Peak memory of `flow` and of the Dask part of `scale` on banks of any size, on half and on the whole of it.

    python tests/bench/flow_memory.py --gigabytes 8 --workers 2 --directory SCRATCH

The bank is made cheaply: one segment of random spins and series, copied to every place of every chain, and is read like
any other; 8 GB take about 1 GB of disk. For each size and verb the
client (with the scheduler in its process) and the workers are fresh processes; their peaks are VmHWM in MiB.
The last line is JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from hpcrg.bank.segment import Segment, write_segment
from hpcrg.bank.write import assemble, datasets
from hpcrg.ensemble import Ensemble, UpdateCall

SIZE, CHAINS, SEGMENT = 64, 8, 16384


def ensemble(gigabytes: float) -> Ensemble:
    """8 chains of 64 x 64 Ising spins; `gigabytes` (10^9 bytes) unpacked."""
    segments = max(1, round(gigabytes * 1e9 / (SIZE**2 * CHAINS * SEGMENT)))
    return Ensemble(
        "memory", SIZE, {"type": "ising"}, {"type": "hypercubic", "dimension": 2}, (0.4406868,),
        (UpdateCall("swendsen_wang"),), False, 1, 0, 1, 1, CHAINS, segments * SEGMENT,
    )  # fmt: skip


def make_bank(directory: Path, wanted: Ensemble) -> Path:
    """The bank, over copies of one segment that each know their chain and place."""
    rng = np.random.default_rng(1)
    arrays = {}
    for name, (_, shape, dtype, _) in datasets(replace(wanted, draws=SEGMENT)).items():
        top = 2 if np.issubdtype(dtype, np.floating) else (256 if name == "spins" else 100)
        arrays[name] = rng.integers(0, top, (1, SEGMENT, *shape[3:])).astype(dtype)
    source = directory / "source"
    source.mkdir(parents=True, exist_ok=True)
    first = write_segment(source, wanted, 0, 0, arrays.pop("spins"), arrays)
    named = [Segment(f"{start}.h5", start, SEGMENT, "") for start in range(0, wanted.draws, SEGMENT)]
    chains = [directory / f"chain-{c}-{wanted.draws}" for c in range(CHAINS)]
    for number, chain in enumerate(chains):
        chain.mkdir(exist_ok=True)
        for segment in named:
            shutil.copyfile(source / first.name, chain / segment.name)
            with h5py.File(chain / segment.name, "r+") as file:
                file.attrs.update({"chain": number, "start": segment.start})
    path = directory / f"bank-{wanted.draws}.h5"
    assemble(path, wanted, chains, [named] * CHAINS, {}, [])
    return path


def peak() -> float:
    """The largest resident size of this process so far, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def one(verb: str, path: Path, workers: int, chunk: int) -> None:
    """Run one verb in this process and print its peaks as JSON."""
    from functools import partial

    from hpcrg.analysis import fss, levels, mcrg
    from hpcrg.campaign import FlowSpec
    from hpcrg.edges.dask import compute_on, make_client

    begun = time.perf_counter()
    with make_client(workers) as client:
        compute = partial(compute_on, client)
        if verb == "flow":
            subject = mcrg.subject_of(path, spec := FlowSpec(ensemble="memory", scheme="majority", levels=3))
            mcrg.measure(subject, spec, compute, chunk)
        else:
            levels.reduce_bank(path, 4, max(1, chunk // fss.BYTES_A_MEASUREMENT), compute)
        peaks = [round(v) for v in client.run(peak).values()]
    seconds = time.perf_counter() - begun
    print(json.dumps({"client": round(peak()), "workers": peaks, "seconds": round(seconds, 1)}))


def main() -> None:
    """Half the bank and the whole, flow and scale, each in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--chunk", type=int, default=16, help="MiB")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--one", nargs=2, metavar=("VERB", "BANK"))
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]), options.workers, options.chunk << 20)
        return
    found: dict[str, dict[str, object]] = {"flow": {}, "scale": {}}
    for share in (0.5, 1.0):
        path = make_bank(options.directory, ensemble(share * options.gigabytes))
        for verb in found:
            own = [sys.executable, __file__, "--directory", str(options.directory), "--one", verb, str(path)]
            extra = ["--workers", str(options.workers), "--chunk", str(options.chunk)]
            done = subprocess.run([*own, *extra], check=True, stdout=subprocess.PIPE, text=True)
            found[verb][str(share)] = json.loads(done.stdout.splitlines()[-1])
            print(verb, f"{share * options.gigabytes} GB", found[verb][str(share)], flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
