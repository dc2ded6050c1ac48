"""A few hundred damaged files; fuzz.py makes as many as wanted."""

from pathlib import Path

import pytest
from fuzz import FUZZ

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what", FUZZ)
def test_damaged_files_are_accepted_or_refused(what):
    here = Path.cwd()
    tally = FUZZ[what](200, 1)
    assert Path.cwd() == here
    assert tally.counts["examples"] >= 200
    assert tally.counts["refused"] > 20
    assert not tally.wrong, tally.wrong
