"""The command of a step, with its values and with its files where the step sees them."""

from __future__ import annotations

import json
from pathlib import Path

from infra.cache import OUTPUTS
from infra.local.runner import View
from infra.local.values import Results, render
from infra.plan import Collected, Step, as_text

WRITTEN_BACK = "executor_output.json"
"""In a step's directory of work: what a lightweight component says of its outputs."""


class Command:
    """Fills in the command of a step. ``reads`` are the artefacts it takes, by the name seen."""

    def __init__(self, step: Step, results: Results, view: View) -> None:
        self._step, self._results, self._view = step, results, view
        self.reads: dict[str, Path] = {}

    def argv(self) -> list[str]:
        """The arguments. Raises Missing where an input is, InputError on one that is too long."""
        return [render(argument, self._fill) for argument in self._step.argv]

    def places(self, name: str) -> list[str]:
        """Where the step sees an input artefact, or each one of a list."""
        source = self._step.inputs[name]
        listed = isinstance(source, Collected)
        seen = []
        for number, artifact in enumerate(self._results.artifacts(source), 1):
            label = f"{name}.{number}" if listed else name
            self.reads[label] = artifact.path
            seen.append(self._view.input(label, artifact.path))
        return seen

    def _fill(self, kind: str, name: str) -> str:
        if kind == "parameter":
            return as_text(self._results.value(self._step.inputs[name], self._step))
        if kind == "input_path":
            places = self.places(name)
            listed = isinstance(self._step.inputs[name], Collected)
            return json.dumps(places) if listed else places[0]
        if kind == "run":
            return self._results.run_field(name, self._step.name)
        work = f"{self._view.root}/work"
        if kind == "executor_input":
            from infra.local.lightweight import executor_input

            return executor_input(self._step, self._results, work, self.places)
        return f"{work}/{OUTPUTS}/{name}" if kind == "output_path" else f"{work}/{name}"
