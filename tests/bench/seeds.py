"""The quickstart with five fresh seeds, one after the other, and all their estimates in one table.

    python tests/bench/seeds.py [COUNT] [ENTROPY]

Seeds are drawn from the operating system's entropy unless ENTROPY is given; it is printed, so that a run can be
repeated. Writes results/seeds/estimates.json and prints, for every estimate, value(error), pull and the seconds taken.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

QUICKSTART = Path("workflow/campaigns/quickstart.yaml")


def run(seed):
    """The estimates of the quickstart with this seed, and the seconds that it took."""
    campaign = yaml.safe_load(QUICKSTART.read_text()) | {"name": f"seed-{seed}", "seed": seed}
    path = Path("results/seeds") / f"{seed}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(campaign, sort_keys=False))
    begun = time.monotonic()
    snakemake = ["snakemake", "--workflow-profile", "cluster/profiles/local", "--quiet", "all"]
    subprocess.run([*snakemake, "--config", f"campaign={path}"], check=True)
    seconds = time.monotonic() - begun
    return json.loads(Path(f"results/seed-{seed}/estimates.json").read_text()), seconds


def main(count=5, entropy=None):
    sequence = np.random.SeedSequence(entropy)
    seeds = np.random.default_rng(sequence).integers(1, 2**31, count).tolist()
    print(f"entropy {sequence.entropy}, seeds {seeds}", flush=True)
    rows = []
    for seed in seeds:
        estimates, seconds = run(seed)
        print(f"\nseed {seed}: {seconds:.0f} s")
        for e in estimates:
            e.pop("replicas")
            rows.append(e | {"seed": seed, "seconds": seconds})
            pull = "-" if e["pull"] is None else f"{e['pull']:+.2f}"
            relative = 100 * e["error"] / abs(e["value"])
            print(f"  {e['quantity']:10} {e['method']:18} {e['text']:>16} {relative:8.3f} %  pull {pull}", flush=True)
    Path("results/seeds/estimates.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
