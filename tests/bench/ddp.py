"""What training on several processes brings, and what the training loop costs: examples a second.

    python tests/bench/ddp.py [--size 64] [--batch 64] [--net cnn] [--precision float32] [--rounds 3]

In turns: one process with the machine to itself, two runs of one process at the same time, the same reading ahead, one run of
two processes, and a bare PyTorch loop over the same examples as tensors in memory, alone. Medians of the rounds as JSON; `two over one` is
two processes over one of the two that run at the same time, `loop over bare` one process alone over the bare loop.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CAMPAIGN = """
name: ddp
seed: 3
model: {{type: ising}}
ensembles:
  bench: {{sizes: [{size}], ladder: {{temperatures: [1.8, 1.9, 2.0, 2.2, 2.4, 2.8, 3.0, 3.2]}},
           updates: [{{type: swendsen_wang}}], chains: 6, thermalise: 50, measure: 5, keep: 5, draws: 200}}
"""
LAUNCH = """
import sys
from hpcrg.edges.torchrun import launch
sys.exit(launch(sys.argv[2:], int(sys.argv[1]), "ddp"))
"""


def train(place: str, output: str, kind: str) -> None:
    """One process: the training loop of hpcrg, or the bare one, and its pace in a file."""
    from hpcrg.edges.torchrun import process_group
    from hpcrg.learn import train as module
    from hpcrg.learn.data import source
    from hpcrg.learn.job import Job
    from hpcrg.learn.limits import Limits
    from hpcrg.learn.pace import Pace
    from hpcrg.learning_specs import TrainSpec

    asked = json.loads((Path(place) / "train.json").read_text())
    spec = TrainSpec(ensemble="bench", cold=3, hot=3, seeds=1, epochs=1, **asked)
    job = Job(source(next(Path(place).glob("*.h5"))), spec, 3, spec.net[0], 0, Path(output).with_suffix(".checkpoint"))
    pace = Pace()
    with process_group() as here:
        if kind == "bare":
            bare(job, pace, here.device)
        else:
            if kind == "ahead":
                module.READ_AHEAD = frozenset({"cpu"})
            module.train(job, here, Limits(1e9, lambda: False), lambda fraction: None, pace)
        if here.rank == 0:
            told = {"rate": pace.examples / pace.seconds, "waiting": pace.waited / pace.seconds}
            Path(output).write_text(json.dumps(told))


def bare(job, pace, device) -> None:
    """What anybody would write: every example on the device, one network, Adam."""
    import torch

    from hpcrg.learn import data

    runs = job.runs(job.split.training)
    codes = torch.cat([torch.from_numpy(c) for c in data.codes(job.source, runs)]).to(device)
    slot = torch.cat([torch.full((len(run),), run.slot) for run in runs]).to(device)
    net, batch = job.network().to(device), job.spec.batch
    optimiser = torch.optim.Adam(net.parameters(), lr=job.rate)
    begun = time.monotonic()
    for rows in torch.randperm(len(codes), device=device).split(batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=job.spec.precision == "bfloat16"):
            output = net(codes[rows])
        loss = job.objective.loss(output, slot[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pace.examples, pace.seconds = len(codes), time.monotonic() - begun + float(loss.detach()) * 0


class Trial:
    """Runs on one bank."""

    def __init__(self, place: Path, size: int, **asked: object) -> None:
        self.place, self.runs = place, 0
        (place / "c.yaml").write_text(CAMPAIGN.format(size=size))
        (place / "train.json").write_text(json.dumps(asked))
        verb = ["-m", "hpcrg", "sample", "c.yaml", "--ensemble", f"bench-L{size}", "--output", "bank.h5"]
        subprocess.run([sys.executable, *verb, "--state", "s"], cwd=place, check=True, stderr=subprocess.DEVNULL)

    def start(self, processes: int, kind: str) -> tuple[subprocess.Popen[bytes], Path]:
        """One run, in the background, and where it tells its pace."""
        self.runs += 1
        output = self.place / f"{self.runs}.json"
        paths = [str(Path(__file__).parent), *sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}
        command = [sys.executable, "-c", LAUNCH, str(processes), "--train", str(self.place), str(output), kind]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL), output

    def pace(self, runs: int, processes: int, kind: str = "loop") -> dict[str, float]:
        """The mean pace of some runs that are started together."""
        told = []
        for run, output in [self.start(processes, kind) for _ in range(runs)]:
            if run.wait():
                raise SystemExit(f"a run of {processes} processes ended with status {run.returncode}")
            told.append(json.loads(output.read_text()))
        return {key: sum(t[key] for t in told) / len(told) for key in told[0]}


def main() -> None:
    """Rounds in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--net", default="cnn")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    options = vars(parser.parse_args())
    rounds, cases = options.pop("rounds"), {"alone": (1, 1), "at the same time": (2, 1), "two": (1, 2)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*cases, "reading ahead", "bare")}
    with tempfile.TemporaryDirectory() as directory:
        trial = Trial(Path(directory), **options)
        for _ in range(rounds):
            for name, (runs, processes) in cases.items():
                found[name].append(trial.pace(runs, processes))
            found["reading ahead"].append(trial.pace(2, 1, "ahead"))
            found["bare"].append(trial.pace(1, 1, "bare"))
    rate = {name: median(t["rate"] for t in told) for name, told in found.items()}
    print(json.dumps(options | {
        "examples a second": rate, "waiting": {name: median(t["waiting"] for t in told) for name, told in found.items()},
        "two over one": rate["two"] / rate["at the same time"], "loop over bare": rate["alone"] / rate["bare"],
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(*sys.argv[2:])
    else:
        main()
