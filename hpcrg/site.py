"""A site: what a cluster calls its partitions, how MPI ranks are started there, and where Dask workers run.

A site file is TOML; every key has a default:

    account = ""                       # SLURM account of jobs, if the site asks for one
    launcher = "srun --mpi=pmi2 -K1"   # starts MPI ranks; -n RANKS is added; -K1: a rank that is killed ends all
    ranks_per_node = 0                 # MPI ranks that a node takes, 0 for any
    modules = ["module load python"]   # shell lines before every job
    interface = ""                     # network interface between nodes: needed where there is a table `dask`
    gpu_type = ""                      # as in --gpus=TYPE:1
    processes_per_node = 0             # training processes that a node takes, 0 for all on one

    [partitions]
    cpu = "cpu"
    gpu = "gpu"

    [dask]                             # workers as SLURM jobs; without this table they run inside the job
    jobs = 4                           # how many to keep; lost ones are replaced
    tls = true                         # encrypt connections, with a certificate made for the run
    cores = 1                          # this and all that follows: arguments of dask_jobqueue.SLURMCluster
    processes = 1
    memory = "4GB"
    walltime = "01:00:00"

    [dask.tls]                         # in place of tls = true: PEM files of your own
    ca = "ca.pem"                      # the authority; who shows a certificate that it has signed may run code here
    cert = "cert.pem"
    key = "key.pem"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hpcrg.errors import InputError
from hpcrg.specs import Spec
from hpcrg.validation import explain

WORD = re.compile(r"[A-Za-z0-9_.:,@-]*")


def word(name: str) -> str:
    """A name that reaches a command line. Raises ValueError for one that a shell could take apart."""
    if not WORD.fullmatch(name):
        raise ValueError("expected letters, digits and _.:,@- only")
    return name


class Partitions(Spec):
    """Names of partitions; empty where the site's default serves."""

    cpu: str = ""
    gpu: str = ""

    _words = field_validator("*")(word)


class PemFiles(Spec):
    """Names of PEM files: an authority, a certificate that it has signed, and its key."""

    ca: str = Field(min_length=1)
    cert: str = Field(min_length=1)
    key: str = Field(min_length=1)


class DaskJobs(BaseModel):
    """`jobs` SLURM jobs of Dask workers, and whether their connections are encrypted; everything else goes to
    SLURMCluster."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    jobs: int = Field(1, ge=1)
    tls: bool | PemFiles = True


class Site(Spec):
    """See the module."""

    account: str = ""
    launcher: str = Field("srun --mpi=pmi2 -K1", min_length=1)
    ranks_per_node: int = Field(0, ge=0)
    modules: tuple[str, ...] = Field((), strict=False)
    interface: str = ""
    gpu_type: str = ""
    processes_per_node: int = Field(0, ge=0)
    partitions: Partitions = Partitions()
    dask: DaskJobs | None = None

    _words = field_validator("account", "interface", "gpu_type")(word)

    @model_validator(mode="after")
    def _listening(self) -> Site:
        if self.dask and not (self.interface or (self.dask.model_extra or {}).get("interface")):
            raise ValueError("expected the interface on which Dask listens, beside a table `dask`, found none")
        return self

    def place(self, kind: str) -> dict[str, Any]:
        """Resources of a Snakemake rule on the partition `kind`, only those that the site names."""
        found = {"slurm_partition": getattr(self.partitions, kind), "slurm_account": self.account}
        return {key: value for key, value in found.items() if value}

    def sampling(self, ranks: int) -> dict[str, Any]:
        """The same for so many MPI ranks."""
        spread = {"nodes": self.sampling_nodes(ranks)} if self.ranks_per_node and ranks > 1 else {}
        return self.place("cpu") | spread

    def sampling_nodes(self, ranks: int) -> int:
        """Nodes for so many MPI ranks; one where the batch system decides."""
        return -(-ranks // self.ranks_per_node) if self.ranks_per_node else 1

    def training(self, processes: int, gpus: int) -> dict[str, Any]:
        """The same for so many training processes, on nodes of `gpus` GPUs each (0: on CPUs). On several nodes one task
        a node starts them."""
        place = self.place("gpu" if gpus else "cpu")
        if gpus:
            place["gres"] = f"gpu:{self.gpu_type}:{gpus}" if self.gpu_type else f"gpu:{gpus}"
            place[
                "tasks_per_gpu"
            ] = -1  # the SLURM plugin takes `tasks` for it, which srun then refuses to divide by nodes
        nodes = self.training_nodes(processes)
        return place | ({"nodes": nodes, "tasks": nodes, "mpi": "srun"} if nodes > 1 else {})

    def training_nodes(self, processes: int) -> int:
        """Nodes for so many training processes."""
        return -(-processes // self.processes_per_node) if self.processes_per_node else 1


def load_site(path: Path) -> Site:
    """A site file. Raises InputError, naming the place, for one that cannot be read or has unknown keys."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: expected a TOML site file, found {error}") from None
    try:
        return Site.model_validate(table)
    except ValidationError as error:
        raise InputError("\n".join(explain(str(path), error, Site))) from None
