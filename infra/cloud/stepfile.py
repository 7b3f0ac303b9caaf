"""What the launcher is told of a step, and which channels it needs for that. Pure.

A source of the plan becomes a word of where its value will lie in the container: see
``launcher.Inputs``. A channel is a folder of a bucket that the cloud puts into the container.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from infra.errors import UnsupportedError
from infra.plan import (
    All,
    Argument,
    Collected,
    Condition,
    Constant,
    FinalStatus,
    FirstOf,
    Imported,
    Json,
    Not,
    Output,
    Plan,
    Source,
    Step,
    Template,
    as_text,
)

LAUNCHER = Path(__file__).with_name("launcher.py")
SCHEMA = 1
VALUES = "trefoil"
"""The folder of a step's outputs that has its values."""
CHANNEL = VALUES
"""The input that brings the launcher."""
STATUS = "trefoil-status"


class Container(NamedTuple):
    """What the launcher can do in the containers of a cloud.

    Artefacts are imported from addresses that begin with ``scheme``. With ``guards`` the launcher
    itself answers the condition of a step, and skips what takes an output of a skipped one; then
    every step leaves all of its outputs in one folder.
    """

    provider: str
    scheme: str
    guards: bool = False


class Left(NamedTuple):
    """Where a step leaves things: each output in a folder of its own, or all in one."""

    uri: Any
    apart: bool

    def of(self, name: str) -> Any:
        """Of one output, where they are apart."""
        return f"{self.uri}/{name}"


Where = Callable[[str], Left]
"""By the name of the step; in a pipeline an URI may be known only in the run."""


class Channel(NamedTuple):
    """A folder of a bucket that the container finds under its name."""

    name: str
    uri: Any


class StepFile(NamedTuple):
    """``files`` go to the bucket under ``key``; ``channels`` are what is read beside them."""

    key: str
    files: Mapping[str, str]
    channels: tuple[Channel, ...]


def step_file(
    plan: Plan,
    step: Step,
    run_id: str,
    env: Mapping[str, str],
    where: Where,
    container: Container,
) -> StepFile:
    """All that the launcher needs of a step. ``where`` says where outputs of others lie.

    Raises UnsupportedError at what the cloud has no way to hand on.
    """
    sources = _Sources(plan, step, where, container)
    guard = {"guard": step.when and sources.condition(step.when)} if container.guards else {}
    told = {
        "schema": SCHEMA,
        "run": run_id,
        "step": step.name,
        "argv": [_words(argument) for argument in step.argv],
        "env": dict(env),
        "inputs": {name: sources.told(name, each) for name, each in step.inputs.items()},
        "parameters": dict(step.parameters),
        "artifacts": dict(step.artifacts),
        "retry": step.retry._asdict(),
        "processes": max(1, step.resources.accelerators) if step.resources.nodes > 1 else 1,
        **guard,
    }
    files = {
        "launcher.py": LAUNCHER.read_text(encoding="utf-8"),
        "step.json": json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False),
    }
    digest = hashlib.sha256("\0".join(files.values()).encode()).hexdigest()
    return StepFile(f"launch/{digest[:32]}", files, tuple(sources.channels.values()))


def command(
    kind: Literal["azureml", "vertex"],
    folder: str,
    inputs: Mapping[str, str],
    outputs: str,
    checkpoints: str,
) -> list[str]:
    """What starts the launcher where it is told of folders: its own, those of channels, and so on.

    SageMaker has places of its own for them, and the launcher is started without a word.
    """
    told = [f"--input={name}={place}" for name, place in inputs.items()]
    places = [f"--outputs={outputs}", f"--checkpoints={checkpoints}"]
    return ["python3", f"{folder}/launcher.py", kind, *told, *places]


class _Sources:
    """Tells where each input lies, and gathers the channels that this takes."""

    def __init__(self, plan: Plan, step: Step, where: Where, container: Container) -> None:
        self._plan, self._step, self._where, self._container = plan, step, where, container
        self.channels: dict[str, Channel] = {}

    def told(self, label: str, source: Source) -> dict[str, Json]:
        """A source as the launcher reads it; ``label`` names the channel of an artefact."""
        if isinstance(source, Constant):
            return {"value": source.value}
        if isinstance(source, Collected):
            each = enumerate(source.sources, 1)
            return {"list": [self.told(f"{label}-{number}", one) for number, one in each]}
        if isinstance(source, Template):
            return {"template": _words(source.argument), "json": source.json}
        if isinstance(source, FinalStatus):
            self.channels[STATUS] = Channel(STATUS, None)
            return {"status": STATUS}
        return self._handed_on(label, source)

    def condition(self, found: Condition) -> dict[str, Json]:
        """A condition as the launcher answers it."""
        if isinstance(found, Not):
            return {"not": self.condition(found.condition)}
        if isinstance(found, All):
            return {"all": [self.condition(part) for part in found.conditions]}
        return {
            "compare": found.operator,
            "left": self.told("left", found.left),
            "right": self.told("right", found.right),
        }

    def _handed_on(self, label: str, source: Source) -> dict[str, Json]:
        """What comes from outside, or from another step."""
        if isinstance(source, Imported):
            return self._imported(label, source)
        if isinstance(source, Output):
            return self._output(label, source)
        return self._first(label, source)

    def _first(self, label: str, source: Source) -> dict[str, Json]:
        if isinstance(source, FirstOf) and self._container.guards:
            return {"first": [self._output(label, each) for each in source.outputs]}
        raise UnsupportedError(
            f"step {self._step.name} takes {label} from whichever branch ran, and "
            f"{self._container.provider} runs no step that waits for two branches; take it inside "
            "of each"
        )

    def _output(self, label: str, source: Output) -> dict[str, Json]:
        schema = self._plan.step(source.step).artifacts.get(source.name)
        name = source.name if schema else VALUES
        of: dict[str, Json] = {"of": source.step} if self._container.guards else {}
        left = self._where(source.step)
        if left.apart:
            channel = label if schema else f"values-{source.step}"
            place = channel
            self.channels[channel] = Channel(channel, left.of(name))
        else:
            channel = f"from-{source.step}"
            place = f"{channel}/{name}"
            self.channels[channel] = Channel(channel, left.uri)
        if schema is None:
            return {"parameter": [place, source.name], **of}
        return {"artifact": place, "schema": schema, **of}

    def _imported(self, label: str, source: Imported) -> dict[str, Json]:
        if not isinstance(source.uri, Constant):
            raise UnsupportedError(
                f"step {self._step.name} imports {label} from an address that only the run knows; "
                f"{self._container.provider} must know it before"
            )
        uri = as_text(source.uri.value)
        if not uri.startswith(self._container.scheme):
            named = uri if "://" in uri else f"{label} from a file of this machine"
            raise UnsupportedError(
                f"step {self._step.name} imports {named}, and {self._container.provider} reads "
                f"{self._container.scheme} addresses alone"
            )
        self.channels[label] = Channel(label, uri)
        name = uri.rstrip("/").rpartition("/")[2]
        metadata: dict[str, Json] = dict(source.metadata)
        return {
            "artifact": label, "schema": source.schema, "metadata": metadata, "imported": name,
        }  # fmt: skip


def _words(argument: Argument) -> list[Json]:
    return [[token.kind, token.text] for token in argument]
