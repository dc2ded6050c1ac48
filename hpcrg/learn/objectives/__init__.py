"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable

from hpcrg.learn.objectives.base import Objective
from hpcrg.learn.objectives.classifier import Classifier

OBJECTIVES: dict[str, Callable[[int, int, int], Objective]] = {"classifier": Classifier}
"""Each makes an objective from (slots of the ladder, cold, hot)."""

__all__ = ["OBJECTIVES", "Classifier", "Objective"]
