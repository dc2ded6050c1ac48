"""One process of a small training; started by torchrun as a module. Arguments: bank, directory, and what to change in
the specification, as JSON."""

import json
import sys
from pathlib import Path

from hpcrg.campaign import TrainSpec
from hpcrg.edges.torchrun import run_training
from hpcrg.errors import EXIT_STATUS


def main(bank: str, directory: str, changes: str) -> None:
    given = {"ensemble": "small", "cold": 2, "hot": 2, "seeds": 3, "batch": 16} | json.loads(changes)
    base = Path(directory)
    run_training([Path(bank)], "cnn", TrainSpec(**given), 5, base / "series.h5", base / "state", interval=0.05)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except tuple(EXIT_STATUS) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))
