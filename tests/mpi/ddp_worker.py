"""One process of a small training; started by torchrun as a module. Arguments: bank, directory, and what to change in
the specification, as JSON; with `read_ahead` batches are read ahead on a CPU too."""

import json
import sys
from pathlib import Path

from hpcrg.campaign import TrainSpec
from hpcrg.edges.torchrun import run_training
from hpcrg.errors import EXIT_STATUS
from hpcrg.learn import train


def main(bank: str, directory: str, changes: str) -> None:
    asked = json.loads(changes)
    if asked.pop("read_ahead", False):
        train.READ_AHEAD = frozenset({"cpu"})
    given = {"ensemble": "small", "cold": 2, "hot": 2, "seeds": 3, "batch": 16} | asked
    base = Path(directory)
    run_training([Path(bank)], "cnn", TrainSpec(**given), 5, base / "series.h5", base / "state", interval=0.05)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except tuple(EXIT_STATUS) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))
