"""Where a value comes from, and the conditions that compare values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from infra.plan.data import Json

Kind = Literal[
    "text", "parameter", "input_path", "output_path", "output_file", "run", "executor_input"
]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


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


def outputs_of(source: Source) -> tuple[Output, ...]:
    """The step outputs that a source is, or may be, taken from."""
    if isinstance(source, FirstOf):
        return source.outputs
    if isinstance(source, Collected):
        return tuple(output for each in source.sources for output in outputs_of(each))
    if isinstance(source, Imported):
        return outputs_of(source.uri)
    return (source,) if isinstance(source, Output) else ()


def operands(condition: Condition | None) -> tuple[Source, ...]:
    """Every source that a condition compares."""
    if condition is None:
        return ()
    if isinstance(condition, Not):
        return operands(condition.condition)
    if isinstance(condition, All):
        return tuple(source for part in condition.conditions for source in operands(part))
    return (condition.left, condition.right)
