"""Some flips of single bits; `python tests/faults/flips.py` has as many as one likes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import flips


def test_no_flip_is_loaded_for_something_else():
    assert flips.run_all(180, 20261126) == 0


@pytest.mark.parametrize("kind", ["bank", "checkpoint"])
def test_another_value_is_seen(kind, tmp_path):
    """The comparison has power: a whole file of other content is not taken for the one wanted."""
    target, whole, load = flips.make_files(tmp_path)[kind]
    assert flips.outcome(load, whole, load(whole)) == "same"
    assert flips.outcome(load, whole, "something else") == "WRONG: another value"
    target.write_bytes(b"")
    assert flips.outcome(load, whole, "something else") == "refused"
