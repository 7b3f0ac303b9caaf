"""What the inputs of a step are once the steps before it have ended."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.cache import Entry
from infra.errors import StepFailed
from infra.plan import (
    DONE,
    All,
    Argument,
    Condition,
    Constant,
    FinalStatus,
    Json,
    Not,
    Output,
    Source,
    State,
    Step,
    Template,
    as_text,
    outputs_of,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Missing(Exception):
    """An input comes from a step that did not run."""


class Results:
    """What the steps that have ended left behind."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.states: dict[str, State] = {}
        self.entries: dict[str, Entry] = {}
        self.messages: dict[str, str] = {}

    def holds(self, condition: Condition) -> bool:
        """Evaluate a condition. Raises Missing, and StepFailed where it cannot be resolved."""
        if isinstance(condition, Not):
            return not self.holds(condition.condition)
        if isinstance(condition, All):
            return all(self.holds(part) for part in condition.conditions)
        left, right = self._plain(condition.left), self._plain(condition.right)
        if _kind(left) != _kind(right):
            raise StepFailed(
                f"the condition {left!r} {condition.operator} {right!r} compares unlike things"
            )
        return _COMPARE[condition.operator](left, right)

    def value(self, source: Source, step: Step) -> Json:
        """The value of an input parameter of ``step``. Raises Missing."""
        if not isinstance(source, Template):
            return self._plain(source)

        def fill(kind: str, name: str) -> str:
            if kind == "run":
                return self.run_field(name, step.name)
            return as_text(self.value(step.inputs[name], step))

        return render(source.argument, fill)

    def artifact(self, source: Source) -> tuple[Path, str]:
        """Where an input artefact lies, and the digest of its content. Raises Missing."""
        output = self._produced(source)
        entry = self.entries[output.step]
        return entry.output(output.name).resolve(), entry.digests[output.name]

    def is_artifact(self, source: Source, steps: Mapping[str, Step]) -> bool:
        """Whether an input is an artefact, not a value."""
        outputs = outputs_of(source)
        return bool(outputs) and outputs[0].name in steps[outputs[0].step].artifacts

    def run_field(self, name: str, step: str) -> str:
        """A field of the run that a command may ask for."""
        return step if name.startswith("pipeline_task") else self.run_id

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


def _kind(value: Json) -> type:
    """Numbers are alike; a boolean is none, whatever Python says."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def render(argument: Argument, fill: Callable[[str, str], str]) -> str:
    """Put an argument together; ``fill(kind, name)`` gives what a token stands for."""
    return "".join(
        token.text if token.kind == "text" else fill(token.kind, token.text) for token in argument
    )
