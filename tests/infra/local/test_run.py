"""The local runner keeps its promises to a plan."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.errors import InputError, SettingsError, UnsupportedError
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import (
    Compare,
    Constant,
    FinalStatus,
    FirstOf,
    Output,
    Plan,
    Resources,
    Retry,
    RunRef,
    Step,
)
from tests.infra.local.driving import run, said, states, step

COPY = "open(place['o'], 'w').write(open(place['i']).read() + 'y')"


def chain() -> list[Step]:
    return [
        step("first", makes=["o"]),
        step("second", COPY, takes={"i": "first.o"}, makes=["o"]),
        step("third", COPY, takes={"i": "second.o"}, makes=["o"]),
    ]


def left(workspace: Path, name: str, output: str = "o", run_id: str = "test-1") -> str:
    entry = RunDirectory(workspace, run_id).step(name).entry()
    assert entry is not None
    return entry.output(output).read_text("utf-8")


def test_artefacts_travel_from_step_to_step(tmp_path: Path) -> None:
    assert states(run(tmp_path, *chain())) == {
        "": "succeeded", "first": "succeeded", "second": "succeeded", "third": "succeeded",
    }  # fmt: skip
    assert left(tmp_path, "third") == "xyy"


def test_a_second_run_takes_everything_from_the_cache(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    again = run(tmp_path, *chain(), run_id="test-2")
    assert states(again) == {
        "": "succeeded",
        "first": "cached",
        "second": "cached",
        "third": "cached",
    }
    assert left(tmp_path, "third", run_id="test-2") == "xyy"


def test_a_changed_step_that_makes_the_same_content_does_not_rerun_the_next(tmp_path: Path) -> None:
    """The cache is by content: a comment in one step must not retrain the model behind it."""
    run(tmp_path, *chain())
    changed = [step("first", "open(place['o'], 'w').write('x')  # same", makes=["o"]), *chain()[1:]]
    assert states(run(tmp_path, *changed, run_id="test-2")) == {
        "": "succeeded", "first": "succeeded", "second": "cached", "third": "cached",
    }  # fmt: skip


@pytest.mark.parametrize("damage", ["content", "truncated", "missing", "extra", "manifest"])
def test_a_damaged_cache_entry_is_noticed_and_made_anew(tmp_path: Path, damage: str) -> None:
    """A flipped bit on disk must never reach the next step."""
    run(tmp_path, *chain())
    entry = RunDirectory(tmp_path, "test-1").step("second").entry()
    assert entry is not None
    file = entry.output("o")
    if damage == "content":
        file.write_text("xz")
    elif damage == "truncated":
        file.write_text("x")
    elif damage == "missing":
        file.unlink()
    elif damage == "extra":
        file.unlink()
        file.mkdir()
        (file / "more").write_text("xy")
    else:
        (entry.directory / "manifest.json").write_text('{"key": ')
    events = run(tmp_path, *chain(), run_id="test-2")
    assert states(events)["second"] == "succeeded"
    assert any("damaged" in event.message for event in events if event.step == "second")
    assert left(tmp_path, "third", run_id="test-2") == "xyy"


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


def test_a_steps_own_reason_is_told_and_bad_input_is_not_retried(
    tmp_path: Path,
) -> None:
    script = (
        "import json; print('once'); open(os.environ['TREFOIL_FAILURE'], 'w').write(json.dumps("
        "{'kind': 'input', 'message': 'row 7 is not a number'})); sys.exit(2)"
    )
    events = run(tmp_path, step("read", script, makes=["o"], retry=Retry(3)))
    last = [event for event in events if event.step == "read"][-1]
    assert (last.message, last.code, last.attempt) == ("read: row 7 is not a number", 2, 1)
    assert events[-1].code == 2


def test_a_full_disk_is_not_retried(tmp_path: Path) -> None:
    """Training three times into a full disk helps nobody."""
    script = (
        "import json; open(os.environ['TREFOIL_FAILURE'], 'w').write(json.dumps("
        "{'kind': 'full', 'message': 'the disk is full'})); sys.exit(1)"
    )
    events = run(tmp_path, step("train", script, retry=Retry(3)))
    last = [event for event in events if event.step == "train"][-1]
    assert (last.message, last.code, last.attempt) == ("train: the disk is full", 1, 1)


def test_retries_try_again_and_the_outputs_are_of_the_last_attempt(tmp_path: Path) -> None:
    script = "n = os.environ['TREFOIL_ATTEMPT']; open(place['o'], 'w').write(n); sys.exit(n != '3')"
    events = run(tmp_path, step("flaky", script, makes=["o"], retry=Retry(2, backoff=0.01)))
    assert states(events)["flaky"] == "succeeded"
    told = [event.message for event in events if event.message.startswith("trying again")]
    assert told == ["trying again, for flaky ended with exit code 1"] * 2
    assert events[-2].attempt == 3
    assert left(tmp_path, "flaky") == "3"


def test_no_file_of_a_failed_attempt_is_left_for_the_next(tmp_path: Path) -> None:
    script = (
        "seen = os.path.exists(place['o']); open(place['o'], 'w').write(str(seen)); "
        "sys.exit(os.environ['TREFOIL_ATTEMPT'] == '1')"
    )
    run(tmp_path, step("twice", script, makes=["o"], retry=Retry(1)))
    assert left(tmp_path, "twice") == "False"


def test_a_step_ended_by_143_is_started_again_without_using_a_retry(tmp_path: Path) -> None:
    """A pre-empted step that saved a checkpoint has not failed."""
    script = (
        "from pathlib import Path; kept = Path(os.environ['TREFOIL_CHECKPOINTS']); "
        "first = not kept.exists(); kept.mkdir(parents=True, exist_ok=True); "
        "open(place['o'], 'w').write('x'); sys.exit(143 if first else 0)"
    )
    events = run(tmp_path, step("spot", script, makes=["o"]))
    assert states(events)["spot"] == "succeeded"


def test_a_step_past_its_timeout_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = (
        f"import subprocess; child = subprocess.Popen(['sleep', '60']); "
        f"open({str(pid)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    events = run(tmp_path / "w", step("slow", script, timeout=0.7))
    assert "timeout of 0.7 s" in said(events, "slow")
    assert not Path("/proc", pid.read_text()).exists() or _is_gone(int(pid.read_text()))


def _is_gone(pid: int) -> bool:
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


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
    steps = [
        step(f"s{n}", script.format(mine=names[n], other=names[1 - n]).replace("\n", "\n", 1))
        for n in (0, 1)
    ]
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


def test_logs_follow_until_the_end_and_carry_every_line_once(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    script = "\n".join(f"print({n}, flush=True); time.sleep(0.03)" for n in range(20))
    request = place.lower(Plan("p", (step("talk", script.replace("\n", "; ")),)), own, "test-1")
    ref = place.submit(request, own, dict)
    seen: list[str] = []
    reader = threading.Thread(
        target=lambda: seen.extend(line.text for line in place.logs(ref, own, "", follow=True))
    )
    reader.start()
    list(place.follow(ref, own))
    reader.join(20)
    assert seen == [str(n) for n in range(20)]


def test_an_unknown_run_is_one_sentence(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    with pytest.raises(InputError, match="there is no run nothing-1"):
        place.status(RunRef("local", "nothing-1"), own)


def test_why_names_what_changed(tmp_path: Path) -> None:
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path))
    run(tmp_path, step("use", given={"rate": 1}, makes=["o"]))
    run(tmp_path, step("use", given={"rate": 2}, makes=["o"]), run_id="test-2")
    run(tmp_path, step("use", given={"rate": 2}, makes=["o"]), run_id="test-3")
    assert place.why(RunRef("local", "test-1"), own, "use") == ["use never ran here before test-1"]
    assert place.why(RunRef("local", "test-2"), own, "use") == [
        "since test-1:", "input rate changed from 1 to 2",
    ]  # fmt: skip
    assert (
        "nothing that goes into use changed" in place.why(RunRef("local", "test-3"), own, "use")[0]
    )
