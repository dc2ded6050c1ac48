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
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
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
        current = _inside(current, part)
        if current is None:
            return []
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [f.alias or name for name, f in current.model_fields.items()]
    return []


def _inside(current: Any, part: int | str) -> Any:
    if isinstance(current, type) and issubclass(current, BaseModel):
        for name, field in current.model_fields.items():
            if part in (name, field.alias):
                return _model_in(field.annotation) or field.annotation
        return None
    return _model_in(current)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def explain(where: str, error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """One line for each mistake, in the order of the file's keys."""
    for item in error.errors(include_url=False):
        location, kind = item["loc"], item["type"]
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
