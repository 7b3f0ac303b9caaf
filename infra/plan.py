"""The nouns: what a pipeline is once it has been read, wherever it will run.

Everything here is frozen data: named tuples, since making thirty dataclasses would take a third of
the time of a cached run. ``infra.ir`` makes a Plan from KFP IR, a provider lowers it
to a Request, and the rest of the words describe a run as it goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Kind = Literal[
    "text", "parameter", "input_path", "output_path", "output_file", "run", "executor_input"
]
State = Literal["waiting", "running", "succeeded", "cached", "skipped", "failed", "cancelled"]

SCHEMA = 1
"""Version of what a Plan says and of what its steps are told; images carry it as a label."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

FINAL: frozenset[State] = frozenset({"succeeded", "cached", "skipped", "failed", "cancelled"})
"""States that a step or a run does not leave."""

DONE: frozenset[State] = frozenset({"succeeded", "cached"})
"""States of a step whose outputs exist."""


class Token(NamedTuple):
    """One piece of an argument: literal text, or a value known only in the run.

    ``parameter`` is an input's value; ``input_path``, ``output_path`` place an artefact;
    ``output_file`` takes an output parameter; ``run`` is a field of the run (name, step);
    ``executor_input`` is all of it as KFP's ExecutorInput JSON, for lightweight components.
    """

    kind: Kind
    text: str


Argument: TypeAlias = tuple[Token, ...]


class Constant(NamedTuple):
    """A value written in the pipeline or given by the person."""

    value: Json


class Secret(Constant):
    """A constant that no one is to see: it came from a parameter that is a secret by its name."""

    __slots__ = ()


class Parameter(NamedTuple):
    """A parameter of the pipeline."""

    name: str


class Output(NamedTuple):
    """An output of another step, parameter or artefact."""

    step: str
    name: str


class FirstOf(NamedTuple):
    """The output of whichever branch ran (``dsl.OneOf``)."""

    outputs: tuple[Output, ...]


class Collected(NamedTuple):
    """An output of every iteration of a loop, in their order (``dsl.Collected``)."""

    sources: tuple[Source, ...]


class Imported(NamedTuple):
    """An artefact from outside the pipeline (``dsl.importer``). ``schema`` is its KFP type."""

    uri: Source
    schema: str = "system.Artifact"
    metadata: Mapping[str, Json] = _NOTHING
    reimport: bool = False


class Template(NamedTuple):
    """Text with values of this step's own inputs inside; with ``json`` it is a list or object."""

    argument: Argument
    json: bool = False


class FinalStatus(NamedTuple):
    """How the steps of an exit handler's body ended, as KFP's PipelineTaskFinalStatus JSON."""

    task: str
    steps: tuple[str, ...]


Source: TypeAlias = (
    Constant | Parameter | Output | FirstOf | Collected | Imported | Template | FinalStatus
)


class Compare(NamedTuple):
    """One comparison."""

    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Source
    right: Source


class Not(NamedTuple):
    """The opposite of a condition."""

    condition: Condition


class All(NamedTuple):
    """Every one of the conditions."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Compare | Not | All


class Resources(NamedTuple):
    """What a step asks for. ``memory_gb`` is in units of 10**9 bytes."""

    cpu: float | None = None
    memory_gb: float | None = None
    accelerator: str | None = None
    accelerators: int = 0
    nodes: int = 1
    spot: bool = False


class Retry(NamedTuple):
    """How often a failed step is tried again, and how long to wait before (seconds)."""

    limit: int = 0
    backoff: float = 0.0
    factor: float = 2.0
    longest: float = 3600.0


class Step(NamedTuple):
    """One container: its command, where its inputs come from, and when it may run.

    ``task`` is where the IR has it: the names of the tasks from the root down to it; steps that
    are iterations of one loop have the same.
    ``parameters`` and ``artifacts`` map an output's name to its KFP type. ``after`` are the steps
    that must have ended first; ``always`` runs the step even if they failed or were skipped.
    """

    name: str
    image: str
    argv: tuple[Argument, ...]
    env: Mapping[str, str] = _NOTHING
    inputs: Mapping[str, Source] = _NOTHING
    parameters: Mapping[str, str] = _NOTHING
    artifacts: Mapping[str, str] = _NOTHING
    after: tuple[str, ...] = ()
    when: Condition | None = None
    always: bool = False
    cache: bool = True
    retry: Retry = Retry()
    timeout: float | None = None
    resources: Resources = Resources()
    platforms: Mapping[str, Json] = _NOTHING
    task: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...]:
        """Names of the steps that must have ended before this one can start."""
        found = dict.fromkeys(self.after)
        for source in (*self.inputs.values(), *operands(self.when)):
            if isinstance(source, FinalStatus):
                found.update(dict.fromkeys(source.steps))
            found.update(dict.fromkeys(output.step for output in outputs_of(source)))
        return tuple(found)


class Plan(NamedTuple):
    """A pipeline, read and bound to its parameters. Steps stand in an order they could run in.

    ``source`` is the IR that it was read from, for the places that take IR themselves.
    """

    name: str
    steps: tuple[Step, ...]
    parameters: Mapping[str, Json] = _NOTHING
    description: str = ""
    source: Mapping[str, Any] = _NOTHING

    def step(self, name: str) -> Step:
        """Return the step called ``name``. Raises KeyError."""
        return next(step for step in self.steps if step.name == name)

    def digest(self) -> str:
        """SHA-256 of everything that the plan says, in hex, in whatever order it says it."""
        steps: dict[str, Json] = {step.name: to_data(step) for step in self.steps}
        said: dict[str, Json] = {
            "name": self.name,
            "parameters": to_data(self.parameters),
            "steps": steps,
        }
        return hashlib.sha256(canonical(said)).hexdigest()


class Request(NamedTuple):
    """What a provider is sent, as pure data. ``notes`` say what has no effect in that place."""

    provider: str
    run_id: str
    plan: Plan
    body: Mapping[str, Json]
    notes: tuple[str, ...] = ()


class RunRef(NamedTuple):
    """Names a run in a place."""

    provider: str
    run_id: str


class Event(NamedTuple):
    """A step, or the whole run when ``step`` is empty, entered a state.

    ``code`` is the exit code to end with after a failure: 1, or 2 where the input was bad.
    """

    step: str
    state: State
    seconds: float = 0.0
    message: str = ""
    attempt: int = 1
    code: int = 0


class Status(NamedTuple):
    """Where a run stands. ``state`` is of the whole run."""

    run: RunRef
    state: State
    steps: Mapping[str, Event]
    message: str = ""


class LogLine(NamedTuple):
    """One line that a step printed."""

    step: str
    text: str


def outputs_of(source: Source) -> tuple[Output, ...]:
    """The step outputs that a source is, or may be, taken from."""
    if isinstance(source, FirstOf):
        return source.outputs
    if isinstance(source, Collected):
        return tuple(output for each in source.sources for output in outputs_of(each))
    if isinstance(source, Imported):
        return outputs_of(source.uri)
    return (source,) if isinstance(source, Output) else ()


def imports_of(step: Step) -> tuple[Imported, ...]:
    """What a step takes from outside the pipeline."""
    found: list[Imported] = []
    for source in step.inputs.values():
        each = source.sources if isinstance(source, Collected) else (source,)
        found.extend(one for one in each if isinstance(one, Imported))
    return tuple(found)


def operands(condition: Condition | None) -> tuple[Source, ...]:
    """Every source that a condition compares."""
    if condition is None:
        return ()
    if isinstance(condition, Not):
        return operands(condition.condition)
    if isinstance(condition, All):
        return tuple(source for part in condition.conditions for source in operands(part))
    return (condition.left, condition.right)


def to_data(value: object) -> Json:
    """Turn nouns into JSON data; a noun becomes an object tagged with its class name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if names := getattr(value, "_fields", None):
        fields: dict[str, Json] = {"is": type(value).__name__}
        fields.update({name: to_data(getattr(value, name)) for name in names})
        return fields
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not plain data")


def canonical(value: Json) -> bytes:
    """One spelling for one value, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def as_text(value: Json) -> str:
    """A value the way KFP puts it on a command line: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
