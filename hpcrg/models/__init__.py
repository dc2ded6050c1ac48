"""Models. One file and one line in MODELS add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any

from hpcrg.errors import InputError, expected
from hpcrg.models.ashkin_teller import ashkin_teller
from hpcrg.models.base import Disorder, Exact, Model, Physics
from hpcrg.models.baxter_wu import baxter_wu
from hpcrg.models.blume_capel import blume_capel
from hpcrg.models.clock import clock
from hpcrg.models.diluted_ising import diluted_ising
from hpcrg.models.edwards_anderson import edwards_anderson
from hpcrg.models.ising import ising
from hpcrg.models.j1j2 import j1j2
from hpcrg.models.on import heisenberg, on, xy
from hpcrg.models.phi4 import phi4
from hpcrg.models.potts import potts

__all__ = ["EXAMPLES", "MODELS", "Disorder", "Exact", "Model", "Physics", "ising", "make_model", "potts"]

MODELS: dict[str, Callable[..., Model]] = {
    "ising": ising, "blume_capel": blume_capel, "potts": potts, "clock": clock, "ashkin_teller": ashkin_teller,
    "baxter_wu": baxter_wu, "j1j2": j1j2, "diluted_ising": diluted_ising, "edwards_anderson": edwards_anderson,
    "xy": xy, "heisenberg": heisenberg, "on": on, "phi4": phi4,
}  # fmt: skip
EXAMPLES: tuple[dict[str, Any], ...] = (
    {"type": "ising"}, {"type": "ising", "field": 0.2}, {"type": "blume_capel", "D": 0.7}, {"type": "potts", "q": 3},
    {"type": "clock", "q": 6}, {"type": "ashkin_teller", "K": 0.5}, {"type": "baxter_wu"}, {"type": "j1j2", "J2": -0.6},
    {"type": "diluted_ising", "site": 0.2}, {"type": "diluted_ising", "bond": 0.3},
    {"type": "edwards_anderson", "couplings": "pm1"}, {"type": "edwards_anderson", "couplings": "gaussian"},
    {"type": "xy"}, {"type": "heisenberg"}, {"type": "on", "n": 4}, {"type": "phi4", "lam": 1.1},
)  # fmt: skip
"""One small instance, or more, of every model: what the exactness and conformance tests loop over."""


def make_model(spec: Mapping[str, Any]) -> Model:
    """The model that {"type": name, **parameters} names. Raises InputError for anything else."""
    parameters = {key: value for key, value in spec.items() if key != "type"}
    name = spec.get("type")
    if not isinstance(name, str) or name not in MODELS:
        raise InputError(expected("model.type", f"one of {', '.join(MODELS)}", name, MODELS))
    arguments = _arguments(name)
    known = list(arguments)
    for key in parameters:
        if key not in known:
            raise InputError(expected(f"model.{key}", f"one of {', '.join(['type', *known])}", key, known))
    for key in known:
        if key not in parameters and arguments[key].default is Parameter.empty:
            raise InputError(f"model.{key}: expected a value for {name}, found none")
    return MODELS[name](**parameters)


@cache
def _arguments(name: str) -> Mapping[str, Parameter]:
    return signature(MODELS[name]).parameters
