"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpcrg.learn.objectives.base import Objective
from hpcrg.learn.objectives.classifier import Classifier
from hpcrg.learn.objectives.regressor import Regressor

OBJECTIVES: dict[str, Callable[[Sequence[float], int, int], Objective]] = {
    "classifier": Classifier,
    "regressor": Regressor,
}
"""Each makes an objective from (inverse temperatures of the ladder, cold, hot)."""

__all__ = ["OBJECTIVES", "Classifier", "Objective", "Regressor"]
