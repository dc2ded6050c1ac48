"""The verbs of the command line. Each reads files, calls one function and writes files.

Exit status: 0 done; 2 something in the input is wrong; 3 a bank has not thermalised; 4 test data leaked into training;
75 stopped on request with everything kept, the same command goes on.
"""

from __future__ import annotations

import sys

# The help shows verbs in the order in which they are imported.
# isort: off
from hpcrg.cli import sampling
from hpcrg.cli import analysis

# isort: on
from hpcrg.cli.options import app
from hpcrg.errors import EXIT_STATUS

__all__ = ["analysis", "main", "sampling"]


def main() -> None:
    """Run a verb; turn what the user can mend into one message and an exit status."""
    from hpcrg.progress import start_logging

    start_logging()
    try:
        app()
    except tuple(EXIT_STATUS) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))
