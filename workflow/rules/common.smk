import functools
import math
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from hpcrg.campaign import load
from hpcrg.errors import InputError, expected
from hpcrg.forecast import steps
from hpcrg.plan import Timings, costs, series_costs
from hpcrg.site import Site, load_site

CAMPAIGN_FILE = config.get("campaign", "workflow/campaigns/quickstart.yaml")
try:
    CAMPAIGN = load(Path(CAMPAIGN_FILE))
    SITE = load_site(Path(config["site"])) if "site" in config else Site()
except InputError as error:
    raise WorkflowError(str(error)) from None
ENSEMBLES = {e.label: e for e in CAMPAIGN.ensembles()}
SERIES = {s.label: s for s in CAMPAIGN.series()}
TUNED = {e.label for e in ENSEMBLES.values() if not e.betas}
OUT = f"results/{CAMPAIGN.name}"
CORES = None if workflow.remote_exec else workflow.resource_settings.cores  # None: a batch system gives them
ONE_THREAD_A_PROCESS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"}


envvars:
    "PATH",


HERE = str(Path(sys.executable).parent)
LAUNCHER = "mpiexec" if CORES else SITE.launcher
DASK = f"--scheduler {shlex.quote('slurm:' + config['site'])}" if not CORES and SITE.dask else ""
STOP_EARLY = "'--signal=URG@120'"  # two minutes before the limit of a job; all verbs that take long hear it
shell.prefix("".join(f"{line}; " for line in SITE.modules if not CORES))
NAMED = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "FI_TCP_IFACE", "FI_SOCKETS_IFACE")  # torch, and MPI by libfabric
NETWORK = dict.fromkeys(NAMED, SITE.interface)
BETWEEN_NODES = NETWORK if SITE.interface and not CORES else {}
ON_ONE_MACHINE = {"UCX_TLS": os.environ.get("UCX_TLS", "self,sm")} if CORES else {}  # ranks listen on no network
os.environ.update(ONE_THREAD_A_PROCESS | BETWEEN_NODES | ON_ONE_MACHINE)
os.environ.update({"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}"})


wildcard_constraints:
    label="|".join(ENSEMBLES) or "none",
    series="|".join(SERIES) or "none",
    group="|".join(CAMPAIGN.series_specs) or "none",
    flow="|".join(CAMPAIGN.flow) or "none",
    scale="|".join(CAMPAIGN.scale) or "none",
    train="|".join(CAMPAIGN.train) or "none",
    stack="|".join(CAMPAIGN.stack) or "none",
    hierarchy="|".join(CAMPAIGN.hierarchy) or "none",
    number=r"\d+",


def at_most(processes):
    """As many processes as asked for, and on one machine no more than its cores. No result depends on it."""
    return min(processes, CORES or processes)


RANKS = at_most(CAMPAIGN.resources.ranks)
CORES_OF_RANKS = RANKS if CORES else 1  # of this machine; a batch system gives every rank its own
MPI = {"tasks": RANKS, "mpi": LAUNCHER} if RANKS > 1 else {}
HPCRG = f"{LAUNCHER} -n {RANKS} python -m mpi4py -m hpcrg" if RANKS > 1 else "hpcrg"
SAMPLING = f"--ranks {RANKS} --interval {CAMPAIGN.resources.interval}"


def banks_of(group):
    """The banks of a group of ensembles."""
    return [f"{OUT}/banks/{e.label}.h5" for e in ENSEMBLES.values() if e.group == group]


@functools.cache
def foreseen():
    """What every job will take, by its title. Asked for where jobs are submitted to a batch system, and only there."""
    timings = Timings()
    known = [*costs(CAMPAIGN, timings), *series_costs(CAMPAIGN, timings)]
    found = {job.title: job for job in steps(CAMPAIGN, Path("results"), timings, known)}
    timings.save()
    return found


def job_of(kind, wildcards):
    """The job of a kind that the wildcards of its rule name."""
    return foreseen()[f"{kind} {''.join(wildcards)}".strip()]


def asked(kind, nodes=1):
    """Minutes and memory to ask for, several times what is foreseen and more at every attempt: a limit costs a restart,
    and what is not used costs nothing but a place in the queue. `nodes` share the memory."""
    if CORES or workflow.remote_exec:
        return {}
    return {
        "runtime": lambda wildcards, attempt: math.ceil(attempt * (3 + 3 * job_of(kind, wildcards).seconds / 60)),
        "mem_mb": lambda wildcards, attempt: math.ceil(
            min(attempt, 4) * (250 + 1.5 * job_of(kind, wildcards).memory / 1e6 / nodes)
        ),
    }
