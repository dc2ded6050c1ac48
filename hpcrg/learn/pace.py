"""How fast a training goes, and how much of the time it waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hpcrg.learn.data import Batch


@dataclass
class Pace:
    """What one process saw so far: examples of global batches, the seconds that they took, and those in which it waited
    for them to be read, unpacked and shuffled."""

    examples: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, each timed until the next one is asked for."""
        source = iter(batches)
        while True:
            begun = time.monotonic()
            batch = next(source, None)
            had = time.monotonic()
            if batch is None:
                return
            yield batch
            self.examples += batch.total
            self.waited += had - begun
            self.seconds += time.monotonic() - begun

    def __str__(self) -> str:
        if not self.seconds:
            return "no example yet"
        return f"{self.examples / self.seconds:.0f} examples/s, {self.waited / self.seconds:.0%} of it waiting for data"
