"""A plan survives being written down, and a run tells when its events were."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from infra import provider as providers
from infra.history import commits, read_plan
from infra.local import LocalSettings
from infra.plan import (
    All,
    Collected,
    Compare,
    Constant,
    FinalStatus,
    FirstOf,
    Imported,
    Json,
    Not,
    Output,
    Parameter,
    Plan,
    RunRef,
    Source,
    Template,
    Token,
    to_data,
)
from tests.infra.local.driving import run, step

AWKWARD: Json = {"is": "Constant", "value": [1, {"is": "Plan"}]}


def test_a_plan_is_read_as_it_was_written() -> None:
    gate = All((Not(Compare(">", Output("a", "n"), Constant(0.5))), Compare("==", Parameter("p"),
                Constant(True))))  # fmt: skip
    inputs: dict[str, Source] = {
        "constant": Constant(AWKWARD),  # a person's own data may look like a noun
        "first": FirstOf((Output("a", "x"), Output("b", "x"))),
        "template": Template((Token("text", "n="), Token("parameter", "n"))),
        "object": Template((Token("text", '{"a": 1}'),), json=True),
        "collected": Collected((Output("a", "x"), Imported(Constant("x")))),
        "imported": Imported(Output("a", "n"), "system.Model", {"m": AWKWARD}, reimport=True),
        "status": FinalStatus("body", ("a",)),
        "is": Constant("x"),
    }
    steps = (step("a", makes=["x"], values={"n": "NUMBER_DOUBLE"}), step("b", when=gate))
    last = steps[1]._replace(name="c", inputs=inputs, env={"is": "Step"}, after=("a",))
    plan = Plan("p", (*steps, last), {"p": AWKWARD}, "words")
    again = read_plan(json.loads(json.dumps(to_data(plan))))
    assert again == plan
    assert again.step("c").needs() == plan.step("c").needs()


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {"is": "Plan"}, {"is": "Plan", "name": "p", "steps": [1]},
     {"is": "Step", "name": "a", "image": "i", "argv": []}, {"is": "Plan", "nome": 1}],
)  # fmt: skip
def test_what_is_no_plan_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="not a plan"):
        read_plan(data)  # type: ignore[arg-type]


def test_a_run_tells_when_and_at_what_cost(tmp_path: Path) -> None:
    before = time.time()
    run(tmp_path, step("a", "print(sum(range(10**6)))"))
    settings = LocalSettings(workspace=str(tmp_path))
    history = providers.get("local").history(RunRef("local", "test-1"), settings)
    assert history.plan is not None
    assert [each.name for each in history.plan.steps] == ["a"]
    times = [moment.at for moment in history.moments]
    assert None not in times
    assert times == sorted(times, key=float)  # type: ignore[arg-type]
    assert before - 1 <= float(times[0] or 0) <= time.time()
    ended = next(m for m in history.moments if m.event.step == "a" and m.event.state != "running")
    assert ended.cpu_seconds is not None
    assert ended.cpu_seconds > 0
    assert ended.peak_mb is not None
    assert ended.peak_mb > 1
    assert commits(history.moments) == []  # nobody said which code it was


def test_damage_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, step("a"))
    place = tmp_path / "runs" / "test-1"
    with (place / "events.jsonl").open("ab") as events:
        events.write(b'\xff\x00\n[1]\n{"step": "a"}\n"x"\n{"is": "Ev')
    (place / "request.json").write_text("{")
    history = providers.get("local").history(
        RunRef("local", "test-1"), LocalSettings(workspace=str(tmp_path))
    )
    assert history.plan is None
    assert [moment.event.step for moment in history.moments] == ["", "a", "a", ""]
