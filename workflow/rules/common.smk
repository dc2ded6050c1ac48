import os
from pathlib import Path

from hpcrg.campaign import load

CAMPAIGN_FILE = config.get("campaign", "workflow/campaigns/quickstart.yaml")
CAMPAIGN = load(Path(CAMPAIGN_FILE))
ENSEMBLES = {e.label: e for e in CAMPAIGN.ensembles()}
TUNED = {e.label for e in ENSEMBLES.values() if not e.betas}
OUT = f"results/{CAMPAIGN.name}"
ONE_THREAD_A_PROCESS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"}
os.environ.update(ONE_THREAD_A_PROCESS)


wildcard_constraints:
    label="|".join(ENSEMBLES),
    flow="|".join(CAMPAIGN.flow) or "none",
    scale="|".join(CAMPAIGN.scale) or "none",
    train="|".join(CAMPAIGN.train) or "none",


def at_most(processes):
    """As many processes as asked for, and on one machine no more than its cores. No result depends on it."""
    return min(processes, workflow.cores or processes)


def cores_of(ranks):
    """On one machine a job occupies as many cores as it has ranks; a batch system gives every rank its own."""
    return at_most(ranks) if workflow.cores else 1


def banks_of(group):
    """The banks of a group of ensembles."""
    return [f"{OUT}/banks/{e.label}.h5" for e in ENSEMBLES.values() if e.group == group]


def volume(label):
    """Sites times temperatures of an ensemble: what memory and time grow with."""
    e = ENSEMBLES[label]
    return e.geometry.volume * max(1, e.slots)
