"""Damaged campaign files and bank files, and what the verbs make of them.

    python tests/fuzz/fuzz.py [--examples 2000] [--seed 1] [--what campaigns,banks]

An example may be accepted, or refused with an error that the command line turns into an exit status. Another exception, a
crash, a hang, a file outside the results, or content that is not what was written is wrong. Prints counts; exit status 1
when anything was wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import banks
import campaigns
from worker import WRONG, Worker


@dataclass
class Tally:
    """What came of examples: counts, and one example of each thing that went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, Any] = field(default_factory=dict)

    def add(self, outcome: str, example: Any) -> None:
        """Count one."""
        kind = outcome.partition(":")[0]
        self.counts["examples"] += 1
        self.counts[kind] += 1
        if kind == WRONG:
            self.wrong.setdefault(outcome[:160], example)

    def __str__(self) -> str:
        return ", ".join(f"{self.counts[kind]} {kind.lower()}" for kind in ("examples", "accepted", "refused", WRONG))


def drive(strategy: st.SearchStrategy[Any], examples: int, start: int, one: Callable[[Any], str]) -> Tally:
    """So many examples of a strategy, the same for the same `start`."""
    tally = Tally()

    @seed(start)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def run(example: Any) -> None:
        tally.add(one(example), example)

    run()
    return tally


@contextmanager
def _place() -> Iterator[str]:
    """A directory to work in, left before it goes: this process may have other things to do afterwards."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory, chdir(directory):
        yield directory


def fuzz_campaigns(examples: int, start: int) -> Tally:
    """Campaign files."""
    with _place() as directory, Worker({"campaign": campaigns.look}) as worker:
        yard = campaigns.Yard(Path(directory))
        yard.build()

        def one(content: bytes) -> str:
            yard.campaign.write_bytes(content)
            return worker.ask("campaign", directory)

        return drive(campaigns.files(), examples, start, one)


def fuzz_banks(examples: int, start: int) -> Tally:
    """Banks, checkpoints and everything else that verbs leave."""
    with _place() as directory, Worker({"bank": banks.look}) as worker:
        banks.Yard(Path(directory)).build()
        return drive(banks.examples(), examples, start, lambda example: worker.ask("bank", directory, *example))


FUZZ: dict[str, Callable[[int, int], Tally]] = {"campaigns": fuzz_campaigns, "banks": fuzz_banks}


def main(examples: int, start: int, what: list[str]) -> int:
    """Everything; how many examples were wrong."""
    wrong = 0
    for name in what:
        begun = time.monotonic()
        tally = FUZZ[name](examples, start)
        print(f"{name}: {tally} in {time.monotonic() - begun:.0f} s", flush=True)
        for outcome, example in tally.wrong.items():
            print(f"  {outcome}\n    {example!r:.4000}", flush=True)
        wrong += tally.counts[WRONG]
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--what", default="campaigns,banks")
    given_ = parser.parse_args()
    sys.exit(min(1, main(given_.examples, given_.seed, given_.what.split(","))))
