"""What goes into a step's cache key on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from infra import cache
from infra.local.code import Sources, environment
from infra.local.rundir import StepDirectory
from infra.local.runner import Runner
from infra.local.values import Results
from infra.plan import Json, Step, as_text, to_data
from infra.redaction import redacted
from infra.secrets import secret_inputs
from infra.storage import write_whole

_PARTS = {
    "inputs": "input",
    "metadata": "metadata of the input",
    "code": "code",
    "env": "environment variable",
}


class Ingredients:
    """Collects the ingredients of each step of one run."""

    def __init__(self, workspace: Path, results: Results, runner: Runner) -> None:
        self._results, self._runner = results, runner
        memory = workspace / "cache" / "sources.json"
        memory.parent.mkdir(parents=True, exist_ok=True)
        self._sources = Sources(Path.cwd(), memory)

    def of(self, step: Step) -> dict[str, Json]:
        """Everything that decides what the step does. Raises Missing where an input is."""
        inputs: dict[str, Json] = {}
        metadata: dict[str, Json] = {}
        for name, source in step.inputs.items():
            if self._results.is_artifact(source):
                found = self._results.artifacts(source)
                inputs[name] = " ".join(f"sha256:{each.digest}" for each in found)
                metadata[name] = [dict(each.metadata) for each in found]
            else:
                inputs[name] = self._results.value(source, step)
        words = ["".join(token.text for token in argument) for argument in step.argv]
        tokens = [token for argument in step.argv for token in argument]
        asked = {token.text for token in tokens if token.kind == "run"}
        sees_metadata = any(token.kind == "executor_input" for token in tokens)
        return {
            **({"metadata": metadata} if sees_metadata else {}),
            "command": to_data(step.argv),
            "env": dict(step.env),
            "inputs": inputs,
            "outputs": [*step.parameters, *step.artifacts],
            "run": {name: self._results.run_field(name, step.name) for name in sorted(asked)},
            **self._software(step, words),
        }

    def _software(self, step: Step, words: list[str]) -> dict[str, Json]:
        """What runs: all of it is in an image; here it is the code and the environment."""
        if image := self._runner.image(step):
            return {"image": image}
        return {"code": dict(self._sources.of(words)), "environment": environment()}

    def write(self, place: StepDirectory, step: Step, ingredients: Mapping[str, Json]) -> None:
        """Keep them for ``why``, but for secrets; the key tells that one of those changed."""
        shown = redacted(dict(ingredients), secret_inputs(step))
        kept = {**shown, "key": cache.key(ingredients)}
        write_whole(place.ingredients, json.dumps(kept, sort_keys=True))

    def remember(self) -> None:
        """Save the digests of sources for the next run."""
        self._sources.remember()


def differences(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Say what changed between two collections of ingredients, one sentence each."""
    found: list[str] = []
    for part, label in _PARTS.items():
        old, new = _mapping(before, part), _mapping(now, part)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                found.append(f"{label} {name} {_change(old.get(name), new.get(name), part)}")
    if before.get("environment") != now.get("environment"):
        found.append("the Python environment: a package or the interpreter changed")
    if before.get("image") != now.get("image"):
        found.append("its image changed")
    if before.get("command") != now.get("command"):
        found.append("the command changed")
    if before.get("outputs") != now.get("outputs"):
        found.append("the declared outputs changed")
    if before.get("run") != now.get("run"):
        found.append("it asks for the run's name, which is new each time")
    if not found and before.get("key", now.get("key")) != now.get("key"):
        found.append("a secret changed: its value is not kept, and so not shown")
    return found


def _mapping(ingredients: Mapping[str, Json], part: str) -> dict[str, Json]:
    value = ingredients.get(part)
    return value if isinstance(value, dict) else {}


def _change(old: Json, new: Json, part: str) -> str:
    if old is None:
        return "is new"
    if new is None:
        return "is gone"
    if part == "code" or str(old).startswith("sha256:"):
        return "changed in content"
    return f"changed from {_short(old)} to {_short(new)}"


def _short(value: Json) -> str:
    text = as_text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
