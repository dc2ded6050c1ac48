"""The application, and the arguments and options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Critical points and exponents of lattice models, by every method, from one campaign file.",
)  # fmt: skip

CampaignFile = Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="The campaign's YAML file.")]
Output = Annotated[Path, typer.Option("--output", help="The file to write.")]
Results = Annotated[Path, typer.Option(help="Where results stand.")]
Banks = Annotated[list[Path], typer.Argument(metavar="BANK...", help="Bank files.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Dask workers; the campaign's number by default.")]
Threads = Annotated[bool, typer.Option("--threads", help="Workers are threads of this process.")]
Ranks = Annotated[int | None, typer.Option(min=1, help="MPI ranks that this run must have.")]
TimeLimit = Annotated[float | None, typer.Option(min=0, help="Seconds after which to stop and keep all.")]
Interval = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]
Chunk = Annotated[int, typer.Option(min=1, help="Mebibytes of unpacked spins or series in one task.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a running Dask scheduler, slurm:SITE.toml or runner:FILE.")
]
Tls = Annotated[
    bool | None, typer.Option("--tls/--no-tls", help="Encrypt what Dask says; between nodes that is the default.")
]
