"""What the launcher is told of a step, and which channels it needs for that. Pure.

A source of the plan becomes a word of where its value will lie in the container: see
``launcher.Inputs``. A channel is a folder of S3 that SageMaker puts into the container.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import UnsupportedError
from infra.plan import (
    Argument,
    Collected,
    Constant,
    FinalStatus,
    Imported,
    Json,
    Output,
    Plan,
    Source,
    Step,
    Template,
    as_text,
)

LAUNCHER = Path(__file__).with_name("launcher.py")
SCHEMA = 1
CHANNEL = "trefoil"
"""The input that brings the launcher, and the output that takes the values away."""
STATUS = "trefoil-status"


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
    """A folder of S3 that the container finds under its name."""

    name: str
    uri: Any


class StepFile(NamedTuple):
    """``files`` go to S3 under ``key``; ``channels`` are what the step reads beside them."""

    key: str
    files: Mapping[str, str]
    channels: tuple[Channel, ...]


def step_file(
    plan: Plan, step: Step, run_id: str, env: Mapping[str, str], where: Where
) -> StepFile:
    """All that the launcher needs of a step. ``where`` says where outputs of others lie.

    Raises UnsupportedError at what SageMaker has no way to hand on.
    """
    sources = _Sources(plan, step, where)
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
    }
    files = {
        "launcher.py": LAUNCHER.read_text(encoding="utf-8"),
        "step.json": json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False),
    }
    digest = hashlib.sha256("\0".join(files.values()).encode()).hexdigest()
    return StepFile(f"launch/{digest[:32]}", files, tuple(sources.channels.values()))


class _Sources:
    """Tells where each input lies, and gathers the channels that this takes."""

    def __init__(self, plan: Plan, step: Step, where: Where) -> None:
        self._plan, self._step, self._where = plan, step, where
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
        if isinstance(source, Imported):
            return self._imported(label, source)
        if isinstance(source, Output):
            return self._output(label, source)
        raise UnsupportedError(
            f"step {self._step.name} takes {label} from whichever branch ran, and aws runs "
            "no step that waits for two branches; take it inside of each"
        )

    def _output(self, label: str, source: Output) -> dict[str, Json]:
        schema = self._plan.step(source.step).artifacts.get(source.name)
        name = source.name if schema else CHANNEL
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
            return {"parameter": [place, source.name]}
        return {"artifact": place, "schema": schema}

    def _imported(self, label: str, source: Imported) -> dict[str, Json]:
        if not isinstance(source.uri, Constant):
            raise UnsupportedError(
                f"step {self._step.name} imports {label} from an address that only the run knows; "
                "aws must know it before"
            )
        uri = as_text(source.uri.value)
        if not uri.startswith("s3://"):
            named = uri if "://" in uri else f"{label} from a file of this machine"
            raise UnsupportedError(
                f"step {self._step.name} imports {named}, and aws reads s3:// addresses alone"
            )
        self.channels[label] = Channel(label, uri)
        name = uri.rstrip("/").rpartition("/")[2]
        metadata: dict[str, Json] = dict(source.metadata)
        return {
            "artifact": label, "schema": source.schema, "metadata": metadata, "imported": name,
        }  # fmt: skip


def _words(argument: Argument) -> list[Json]:
    return [[token.kind, token.text] for token in argument]
