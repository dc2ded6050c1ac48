"""Turning what a schema checker found into sentences for people: place, expected, found, nearest valid name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from hpcrg.errors import expected, nearest


class StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key given twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the parent, but a repeated key is an error with its line."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} a second time", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def place(location: tuple[int | str, ...]) -> str:
    """`ensembles.scan.sizes[2]` from ("ensembles", "scan", "sizes", 2)."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand in the mapping that holds the last part of `location`."""
    current: Any = model
    for part in location[:-1]:
        current = _inside(_without_none(current), part)
    current = _without_none(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [f.alias or name for name, f in current.model_fields.items()]
    return []


def _inside(current: Any, part: int | str) -> Any:
    """The type of one field of a model, or of the values of a mapping or sequence."""
    if isinstance(current, type) and issubclass(current, BaseModel):
        fields = (f.annotation for name, f in current.model_fields.items() if part in (name, f.alias))
        return next(fields, None)
    arguments = [a for a in get_args(current) if a is not Ellipsis]
    return arguments[-1] if arguments else None


def _without_none(annotation: Any) -> Any:
    """X from X | None."""
    arguments = get_args(annotation)
    return arguments[0] if type(None) in arguments else annotation


def _parent(location: tuple[int | str, ...], valid: list[str]) -> tuple[int | str, ...]:
    """The place of the key that an unknown key was meant to be."""
    return (*location[:-1], nearest(str(location[-1]), valid) or "")


def explain(where: str, error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """One line for each mistake, in the order of the file's keys."""
    found = error.errors(include_url=False)
    places = [item["loc"] for item in found]
    typos = {_parent(item["loc"], fields_at(model, item["loc"])) for item in found if item["type"] == "extra_forbidden"}
    for item in found:
        location, kind = item["loc"], item["type"]
        if any(p != location and p[: len(location)] == location for p in places) or location in typos:
            continue  # a mistake inside a mapping, or a key written wrongly, is said once, where it stands
        at = f"{where}: {place(location)}" if location else where
        if kind == "extra_forbidden":
            valid = fields_at(model, location)
            guess = nearest(str(location[-1]), valid)
            yield (f"{at}: expected one of {', '.join(valid)}, found the unknown key {location[-1]!r}"
                   + (f"; did you mean {guess!r}?" if guess else ""))  # fmt: skip
        elif kind == "missing":
            yield f"{at}: expected a value, found none"
        elif kind == "value_error":
            for line in str(item["ctx"]["error"]).splitlines():
                yield f"{at}: {line}"
        else:
            wanted = item["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
            yield expected(at, wanted, item["input"])
