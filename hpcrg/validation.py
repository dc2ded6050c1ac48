"""Turning what a schema checker found into sentences for people: place, expected, found, nearest valid name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from hpcrg.errors import SHOWN, InputError, expected, nearest, shown

MOST_CHARACTERS, MOST_LEVELS, MOST_BITS = 1 << 20, 40, 1024
"""What a file may stand for with its aliases written out, how deeply values may be nested, and how long a number may
be."""
MOST_MISTAKES = 50


class StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key given twice in one mapping, and says where a value does not fit its tag."""

    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As the parent, but deep nesting ends here, long before Python's own limit."""
        self.levels += 1
        if self.levels > MOST_LEVELS:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, f"more than {MOST_LEVELS} levels of nesting", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.levels -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As the parent, but any value that cannot be made is an error with its line."""
        try:
            value = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise _wrong(node, f"{shown(node.value)}, which is no {node.tag.rpartition(':')[2]}") from None
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise _wrong(node, f"a number of {value.bit_length()} bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the parent, but a key that is no scalar or that is repeated is an error with its line."""
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(node, "what is no mapping")
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _wrong(key_node, "a key that is a list or a mapping")
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} a second time", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _wrong(node: yaml.Node, found: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, found, node.start_mark)


def read_yaml(text: str, where: str) -> Any:
    """The values of a YAML file. Raises InputError for text that is no YAML, and for a short text that stands for very
    much: nothing of it is made then."""
    try:
        loader = StrictLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _extent(node, {}, 0)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: expected YAML, found {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{where}: expected at most {MOST_LEVELS} levels of nesting, found more") from None


def _extent(node: yaml.Node, known: dict[int, tuple[int, int]], above: int) -> tuple[int, int]:
    """The characters and the levels that a node stands for with its aliases written out."""
    if id(node) not in known and above <= MOST_LEVELS:
        inside = [] if isinstance(node, yaml.ScalarNode) else node.value
        nodes = [n for item in inside for n in (item if isinstance(item, tuple) else (item,))]
        parts = [_extent(n, known, above + 1) for n in nodes]
        own = 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        known[id(node)] = own + sum(c for c, _ in parts), 1 + max((levels for _, levels in parts), default=0)
    characters, levels = known.get(id(node), (0, 1))
    if above + levels > MOST_LEVELS:
        raise _wrong(node, f"more than {MOST_LEVELS} levels of nesting")
    if characters > MOST_CHARACTERS:
        raise _wrong(node, f"more than {MOST_CHARACTERS} characters with all aliases written out")
    return characters, levels


def place(location: tuple[int | str, ...]) -> str:
    """`ensembles.scan.sizes[2]` from ("ensembles", "scan", "sizes", 2)."""
    text = ""
    for part in location:
        told = part if isinstance(part, int) or (part.isprintable() and len(part) <= SHOWN) else shown(part)
        text += f"[{told}]" if isinstance(part, int) else f".{told}"
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


def explain(where: str, error: ValidationError, model: type[BaseModel] = BaseModel) -> Iterator[str]:
    """One line for each mistake, in the order of the file's keys, up to MOST_MISTAKES of them."""
    every = error.errors(include_url=False)
    found = every[:MOST_MISTAKES]
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
            yield (f"{at}: expected one of {', '.join(valid)}, found the unknown key {shown(location[-1])}"
                   + (f"; did you mean {guess!r}?" if guess else ""))  # fmt: skip
        elif kind == "missing":
            yield f"{at}: expected a value, found none"
        elif kind == "value_error":
            for line in str(item["ctx"]["error"]).splitlines():
                yield f"{at}: {line}"
        else:
            wanted = item["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
            yield expected(at, wanted, item["input"])
    if len(every) > len(found):
        yield f"{where}: and {len(every) - len(found)} more"
