"""Models. One file and one line in MODELS add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from hpcrg.errors import InputError, expected
from hpcrg.models.base import Disorder, Exact, Model, Physics
from hpcrg.models.ising import ising
from hpcrg.models.potts import potts

__all__ = ["EXAMPLES", "MODELS", "Disorder", "Exact", "Model", "Physics", "ising", "make_model", "potts"]

MODELS: dict[str, Callable[..., Model]] = {"ising": ising, "potts": potts}
EXAMPLES: tuple[dict[str, Any], ...] = ({"type": "ising"}, {"type": "potts", "q": 3})
"""One small instance, or more, of every model: what the exactness and conformance tests loop over."""


def make_model(spec: Mapping[str, Any]) -> Model:
    """The model that {"type": name, **parameters} names. Raises InputError for anything else."""
    parameters = {key: value for key, value in spec.items() if key != "type"}
    name = spec.get("type")
    if name not in MODELS:
        raise InputError(expected("model.type", f"one of {', '.join(MODELS)}", name, MODELS))
    arguments = signature(MODELS[name]).parameters
    known = list(arguments)
    for key in parameters:
        if key not in known:
            raise InputError(expected(f"model.{key}", f"one of {', '.join(['type', *known])}", key, known))
    for key in known:
        if key not in parameters and arguments[key].default is Parameter.empty:
            raise InputError(f"model.{key}: expected a value for {name}, found none")
    return MODELS[name](**parameters)
