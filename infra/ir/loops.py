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
from infra.plan import Collected, Constant, Json, Parameter, Source
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
    found: Json = over.get("raw")
    if found is None:
        source = inputs.get(over.get("inputParameter") or over.get("inputArtifact", ""))
        if isinstance(source, Collected):
            return source.sources
        found = _known(source, values, name)
    found = _parsed(found)
    if not isinstance(found, list):
        raise InputError(f"step {name} is a loop (dsl.ParallelFor) over what is no list")
    return tuple(Constant(neat(item, "")) for item in found)


def iteration(task: Node, component: Node, item: Source) -> dict[str, Source]:
    """The inputs that one iteration has beside those of its loop.

    kfp 2.17 takes a field that only an inner loop uses for an input from outside, where there is
    none: it is the item's all the same.
    """
    name = iterator(task)["itemInput"]
    found = {name: item}
    fields = item.value if isinstance(item, Constant) and isinstance(item.value, dict) else {}
    for field, value in fields.items():
        key = f"{name}{_SUBVARIABLE}{field}"
        if key in component.get("inputDefinitions", {}).get("parameters", {}):
            found[key] = Constant(value)
    return found


def select(source: Source | None, selector: str, values: Mapping[str, Json], name: str) -> Source:
    """The field of a loop's item that an input takes. Raises InputError."""
    match = _FIELD.fullmatch(selector)
    if match is None:
        raise InputError(f"step {name} takes a part of a value in a way that Trefoil cannot read")
    if isinstance(source, Parameter):
        source = Constant(values[source.name])
    return _field(source, match.group(1), name)


def collect(sources: Iterable[Source]) -> Collected:
    """Every iteration's output. As in KFP's backend, loops in loops give one flat list."""
    flat: list[Source] = []
    for source in sources:
        flat.extend(source.sources if isinstance(source, Collected) else (source,))
    return Collected(tuple(flat))


def _known(source: Source | None, values: Mapping[str, Json], name: str) -> Json:
    if isinstance(source, Constant):
        return source.value
    if isinstance(source, Parameter):
        return values[source.name]
    raise InputError(
        f"step {name} is a loop (dsl.ParallelFor) over a value that is known only during the run; "
        "loop over a list written in the pipeline or over one of its parameters"
    )


def _field(source: Source | None, field: str, name: str) -> Source:
    value = source.value if isinstance(source, Constant) else None
    value = _parsed(value)
    if not isinstance(value, dict) or field not in value:
        raise InputError(
            f"step {name} takes the field {field} of a value that has none, or that is known only "
            "during the run"
        )
    return Constant(value[field])


def _parsed(value: Json) -> Json:
    """A value that may be JSON in text; what is no JSON stays text."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            found: Json = json.loads(value)
            return found
    return value
