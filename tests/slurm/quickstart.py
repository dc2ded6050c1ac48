"""The quickstart campaign on a SLURM of one machine beside the same on this machine alone.

    python tests/slurm/quickstart.py [LOCAL]

LOCAL is a directory that holds results/quickstart of a local run; without it the campaign is run locally first. On SLURM
ranks are on two nodes, Dask workers are jobs, and training is one process on each of two nodes whose GPUs are fake. Prints
how far estimates are apart; exit status 1 when a deterministic one is not the same to the last bit, or another is more
than three of its errors off.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import minislurm

ROOT = Path(__file__).resolve().parents[2]
TRAINED = ("cnn", "baseline")
"""Methods whose sums of gradients come in another order, or that are read off beside them."""


def run(place: Path, profile: str, environment: dict[str, str], *config: str) -> float:
    """Run it to its report; the seconds."""
    begun = time.monotonic()
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"),
               "--directory", str(place), "--workflow-profile", str(ROOT / "cluster/profiles" / profile),
               "--config", f"campaign={ROOT}/workflow/campaigns/quickstart.yaml", *config]  # fmt: skip
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-5000:])
    return time.monotonic() - begun


def compared(local: Path, cluster: Path) -> int:
    """Print the estimates of both; how many are wrong."""
    pairs = [json.loads((p / "results/quickstart/estimates.json").read_text()) for p in (local, cluster)]
    wrong = same = 0
    for mine, theirs in zip(*pairs, strict=True):
        name = f"{mine['method']} {mine['quantity']}"
        if mine == theirs:
            same += 1
            continue
        apart = abs(mine["value"] - theirs["value"]) / mine["error"]
        bad = not mine["method"].startswith(TRAINED) or apart > 3
        wrong += bad
        print(f"{name}: {mine['text']} here, {theirs['text']} on SLURM, {apart:.2f} errors apart{' WRONG' * bad}")
    print(f"{same} of {len(pairs[0])} estimates are the same to the last bit, {wrong} wrong")
    return wrong


def main(local: Path | None) -> int:
    """Both; how many estimates are wrong."""
    with tempfile.TemporaryDirectory(prefix="quickstart-") as directory:
        place = Path(directory)
        if local is None:
            local = place / "local"
            local.mkdir()
            print(f"local: {run(local, 'local', dict(os.environ)):.0f} s", flush=True)
        cluster = place / "slurm"
        cluster.mkdir()
        (cluster / "site.toml").write_text(minislurm.SITE)
        slurm = minislurm.MiniSlurm(minislurm.make_place())
        try:
            slurm.start()
            seconds = run(cluster, "slurm", slurm.environment, "site=site.toml", "gpus=1")
            jobs = slurm.call("squeue", "-h", "-t", "all", "-o", "%j %P %D %N %T").splitlines()
        finally:
            slurm.stop()
            shutil.rmtree(slurm.place, ignore_errors=True)
        on = sorted({" ".join(line.split()[1:4]) for line in jobs})
        print(f"SLURM: {seconds:.0f} s, {len(jobs)} jobs (partition, nodes): {'; '.join(on)}", flush=True)
        return compared(local, cluster)


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)))
