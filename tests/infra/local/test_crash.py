"""Whatever is killed at whatever moment, the same command finishes the run and trusts nothing half.

Each run lives in a process of its own (``tests.infra.local.driving``) so that it can be killed.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from infra import provider as providers
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import RunRef
from tests.infra.local.driven import Drive, ended, made_drive, plan, times  # noqa: F401
from tests.infra.local.driving import run, states, step


def whole(tmp_path: Path) -> str:
    entry = RunDirectory(tmp_path / "w", "test-1").step("second").entry()
    assert entry is not None
    return entry.output("o").read_text()


def test_a_killed_run_is_finished_without_redoing_what_had_ended(
    tmp_path: Path, drive: Drive
) -> None:
    """Neither the cached step nor the one with effects (a registration!) happens twice."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    driven.end(signal.SIGKILL)
    driven.process.wait()
    (tmp_path / "go").touch()
    again = drive(plan(tmp_path)).states()
    assert again == {"": "succeeded", "first": "cached", "effect": "cached", "second": "succeeded"}
    assert (times(tmp_path, "first"), times(tmp_path, "effect")) == (1, 1)
    assert whole(tmp_path) == "half whole"


def test_the_orphan_of_a_killed_run_is_ended_before_its_step_starts_again(
    tmp_path: Path, drive: Drive
) -> None:
    """Two trainings must never write one checkpoint directory at the same time."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    orphan = int(RunDirectory(tmp_path / "w", "test-1").step("second").alive.read_text())
    driven.end(signal.SIGKILL)
    driven.process.wait()
    os.kill(orphan, 0)  # it lives on
    (tmp_path / "second.half").unlink()
    after = drive(plan(tmp_path))
    after.wait_for((tmp_path / "second.half").exists)
    assert ended(orphan)
    (tmp_path / "go").touch()
    assert after.states()[""] == "succeeded"


def test_the_same_run_twice_at_once_is_one_run(tmp_path: Path, drive: Drive) -> None:
    """The second attaches: it sees the first one's events and starts nothing."""
    one = drive(plan(tmp_path))
    one.wait_for((tmp_path / "second.half").exists)
    two = drive(plan(tmp_path))
    two.wait_for(lambda: bool(two.told))  # it has joined
    (tmp_path / "go").touch()
    assert one.states() == two.states()
    assert times(tmp_path, "second") == 1


def test_whoever_watches_a_run_that_is_killed_is_told(tmp_path: Path, drive: Drive) -> None:
    """A second command must say what it does, and not end as if the run still went on."""
    one = drive(plan(tmp_path))
    one.wait_for((tmp_path / "second.half").exists)
    two = drive(plan(tmp_path))
    two.wait_for(lambda: bool(two.told))
    one.end(signal.SIGKILL)
    one.process.wait()
    assert two.states() == {
        "": "cancelled", "first": "succeeded", "effect": "succeeded", "second": "cancelled"
    }  # fmt: skip
    assert "running already, so this command watches it" in two.told[0]


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path, drive: Drive) -> None:
    """Both compute the same step at the same time; whoever is second uses the first one's entry."""
    one = drive(plan(tmp_path))
    one.wait_for((tmp_path / "second.half").exists)
    (tmp_path / "go").touch()
    mine = run(
        tmp_path / "w",
        *(step(**each) for each in plan(tmp_path)),
        run_id="test-2",
    )
    assert states(mine)[""] == "succeeded"
    assert one.states()[""] == "succeeded"
    assert whole(tmp_path) == "half whole"


def test_kill_9_at_any_moment(tmp_path: Path, drive: Drive) -> None:
    """The driver dies at another moment each time; the run still ends whole."""
    (tmp_path / "go").touch()
    for delay in [0.05 + 0.02 * n for n in range(12)]:
        driven = drive(plan(tmp_path))
        time.sleep(delay)
        driven.end(signal.SIGKILL)
        driven.process.wait()
    assert drive(plan(tmp_path)).states()[""] == "succeeded"
    assert whole(tmp_path) == "half whole"


def test_a_torn_event_line_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, step("one", makes=["o"]))
    directory = RunDirectory(tmp_path, "test-1")
    with (directory.root / "events.jsonl").open("a") as events:
        events.write('{"step": "one", "sta')
    assert directory.status().state == "succeeded"
    before = len(list(directory.events()))
    again = run(tmp_path, step("one", makes=["o"]))
    assert list(directory.events())[before:] == again, "the torn line took one along"
    assert states(run(tmp_path, step("one", makes=["o"])))[""] == "succeeded"
    assert directory.status().state == "succeeded"


def test_cancel_ends_what_a_killed_driver_left_running(tmp_path: Path, drive: Drive) -> None:
    """Else a training without a driver would hold the machine, and nothing could end it."""
    driven = drive(plan(tmp_path))
    driven.wait_for((tmp_path / "second.half").exists)
    orphan = int(RunDirectory(tmp_path / "w", "test-1").step("second").alive.read_text())
    driven.end(signal.SIGKILL)
    driven.process.wait()
    place, own = providers.get("local"), LocalSettings(workspace=str(tmp_path / "w"), grace=5.0)
    ref = RunRef("local", "test-1")
    left = place.status(ref, own)
    assert (left.state, left.steps["second"].state) == ("cancelled", "cancelled")
    assert (
        "it goes on by itself; to end it: python -m pipelines cancel"
        in left.steps["second"].message
    )
    assert place.cancel(ref, own)
    assert ended(orphan)
    assert place.status(ref, own).steps["second"].message == "its run was killed"
    assert not place.cancel(RunRef("local", "test-1"), own)
