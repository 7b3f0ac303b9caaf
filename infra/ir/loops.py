"""dsl.ParallelFor: what a loop goes over. It must be known before the run, for the plan is a list.

Iterations become steps of their own; a loop's outputs outside it are ``Collected``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping

from infra.errors import InputError
from infra.ir.form import Node
from infra.plan import Collected, Constant, Json, Parameter, Secret, Source
from infra.redaction import is_secret
from infra.values import neat

_FIELD = re.compile(r'parseJson\(string_value\)\["([^"]+)"\]')
_SUBVARIABLE = "-subvar-"
"""Between an item and its field, in the names that kfp gives to inputs."""


def iterator(task: Node) -> Node:
    """What a task is repeated over; empty where it is no loop."""
    found: Node = task.get("parameterIterator") or task.get("artifactIterator") or {}
    return found


def items(
    task: Node, inputs: Mapping[str, Source], values: Mapping[str, Json], name: str
) -> tuple[Source, ...]:
    """What each iteration of the loop ``name`` is given.

    Raises InputError where that is no list, or is known only during the run.
    """
    over = iterator(task)["items"]
    source: Source | None = Constant(over.get("raw"))
    if "raw" not in over:
        given = inputs.get(over.get("inputParameter") or over.get("inputArtifact", ""))
        if isinstance(given, Collected):
            return given.sources
        source = _constant(given, values)
    if not isinstance(source, Constant):
        raise InputError(
            f"step {name} is a loop (dsl.ParallelFor) over a value that is known only during the "
            "run; loop over a list written in the pipeline or over one of its parameters"
        )
    found = _parsed(source.value)
    if not isinstance(found, list):
        raise InputError(f"step {name} is a loop (dsl.ParallelFor) over what is no list")
    return tuple(source._replace(value=neat(item, "")) for item in found)


def iteration(task: Node, component: Node, item: Source) -> dict[str, Source]:
    """The inputs that one iteration has beside those of its loop.

    kfp 2.17 takes a field that only an inner loop uses for an input from outside, where there is
    none: it is the item's all the same.
    """
    name = iterator(task)["itemInput"]
    found = {name: item}
    if isinstance(item, Constant) and isinstance(item.value, dict):
        for field, value in item.value.items():
            key = f"{name}{_SUBVARIABLE}{field}"
            if key in component.get("inputDefinitions", {}).get("parameters", {}):
                found[key] = item._replace(value=value)
    return found


def select(source: Source | None, selector: str, values: Mapping[str, Json], name: str) -> Source:
    """The field of a loop's item that an input takes. Raises InputError."""
    match = _FIELD.fullmatch(selector)
    if match is None:
        raise InputError(f"step {name} takes a part of a value in a way that Trefoil cannot read")
    source, field = _constant(source, values), match.group(1)
    value = _parsed(source.value) if isinstance(source, Constant) else None
    if not isinstance(source, Constant) or not isinstance(value, dict) or field not in value:
        raise InputError(
            f"step {name} takes the field {field} of a value that has none, or that is known only "
            "during the run"
        )
    return source._replace(value=value[field])


def collect(sources: Iterable[Source]) -> Collected:
    """Every iteration's output. As in KFP's backend, loops in loops give one flat list."""
    flat: list[Source] = []
    for source in sources:
        flat.extend(source.sources if isinstance(source, Collected) else (source,))
    return Collected(tuple(flat))


def _constant(source: Source | None, values: Mapping[str, Json]) -> Source | None:
    """A parameter as the constant that it is known to be."""
    if not isinstance(source, Parameter):
        return source
    value = values[source.name]
    return Secret(value) if is_secret(source.name) else Constant(value)


def _parsed(value: Json) -> Json:
    """A value that may be JSON in text; what is no JSON stays text."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            found: Json = json.loads(value)
            return found
    return value
