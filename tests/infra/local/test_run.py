"""The local runner keeps its promises to a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, SettingsError, UnsupportedError
from infra.local.rundir import RunDirectory
from infra.plan import Compare, Constant, FinalStatus, FirstOf, Output, Resources
from tests.infra.local.driving import COPY, chain, left, run, said, states, step


def test_artefacts_travel_from_step_to_step(tmp_path: Path) -> None:
    assert states(run(tmp_path, *chain())) == {
        "": "succeeded", "first": "succeeded", "second": "succeeded", "third": "succeeded",
    }  # fmt: skip
    assert left(tmp_path, "third") == "xyy"


def test_values_are_read_by_their_type(tmp_path: Path) -> None:
    script = "open(place['n'], 'w').write('3\\n'); open(place['b'], 'w').write('true')"
    steps = [
        step("values", script, values={"n": "NUMBER_INTEGER", "b": "BOOLEAN"}),
        step("big", makes=["o"], when=Compare(">", Output("values", "n"), Constant(2))),
        step("small", makes=["o"], when=Compare("<", Output("values", "n"), Constant(3))),
        step("yes", makes=["o"], when=Compare("==", Output("values", "b"), Constant(True))),
    ]
    found = states(run(tmp_path, *steps))
    assert (found["big"], found["small"], found["yes"]) == ("succeeded", "skipped", "succeeded")


def test_a_value_of_the_wrong_type_fails_the_step_that_wrote_it(tmp_path: Path) -> None:
    events = run(
        tmp_path, step("bad", "open(place['n'], 'w').write('many')", values={"n": "NUMBER_INTEGER"})
    )
    assert states(events)["bad"] == "failed"
    assert "n must be a whole number" in said(events, "bad")


@pytest.mark.parametrize("operator", [">", "==", "!="])
def test_a_condition_on_unlike_things_fails_and_is_not_taken_for_false(
    tmp_path: Path, operator: Any
) -> None:
    """kfp's own local runner turns this into False and skips deploy without a word."""
    steps = [
        step("word", "open(place['s'], 'w').write('a')", values={"s": "STRING"}),
        step("then", makes=["o"], when=Compare(operator, Output("word", "s"), Constant(2))),
    ]
    events = run(tmp_path, *steps)
    assert states(events)["then"] == "failed"
    assert "compares unlike things" in said(events, "then")


def test_an_output_that_was_not_written_fails_the_step(tmp_path: Path) -> None:
    events = run(tmp_path, step("lazy", "pass", makes=["o"]))
    assert said(events, "lazy") == "lazy ended well but did not write its output o"


def test_a_failed_step_shows_its_last_lines_and_stops_those_behind_it(tmp_path: Path) -> None:
    steps = [
        step("broken", "print('about to break'); sys.exit(3)", makes=["o"]),
        step("behind", COPY, takes={"i": "broken.o"}, makes=["o"]),
        step("beside", makes=["o"]),
        step("far", COPY, takes={"i": "behind.o"}, makes=["o"]),
    ]
    events = run(tmp_path, *steps)
    assert states(events) == {
        "": "failed", "broken": "failed", "behind": "skipped", "beside": "succeeded",
        "far": "skipped",
    }  # fmt: skip
    assert "exit code 3" in said(events, "broken")
    assert "about to break" in said(events, "broken")
    assert said(events, "behind") == "broken did not succeed"


def test_independent_steps_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits to see the other's file: one after the other, they would wait for ever."""
    script = (
        "open({mine!r}, 'w').close()\n"
        "for _ in range(400):\n"
        "    if os.path.exists({other!r}): break\n"
        "    time.sleep(0.05)\n"
        "else: sys.exit(1)\n"
    )
    names = str(tmp_path / "a"), str(tmp_path / "b")
    steps = [step(f"s{n}", script.format(mine=names[n], other=names[1 - n])) for n in (0, 1)]
    assert states(run(tmp_path / "w", *steps, parallel=2))[""] == "succeeded"


def test_the_exit_handler_runs_after_a_failure_and_is_told_of_it(tmp_path: Path) -> None:
    last = step("last", "print(place['status'])", always=True, after=("broken",))
    last = last._replace(
        argv=(*last.argv, ((*(step("x", given={"status": 0}).argv[3]),))),
        inputs={"status": FinalStatus("body", ("broken",))},
    )
    run(tmp_path, step("broken", "sys.exit(4)"), last)
    log = RunDirectory(tmp_path, "test-1").step("last").log(1).read_text()
    status = json.loads(log)
    assert (status["state"], status["pipelineTaskName"]) == ("FAILED", "body")
    assert "exit code 4" in status["error"]["message"]


def test_one_of_takes_the_branch_that_ran(tmp_path: Path) -> None:
    never = Compare("==", Constant(1), Constant(2))
    join = step("join", COPY, takes={"i": "left.o"}, makes=["o"])
    join = join._replace(inputs={"i": FirstOf((Output("left", "o"), Output("right", "o")))})
    events = run(tmp_path, step("left", makes=["o"], when=never), step("right", makes=["o"]), join)
    assert states(events) == {
        "": "succeeded", "left": "skipped", "right": "succeeded", "join": "succeeded",
    }  # fmt: skip
    assert left(tmp_path, "join") == "xy"


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    absent = step("tool")._replace(argv=step("x").argv[:1])
    absent = absent._replace(argv=((absent.argv[0][0]._replace(text="no-such-tool"),),))
    assert "program no-such-tool is not on PATH" in said(run(tmp_path, absent), "tool")


def test_gpus_are_refused_with_the_reason_before_anything_runs(tmp_path: Path) -> None:
    wanting = step("train", resources=Resources(accelerator="A100", accelerators=1))
    with pytest.raises(UnsupportedError, match=r"step train asks for gpu, and local cannot"):
        run(tmp_path, wanting)
    assert not (tmp_path / "runs").exists()


def test_less_than_no_step_at_once_is_refused(tmp_path: Path) -> None:
    """It would wait for ever, and busily."""
    with pytest.raises(SettingsError, match="the setting parallel is -1; it is 0 or more"):
        run(tmp_path, step("any"), parallel=-1)


def test_a_read_only_workspace_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        run(file, step("any", makes=["o"]))
