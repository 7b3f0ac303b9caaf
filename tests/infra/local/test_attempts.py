"""A step is tried as often as its plan says, and each attempt starts clean."""

from __future__ import annotations

from pathlib import Path

from infra.plan import Retry
from tests.infra.local.driven import ends
from tests.infra.local.driving import left, run, said, states, step


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
    assert ends(int(pid.read_text()))
