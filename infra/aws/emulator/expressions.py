"""What is known only in the run of a pipeline: references, joins, property files, conditions."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.aws.validate import is_placeholder

_WORD = re.compile(r"([^.\[\]]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


class Unresolved(Exception):
    """An expression that has no value: the step that it is in fails."""


class Scope(NamedTuple):
    """What expressions refer to.

    ``step`` gives what Describe returns of a step's job, ``file`` the text of a property file.
    """

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    step: Callable[[str], Mapping[str, Any]]
    file: Callable[[str, str], bytes | None]

    def resolved(self, value: Any) -> Any:
        """The value with every expression in it replaced. Raises Unresolved."""
        if is_placeholder(value):
            return self._expression(value)
        if isinstance(value, Mapping):
            return {name: self.resolved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        return value

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Whether a condition is true. Raises Unresolved, also where unlike things are compared."""
        kind = condition["Type"]
        if kind == "Not":
            return not self.holds(condition["Expression"])
        if kind == "Or":
            return any(self.holds(each) for each in condition["Conditions"])
        if kind == "In":
            return bool(
                self.resolved(condition["QueryValue"]) in self.resolved(condition["Values"])
            )
        left, right = self.resolved(condition["LeftValue"]), self.resolved(condition["RightValue"])
        if _kind(left) is not _kind(right):
            raise Unresolved(f"{kind} compares {left!r} and {right!r}, which are of unlike types")
        return _COMPARE[kind](left, right)

    def _expression(self, value: Mapping[str, Any]) -> Any:
        ((name, inner),) = value.items()
        if name == "Get":
            return self._get(inner)
        if name == "Std:Join":
            return inner["On"].join(_text(self.resolved(each)) for each in inner["Values"])
        if not isinstance(inner.get("PropertyFile"), Mapping):
            raise Unresolved(f"{name} reads no property file")
        _, step, _, file = inner["PropertyFile"]["Get"].split(".")
        content = self.file(step, file)
        if content is None:
            raise Unresolved(f"the property file {file} of step {step} is not there")
        try:
            return walked(json.loads(content), inner["Path"])
        except ValueError:
            raise Unresolved(f"the property file {file} of step {step} is not JSON") from None

    def _get(self, path: str) -> Any:
        root, _, rest = path.partition(".")
        if root == "Parameters":
            return walked(self.parameters, rest)
        if root == "Execution":
            return walked(self.execution, rest)
        step, _, rest = rest.partition(".")
        return walked(self.step(step), rest)


def walked(value: Any, path: str) -> Any:
    """What lies at a path like ``a.b[0].c`` or ``Outputs['name'].d``. Raises Unresolved."""
    for plain, single, double, number in _WORD.findall(path):
        key = plain or single or double
        if isinstance(value, list):
            value = _item(value, key, number)
        elif isinstance(value, Mapping):
            value = value.get(key or number)
        else:
            value = None
        if value is None:
            raise Unresolved(f"there is nothing at {path}")
    return value


def referred(value: Any) -> Iterator[str]:
    """The names of the steps that a value refers to."""
    if isinstance(value, Mapping):
        text = value.get("Get")
        if isinstance(text, str) and text.startswith("Steps."):
            yield text.split(".")[1]
        for inner in value.values():
            yield from referred(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from referred(inner)


def _item(value: list[Any], key: str, number: str) -> Any:
    """By number, or by what it is called: OutputName, ChannelName and so on."""
    if number:
        return value[int(number)] if int(number) < len(value) else None
    called = (e for e in value if any(n.endswith("Name") and e[n] == key for n in e))
    return next(called, None)


def _kind(value: Any) -> type:
    """Numbers are alike; a boolean is none, whatever Python says."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
