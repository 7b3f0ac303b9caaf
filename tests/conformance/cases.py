"""What is expected of each plan, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from infra.plan import Json, Plan

_NOTHING: Mapping[str, Any] = MappingProxyType({})
Value = str | int | bool


class Case(NamedTuple):
    """A plan, what it is given, and how it must end.

    ``left`` is what each step that ends well leaves: values, and the text of artefacts. A step that
    is neither in ``left`` nor in ``failed`` must not have run. ``prints`` are words of the log of
    a step; ``told`` are words of the message that a person reads when the run fails.
    """

    name: str
    pipeline: str
    left: Mapping[str, Mapping[str, Value]]
    given: Mapping[str, Json] = _NOTHING
    state: Literal["succeeded", "failed"] = "succeeded"
    failed: tuple[str, ...] = ()
    prints: Mapping[str, str] = _NOTHING
    told: str = ""
    files: Mapping[str, str] = _NOTHING
    """Files that lie where the case is run; a parameter may name one as FILE:NAME."""
    change: Callable[[Plan], Plan] = lambda plan: plan
    lacking: str = ""
    """What the run says on a machine that lacks what the plan asks for; it may fail so there."""


def _on_two_machines(plan: Plan) -> Plan:
    def two(step: Any) -> Any:
        return step._replace(resources=step.resources._replace(nodes=2))

    return plan._replace(steps=tuple(two(step) for step in plan.steps))


def bound(case: Case, folder: Path) -> dict[str, Json]:
    """The parameters of a case whose files lie in ``folder``."""
    for name, text in case.files.items():
        (folder / name).write_text(text)
    return {
        name: str(folder / value.removeprefix("FILE:"))
        if isinstance(value, str) and value.startswith("FILE:")
        else value
        for name, value in case.given.items()
    }


_MADE: Mapping[str, Value] = {"out": "abc", "size": 3}

CASES: tuple[Case, ...] = (
    Case(
        "linear", "linear",
        {"make": {"out": "A", "size": 1}, "append": {"out": "Ab"}, "append-2": {"out": "Abc"}},
        given={"text": "A"}, prints={"make": "made A"},
    ),
    Case(
        "diamond", "diamond",
        {"make": {"out": "a", "size": 1}, "append": {"out": "al"}, "append-2": {"out": "ar"},
         "join": {"out": "alar"}},
    ),
    Case(
        "gate says yes", "gate",
        {"make": _MADE, "judge": {"passed": True}, "append": {"out": "abc!"}},
    ),
    Case(
        "gate says no", "gate", {"make": _MADE, "judge": {"passed": False}}, given={"least": 4},
    ),
    Case(
        "retry", "retry", {"unsteady": {"out": "at last"}, "append": {"out": "at last!"}},
    ),
    Case(
        "failing step", "failing", {"make": {"out": "beside", "size": 6}}, state="failed",
        failed=("fail",), prints={"fail": "the disk of the robot is full"},
        told="the disk of the robot is full",
    ),
    Case(
        "exit handler", "handler", {"last": {"out": "FAILED"}}, state="failed", failed=("fail",),
        told="the disk of the robot is full",
    ),
    Case(
        "parallel-for", "loop",
        {f"make-{at}": {"out": text, "size": 1} for at, text in enumerate("xyz", 1)},
    ),
    Case(
        "importer", "importer", {"append": {"out": "found!"}},
        given={"uri": "FILE:found.txt"}, files={"found.txt": "found"},
    ),
    Case("multi-node", "nodes", {"rank": {"out": "2"}}, change=_on_two_machines),
    Case("gpu", "accelerator", {"greet": {"out": "hello gpu"}},
         lacking="Docker has no GPU to give"),
    Case(
        "optional input", "optional",
        {"greet": {"out": "hello nobody"}, "greet-2": {"out": "hello you"}},
    ),
    Case("big parameter", "big", {"measure": {"size": 100_000}}, given={"text": "x" * 100_000}),
)  # fmt: skip
