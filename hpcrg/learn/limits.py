"""When a training commits and when it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds between checkpoints, and whether a stop has been asked for."""

    interval: float
    stop: Callable[[], bool]
