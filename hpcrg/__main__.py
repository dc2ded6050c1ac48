"""`python -m hpcrg` is the command line."""

from hpcrg.cli import main

main()
