"""Shared by the tests of training; squares.py is shared by those of scaling."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def place():
    """This process as the only one of a training; torch is left as it was."""
    import torch

    from hpcrg.edges.torchrun import process_group

    before = torch.get_num_threads()
    with process_group() as alone:
        yield alone
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def exact_draws():
    def make(betas, chains, draws):
        """Independent draws of the 4 x 4 torus: spins [chain, slot, draw, y, x], energies, magnetisations."""
        bits = np.arange(2**16, dtype=np.uint32)[:, None] >> np.arange(16) & 1
        spins = (2 * bits.astype(np.int8) - 1).reshape(-1, 4, 4)
        bonds = spins * np.roll(spins, 1, 2) + spins * np.roll(spins, 1, 1)
        energy = -bonds.sum((1, 2), dtype=np.int64)
        rng = np.random.default_rng(4)
        logs = -np.array(betas)[:, None] * energy
        p = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        state = np.stack([rng.choice(2**16, (chains, draws), p=w) for w in p], axis=1)
        return spins[state], energy[state], spins.sum((1, 2), dtype=np.int64)[state]

    return make
