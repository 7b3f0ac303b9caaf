"""What the inputs of a step are once the steps before it have ended."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from infra.cache import Entry
from infra.errors import InputError, StepFailed, short
from infra.plan import (
    DONE,
    All,
    Argument,
    Collected,
    Condition,
    Constant,
    FinalStatus,
    Imported,
    Json,
    Not,
    Output,
    Secret,
    Source,
    State,
    Step,
    Template,
    as_text,
    outputs_of,
)
from infra.redaction import HIDDEN
from infra.storage import tree, tree_digest

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

_LONGEST = 32 * os.sysconf("SC_PAGE_SIZE")
"""Bytes of one argument with the one that ends it: MAX_ARG_STRLEN of Linux's execve(2)."""


class Missing(Exception):
    """An input comes from a step that did not run."""


class Artifact(NamedTuple):
    """An artefact as a step takes it: where it lies, the digest of its content, its KFP type."""

    path: Path
    digest: str
    schema: str
    metadata: Mapping[str, Json] = MappingProxyType({})


class Results:
    """What the steps that have ended left behind."""

    def __init__(self, run_id: str, steps: Mapping[str, Step] = MappingProxyType({})) -> None:
        self.run_id = run_id
        self._steps = steps
        self.states: dict[str, State] = {}
        self.entries: dict[str, Entry] = {}
        self.messages: dict[str, str] = {}
        self._imported: dict[str, str] = {}
        """Digests of what was imported, by path."""

    def holds(self, condition: Condition) -> bool:
        """Evaluate a condition. Raises Missing, and StepFailed where it cannot be resolved."""
        if isinstance(condition, Not):
            return not self.holds(condition.condition)
        if isinstance(condition, All):
            return all(self.holds(part) for part in condition.conditions)
        left, right = self._plain(condition.left), self._plain(condition.right)
        if _kind(left) != _kind(right):
            values = (_shown(condition.left, left), _shown(condition.right, right))
            said = f" {condition.operator} ".join(values)
            raise StepFailed(f"the condition {said} compares unlike things")
        return _COMPARE[condition.operator](left, right)

    def value(self, source: Source, step: Step) -> Json:
        """The value of an input parameter of ``step``. Raises Missing."""
        if not isinstance(source, Template):
            return self._plain(source)

        def fill(kind: str, name: str) -> str:
            if kind == "run":
                text = self.run_field(name, step.name)
            else:
                text = as_text(self.value(step.inputs[name], step))
            return json.dumps(text)[1:-1] if source.json else text

        text = render(source.argument, fill)
        return json.loads(text) if source.json else text

    def artifacts(self, source: Source) -> list[Artifact]:
        """The input artefact, or each of a list. Raises Missing."""
        if isinstance(source, Collected):
            return [found for each in source.sources for found in self.artifacts(each)]
        if isinstance(source, Imported):
            return [self._import(source)]
        output = self._produced(source)
        entry, kind = self.entries[output.step], self._steps[output.step].artifacts[output.name]
        metadata = entry.values.get(output.name)
        told = metadata if isinstance(metadata, dict) else {}
        digest = entry.digests[output.name]
        return [Artifact(entry.output(output.name).resolve(), digest, kind, told)]

    def is_artifact(self, source: Source) -> bool:
        """Whether an input is an artefact, or a list of them, not a value."""
        if isinstance(source, Collected):
            return any(map(self.is_artifact, source.sources))
        outputs = outputs_of(source)
        return isinstance(source, Imported) or (
            bool(outputs) and outputs[0].name in self._steps[outputs[0].step].artifacts
        )

    def run_field(self, name: str, step: str) -> str:
        """A field of the run that a command may ask for."""
        return step if name.startswith("pipeline_task") else self.run_id

    def _import(self, source: Imported) -> Artifact:
        from infra.local.outside import imported

        path = imported(as_text(self._plain(source.uri)), "a step")
        if str(path) not in self._imported:
            self._imported[str(path)] = tree_digest(tree(path))
        return Artifact(path, self._imported[str(path)], source.schema, source.metadata)

    def _produced(self, source: Source) -> Output:
        for output in outputs_of(source):
            if self.states.get(output.step) in DONE:
                return output
        raise Missing(", ".join(output.step for output in outputs_of(source)))

    def _plain(self, source: Source) -> Json:
        """The value of a source that is no text put together for a step, as in a condition."""
        if isinstance(source, Constant):
            return source.value
        if isinstance(source, FinalStatus):
            return self._final_status(source)
        if isinstance(source, Collected):
            return [self._plain(each) for each in source.sources]
        output = self._produced(source)
        return self.entries[output.step].values[output.name]

    def _final_status(self, source: FinalStatus) -> str:
        failed = [name for name in source.steps if self.states.get(name) == "failed"]
        cancelled = any(self.states.get(name) == "cancelled" for name in source.steps)
        state = "FAILED" if failed else "CANCELLED" if cancelled else "SUCCEEDED"
        error: dict[str, Json] = {}
        if failed:
            error = {"code": 1, "message": "; ".join(self.messages[name] for name in failed)}
        return json.dumps(
            {
                "state": state,
                "pipelineJobResourceName": self.run_id,
                "pipelineTaskName": source.task,
                "error": error,
            }
        )


def _shown(source: Source, value: Json) -> str:
    return HIDDEN if isinstance(source, Secret) else short(repr(value))


def _kind(value: Json) -> type:
    """Numbers are alike; a boolean is none, whatever Python says."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def render(argument: Argument, fill: Callable[[str, str], str]) -> str:
    """Put an argument together; ``fill(kind, name)`` gives what a token stands for.

    Raises InputError where it is longer than Linux lets one argument be.
    """
    text = "".join(
        token.text if token.kind == "text" else fill(token.kind, token.text) for token in argument
    )
    if len(text) * 4 > _LONGEST and len(text.encode()) >= _LONGEST:
        values = [f"the value of {token.text}" for token in argument if token.kind == "parameter"]
        raise InputError(
            f"{' and '.join(values) or 'what it is given'} makes an argument of "
            f"{len(text.encode())} bytes, and a command's may have {_LONGEST - 1}; "
            "write it to a file and pass that as an artefact"
        )
    return text
