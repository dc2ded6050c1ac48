"""One process of a small training; started by torchrun as a module. Arguments: bank, directory, epochs."""

import sys
from pathlib import Path

from hpcrg.campaign import TrainSpec
from hpcrg.edges.torchrun import run_training
from hpcrg.errors import EXIT_STATUS


def main(bank: str, directory: str, epochs: str) -> None:
    spec = TrainSpec(ensemble="small", cold=2, hot=2, seeds=3, epochs=int(epochs), batch=16)
    base = Path(directory)
    run_training([Path(bank)], "cnn", spec, 5, base / "series.h5", base / "state", interval=0.05)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except tuple(EXIT_STATUS) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))
