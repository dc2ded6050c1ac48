"""The command line, but processes that train wait for seconds instead of minutes for each other (IMPATIENCE)."""

import os
from datetime import timedelta

from hpcrg.cli import main
from hpcrg.edges import torchrun

if __name__ == "__main__":
    torchrun.PATIENCE = timedelta(seconds=float(os.environ["IMPATIENCE"]))
    main()
