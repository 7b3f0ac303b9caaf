"""``python -m pipelines plan``: what a run would do, in the order it would do it."""

from __future__ import annotations

import argparse

from infra.plan import (
    All,
    Compare,
    Condition,
    Constant,
    FirstOf,
    Not,
    Output,
    Parameter,
    Source,
    as_text,
)
from pipelines import cli
from pipelines.flags import add_flags
from pipelines.request import prepare
from pipelines.run import show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``plan``."""
    add_flags(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def plan(arguments: argparse.Namespace) -> int:
    """Print the plan and its cost ceiling; sends nothing. Raises TrefoilError."""
    prepared = prepare(arguments)
    if arguments.json:
        return show(prepared.request)
    request = prepared.request
    print(f"{request.run_id} on {request.provider}: {request.plan.description}")
    for name, value in request.plan.parameters.items():
        print(f"  {name} = {as_text(value)}")
    for step in request.plan.steps:
        needs = f" after {', '.join(step.needs())}" if step.needs() else ""
        when = f", if {_words(step.when)}" if step.when else ""
        traits = [
            *(["always"] if step.always else []),
            *([] if step.cache else ["not cached"]),
            *([f"{step.retry.limit} retries"] if step.retry.limit else []),
            *([f"{step.resources.accelerators} x {step.resources.accelerator}"]
              if step.resources.accelerators else []),
        ]  # fmt: skip
        print(f"  {step.name}{needs}{when}" + (f" ({', '.join(traits)})" if traits else ""))
    print(f"  costs at most ${prepared.provider.price(request.plan, prepared.settings):.2f}")
    for note in request.notes:
        cli.say(f"note: {note}")
    return cli.DONE


def _words(condition: Condition) -> str:
    if isinstance(condition, Not):
        return f"not ({_words(condition.condition)})"
    if isinstance(condition, All):
        return " and ".join(_words(part) for part in condition.conditions)
    assert isinstance(condition, Compare)  # noqa: S101  there is no fourth kind
    return f"{_name(condition.left)} {condition.operator} {_name(condition.right)}"


def _name(source: Source) -> str:
    if isinstance(source, Constant):
        return as_text(source.value)
    if isinstance(source, Parameter):
        return source.name
    if isinstance(source, Output):
        return f"{source.step}.{source.name}"
    if isinstance(source, FirstOf):
        return " or ".join(_name(output) for output in source.outputs)
    return "a value of the run"
