"""Updates of a Boltzmann machine beside those of the `rbms` package, in one process, in turns.

    pip install --no-deps --target PEER rbms==0.5.0 tqdm
    python tests/bench/machines.py --peer PEER [--seconds 4] [--rounds 5]

Persistent chains, centred gradients, float32, one thread, 512 examples and 512 chains, 256 hidden units. Of rbms its own
step without the archive that it writes after each; prints examples a second, medians of the rounds, and the ratio.
"""

import argparse
import sys
import time
from statistics import median

import torch

from hpcrg.learn.rbm.training import Settings, start

BATCH, HIDDEN = 512, 256
CASES = [(784, 1), (784, 10), (784, 100), (1024, 1), (1024, 10), (1024, 100)]


def ours(data, steps):
    """An update of hpcrg."""
    settings = Settings(steps=steps, chains=BATCH, updates=10**9, rate=0.01)
    trainer = start(data, HIDDEN, settings, torch.Generator().manual_seed(1), low=0.0)
    return lambda: trainer.update(data[torch.randint(len(data), (BATCH,))])


def theirs(data, steps):
    """An update of rbms."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    visible = data.shape[1]
    machine = BBRBM(0.01 * torch.randn(visible, HIDDEN), torch.zeros(visible), torch.zeros(HIDDEN))
    machine.init_grad()
    optimiser = torch.optim.SGD(machine.parameters(), lr=0.01, maximize=True)
    chains = machine.init_chains(BATCH)
    weights = torch.ones(BATCH, 1)

    def update():
        nonlocal chains
        optimiser.zero_grad(set_to_none=False)
        batch = data[torch.randint(len(data), (BATCH,))], weights
        chains, _ = fit_batch_pcd(batch, chains, machine, steps, 1.0)
        optimiser.step()

    return update


def speed(update, seconds):
    """Examples a second."""
    update()
    begun, count = time.process_time(), 0
    while time.process_time() - begun < seconds or not count:
        update()
        count += 1
    return BATCH * count / (time.process_time() - begun)


def main():
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    sys.path.append(given.peer)
    torch.set_num_threads(1)
    print("| visible | sweeps | hpcrg, examples/s | rbms | ratio |\n|---|---|---|---|---|")
    for visible, steps in CASES:
        data = (torch.rand(5000, visible, generator=torch.Generator().manual_seed(2)) < 0.3).float()
        with torch.no_grad():
            updates = [ours(data, steps), theirs(data, steps)]
            found = [[speed(update, given.seconds) for update in updates] for _ in range(given.rounds)]
        mine, other = (median(column) for column in zip(*found, strict=True))
        print(f"| {visible} | {steps} | {mine:.0f} | {other:.0f} | {median(a / b for a, b in found):.2f} |", flush=True)


if __name__ == "__main__":
    main()
