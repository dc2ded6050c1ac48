"""Asked to stop: by a signal or by the clock. Nothing happens inside a handler but a flag."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGURG)


@contextmanager
def stop_requests(time_limit: float | None) -> Iterator[Callable[[], bool]]:
    """A function that says whether one of STOP_SIGNALS has come or `time_limit` seconds have passed."""
    asked: list[int] = []
    end = time.monotonic() + time_limit if time_limit is not None else None

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {s: signal.signal(s, note) for s in STOP_SIGNALS}
    try:
        yield lambda: bool(asked) or (end is not None and time.monotonic() > end)
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
