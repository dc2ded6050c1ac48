"""Shared by the tests of training."""

import pytest


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
