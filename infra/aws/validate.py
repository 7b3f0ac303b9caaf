"""Requests held against SageMaker's published model, and against what its reference says beside it.

    problems("CreateTrainingJob", request) -> [Problem(path, what is wrong)]

botocore ships the model of every operation and itself checks only what is required, the types and
minima. Here all of it counts: patterns, enumerations, lengths, unions, unknown members. What the
model cannot say is in ``infra.aws.rules``, a pipeline's definition in ``infra.aws.definition``.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.cloud.problems import Problem, shown, under

_PLACEHOLDERS = ({"Get"}, {"Std:Join"}, {"Std:JsonGet"})


def problems(operation: str, request: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with a request, in the order of its fields. Raises KeyError: no operation.

    Where the model finds something, the rules are not asked: they count on its shapes.
    """
    from infra.aws import definition, rules

    found = list(_walk(_input_of(operation), request, "", lambda _: False))
    return found or [*rules.problems(operation, request), *definition.problems(operation, request)]


def shaped(service: str, operation: str, request: Mapping[str, Any]) -> list[Problem]:
    """What another service's model finds wrong with a request. Raises KeyError: no operation."""
    if operation not in _model(service).operation_names:
        raise KeyError(operation)
    shape = _model(service).operation_model(operation).input_shape
    return list(_walk(shape, request, "", lambda _: False))


def arguments(operation: str, given: Mapping[str, Any], path: str, named: str) -> Iterator[Problem]:
    """Hold a pipeline step's Arguments against the operation that the service makes of them.

    ``named`` is the member that the service fills in itself; values known only in the run are
    passed over.
    """
    from infra.aws import rules

    found = list(_walk(_input_of(operation), given, path, is_placeholder, absent=named))
    yield from found
    if not found:
        for each in rules.problems(operation, given):
            yield Problem(f"{path}.{each.path}", each.words)


def is_placeholder(value: Any) -> bool:
    """Whether a value of a pipeline's definition is known only in the run."""
    return isinstance(value, Mapping) and set(value) in _PLACEHOLDERS


@functools.cache
def _model(service: str = "sagemaker") -> Any:
    from botocore.model import ServiceModel

    from infra.aws.session import models

    return ServiceModel(models().load_service_model(service, "service-2"))


def operations() -> list[str]:
    """The name of every operation there is."""
    names: list[str] = _model().operation_names
    return names


def _input_of(operation: str) -> Any:
    if operation not in operations():
        raise KeyError(operation)
    return _model().operation_model(operation).input_shape


def _walk(
    shape: Any, value: Any, path: str, skip: Callable[[Any], bool], absent: str = ""
) -> Iterator[Problem]:
    if skip(value):
        return
    check = _CHECKS[shape.type_name]
    if check is _structure:
        yield from _structure(shape, value, path, skip, absent)
    else:
        yield from check(shape, value, path, skip)


def _structure(
    shape: Any, value: Any, path: str, skip: Callable[[Any], bool], absent: str = ""
) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(path, f"is {shown(value)}, not an object")
        return
    for name in shape.required_members:
        if name not in value and name != absent:
            yield Problem(under(path, name), "is missing")
    if shape.is_tagged_union and len(value) != 1:
        yield Problem(path, f"has {len(value)} of {', '.join(shape.members)}; it takes exactly one")
    for name, item in value.items():
        if name in shape.members:
            yield from _walk(shape.members[name], item, under(path, name), skip)
        else:
            yield Problem(under(path, name), f"is not a field of {shape.name}")


def _list(shape: Any, value: Any, path: str, skip: Callable[[Any], bool]) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield Problem(path, f"is {shown(value)}, not a list")
        return
    yield from _within(shape, len(value), path, "items")
    for at, item in enumerate(value):
        yield from _walk(shape.member, item, f"{path}[{at}]", skip)


def _map(shape: Any, value: Any, path: str, skip: Callable[[Any], bool]) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(path, f"is {shown(value)}, not an object")
        return
    yield from _within(shape, len(value), path, "entries")
    for key, item in value.items():
        yield from _walk(shape.key, key, f"{path}[{key!r}] (its name)", skip)
        yield from _walk(shape.value, item, f"{path}[{key!r}]", skip)


def _string(shape: Any, value: Any, path: str, _: object) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(path, f"is {shown(value)}, not text")
        return
    if shape.enum and value not in shape.enum:
        from infra.errors import nearest

        some = nearest(value, shape.enum) if len(shape.enum) > 8 else ", ".join(shape.enum)
        yield Problem(path, f"is {shown(value)}, none of the known values: {shown(some)}")
        return
    yield from _within(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and not _fits(pattern, value):
        yield Problem(path, f"is {shown(value)}, which does not match {pattern}")


def _number(shape: Any, value: Any, path: str, _: object) -> Iterator[Problem]:
    whole = shape.type_name in ("integer", "long")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        yield Problem(path, f"is {shown(value)}, not a {'whole ' * whole}number")
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield Problem(path, f"is {value}; the least is {low}")
    if high is not None and value > high:
        yield Problem(path, f"is {value}; the most is {high}")


def _boolean(_: Any, value: Any, path: str, __: object) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield Problem(path, f"is {shown(value)}, neither true nor false")


def _timestamp(_: Any, value: Any, path: str, __: object) -> Iterator[Problem]:
    if not isinstance(value, int | float | str | datetime.datetime):
        yield Problem(path, f"is {shown(value)}, not a time")


def _blob(_: Any, value: Any, path: str, __: object) -> Iterator[Problem]:
    if not isinstance(value, bytes | str):
        yield Problem(path, f"is {shown(value)}, not bytes")


_CHECKS: Mapping[str, Callable[..., Iterator[Problem]]] = {
    "structure": _structure, "list": _list, "map": _map, "string": _string,
    "integer": _number, "long": _number, "float": _number, "double": _number,
    "boolean": _boolean, "timestamp": _timestamp, "blob": _blob,
}  # fmt: skip


def _within(shape: Any, size: int, path: str, what: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
    if size < low:
        yield Problem(path, f"has {size} {what}; the least is {low}")
    if high is not None and size > high:
        yield Problem(path, f"has {size} {what}; the most is {high}")


def _fits(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


@functools.cache
def _compiled(pattern: str) -> Any:
    """The pattern as Java means it; None for the four that no other engine reads."""
    import regex

    try:
        return regex.compile(pattern)
    except regex.error:
        return None
