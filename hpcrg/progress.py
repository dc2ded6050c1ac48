"""Progress of long work: a live bar on a terminal, one log line an event elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[float, str], None]
"""Called with the fraction done and a few words on what is being done."""


def start_logging() -> None:
    """One line an event on standard error."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)


@contextmanager
def reporting(title: str, quiet: bool = False, every: float = 15.0) -> Iterator[Report]:
    """A Report for the work named `title`; `quiet` for ranks that have nothing to say; in a log, at most one line in
    `every` seconds and one at the end."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda fraction, text: None
    elif console.is_terminal:
        with _bar(title, console) as report:
            yield report
    else:
        with _log(title, every) as report:
            yield report


@contextmanager
def _bar(title: str, console: Any) -> Iterator[Report]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
             TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[what]}"))  # fmt: skip
    with Progress(*parts, console=console) as progress:
        task = progress.add_task(title, total=1.0, what="")
        yield lambda fraction, text: progress.update(task, completed=fraction, what=text)


@contextmanager
def _log(title: str, every: float) -> Iterator[Report]:
    logger, begun = logging.getLogger("hpcrg"), time.monotonic()
    last = [begun]
    logger.info("%s: started", title)

    def report(fraction: float, text: str) -> None:
        now = time.monotonic()
        if now - last[0] > every:
            last[0] = now
            logger.info("%s: %3.0f %% after %.0f s %s", title, 100 * fraction, now - begun, text)

    yield report
    logger.info("%s: done in %.1f s", title, time.monotonic() - begun)
