"""Small plans for the local runner, and a process of its own to run one in and be killed.

``python -m tests.infra.local.driving WORKSPACE PLAN_FILE [SETTINGS]`` runs a plan: a list of steps
in JSON, each {"name", "script", "after", ...}; ``script`` is Python that finds its inputs and
outputs in ``sys.argv`` as NAME=PATH. SETTINGS is JSON too.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import provider as providers
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import (
    Argument,
    Constant,
    Event,
    Output,
    Plan,
    Resources,
    Retry,
    RunRef,
    Step,
    Token,
)

COPY = "open(place['o'], 'w').write(open(place['i']).read() + 'y')"
"""A script that copies its input ``i`` to its output ``o`` and adds a letter."""
_PROLOGUE = "import sys, os, time; place = dict(word.split('=', 1) for word in sys.argv[1:]); "


def step(name: str, script: str = "", **options: Any) -> Step:
    """A step that runs ``script``; ``takes`` maps inputs to step.output, ``makes`` lists artefacts.

    ``values`` maps output parameters to types, ``given`` input parameters to values.
    """
    takes, makes = options.pop("takes", {}), options.pop("makes", ())
    values, given = options.pop("values", {}), options.pop("given", {})
    image = options.pop("image", "python")
    script = _PROLOGUE + (
        script or "; ".join(f"open(place['{out}'], 'w').write('x')" for out in makes)
    )
    words: list[Argument] = [_text("python"), _text("-c"), _text(script)]
    words += [(Token("text", f"{key}="), Token("input_path", key)) for key in takes]
    words += [(Token("text", f"{key}="), Token("parameter", key)) for key in given]
    words += [(Token("text", f"{key}="), Token("output_path", key)) for key in makes]
    words += [(Token("text", f"{key}="), Token("output_file", key)) for key in values]
    inputs = {key: Output(*source.split(".")) for key, source in takes.items()}
    return Step(
        name=name,
        image=image,
        argv=tuple(words),
        inputs={**inputs, **{key: Constant(value) for key, value in given.items()}},
        parameters=values,
        artifacts=dict.fromkeys(makes, "system.Artifact"),
        **options,
    )


def run(workspace: Path, *steps: Step, run_id: str = "test-1", **settings: Any) -> list[Event]:
    """Run the steps in this process; returns every event."""
    return run_plan(workspace, Plan("test", steps), run_id, **settings)


def run_plan(workspace: Path, plan: Plan, run_id: str = "test-1", **settings: Any) -> list[Event]:
    """Run a whole plan in this process; returns every event."""
    return list(going(workspace, plan, run_id, **settings))


def going(workspace: Path, plan: Plan, run_id: str = "test-1", **settings: Any) -> Iterator[Event]:
    """The events of a run, each when it happens."""
    own = LocalSettings(workspace=str(workspace), **settings)
    place = providers.get("local")
    request = place.lower(plan, own, run_id)
    yield from place.follow(place.submit(request, own, dict), own)


def left_of(workspace: Path, run_id: str = "test-1") -> dict[str, Any]:
    """What the steps left, by step and output: values, and the places of artefacts."""
    own = LocalSettings(workspace=str(workspace))
    return dict(providers.get("local").outputs(RunRef("local", run_id), own))


def states(events: list[Event]) -> dict[str, str]:
    """The last state of each step; the run's own under the empty name."""
    return {event.step: event.state for event in events}


def said(events: list[Event], name: str) -> str:
    """The last message of a step."""
    return [event.message for event in events if event.step == name][-1]


def chain() -> list[Step]:
    """Three steps, each of the one before."""
    return [
        step("first", makes=["o"]),
        step("second", COPY, takes={"i": "first.o"}, makes=["o"]),
        step("third", COPY, takes={"i": "second.o"}, makes=["o"]),
    ]


def left(workspace: Path, name: str, output: str = "o", run_id: str = "test-1") -> str:
    """What a step left."""
    entry = RunDirectory(workspace, run_id).step(name).entry()
    assert entry is not None
    return entry.output(output).read_text("utf-8")


def _text(text: str) -> Argument:
    return (Token("text", text),)


def _from_json(data: dict[str, Any]) -> Step:
    if "retry" in data:
        data["retry"] = Retry(*data["retry"])
    data.setdefault("resources", Resources())
    return step(**data)


if __name__ == "__main__":
    # As at a terminal, also where tests run in the background or by nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = [_from_json(each) for each in json.loads(Path(sys.argv[2]).read_text("utf-8"))]
    own = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    plan = Plan("test", tuple(found))
    for event in going(Path(sys.argv[1]), plan, **{"grace": 5.0, **own}):
        print(json.dumps([event.step, event.state, event.message]), flush=True)
