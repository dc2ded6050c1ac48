"""Models. One file and one line in MODELS add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from hpcrg.errors import InputError, expected
from hpcrg.models.base import Exact, Model, Physics
from hpcrg.models.ising import Ising
from hpcrg.models.potts import Potts

__all__ = ["EXAMPLES", "MODELS", "Exact", "Ising", "Model", "Physics", "Potts", "make_model"]

MODELS: dict[str, Callable[..., Model]] = {"ising": Ising, "potts": Potts}
EXAMPLES: tuple[dict[str, Any], ...] = ({"type": "ising"}, {"type": "potts", "q": 3})
"""One small instance, or more, of every model: what the exactness and conformance tests loop over."""


def make_model(spec: Mapping[str, Any]) -> Model:
    """The model that {"type": name, **parameters} names. Raises InputError for anything else."""
    parameters = {key: value for key, value in spec.items() if key != "type"}
    name = spec.get("type")
    if name not in MODELS:
        raise InputError(expected("model.type", f"one of {', '.join(MODELS)}", name, MODELS))
    known = list(signature(MODELS[name]).parameters)
    for key in parameters:
        if key not in known:
            raise InputError(expected(f"model.{key}", f"one of {', '.join(['type', *known])}", key, known))
    for key in known:
        if key not in parameters:
            raise InputError(f"model.{key}: expected a value for {name}, found none")
    return MODELS[name](**parameters)
