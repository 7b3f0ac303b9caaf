"""What Ctrl-C and SIGTERM do to a run: once they ask, twice they end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.infra.local.driven import Drive, counted, made_drive, plan, times  # noqa: F401


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_runs_the_exit_handler_and_can_be_resumed(
    tmp_path: Path, drive: Drive, number: signal.Signals
) -> None:
    handler = {"name": "last", "makes": ["o"], "always": True, "after": ["second"], "cache": False}
    driven = drive([*plan(tmp_path), handler])
    driven.wait_for((tmp_path / "second.half").exists)
    driven.end(number)
    assert driven.states() == {
        "": "cancelled", "first": "succeeded", "effect": "succeeded", "second": "cancelled",
        "last": "succeeded",
    }  # fmt: skip
    (tmp_path / "go").touch()
    assert drive([*plan(tmp_path), handler]).states()[""] == "succeeded"
    assert (times(tmp_path, "first"), times(tmp_path, "effect")) == (1, 1)


def test_a_step_that_ignores_the_signal_is_killed_by_the_second_one(
    tmp_path: Path, drive: Drive
) -> None:
    deaf = (
        "import signal; "
        f"hear = lambda *_: open({str(tmp_path / 'asked')!r}, 'w').close(); "
        "signal.signal(signal.SIGTERM, hear); "
        f"open({str(tmp_path / 'deaf')!r}, 'w').close(); time.sleep(60)"
    )
    driven = drive([{"name": "deaf", "script": deaf}], grace=50.0)
    driven.wait_for((tmp_path / "deaf").exists)
    driven.end(signal.SIGINT)
    driven.wait_for((tmp_path / "asked").exists)
    driven.end(signal.SIGINT)
    assert driven.states() == {"": "cancelled", "deaf": "cancelled"}


def test_a_step_may_save_itself_when_the_run_is_ended(tmp_path: Path, drive: Drive) -> None:
    saving = (
        "import signal; "
        f"save = lambda *_: (open({str(tmp_path / 'saved')!r}, 'w').close(), sys.exit(143)); "
        "signal.signal(signal.SIGTERM, save); "
        f" open({str(tmp_path / 'ready')!r}, 'w').close(); time.sleep(60)"
    )
    driven = drive([{"name": "train", "script": saving}])
    driven.wait_for((tmp_path / "ready").exists)
    driven.end(signal.SIGTERM)
    assert driven.states() == {"": "cancelled", "train": "cancelled"}
    assert (tmp_path / "saved").exists()


def test_the_first_signal_leaves_a_running_exit_handler_alone(tmp_path: Path, drive: Drive) -> None:
    """It may be what cleans up; only the second signal says that it must not."""
    driven = drive([{"name": "last", "script": counted(tmp_path, "last"), "makes": ["o"],
                     "always": True, "cache": False}])  # fmt: skip
    driven.wait_for((tmp_path / "last.half").exists)
    driven.end(signal.SIGTERM)
    driven.wait_for(lambda: "SigPnd:\t0000000000000000" in pending(driven.process.pid))
    (tmp_path / "go").touch()
    assert driven.states() == {"": "cancelled", "last": "succeeded"}


def test_the_second_signal_ends_an_exit_handler_and_starts_none(
    tmp_path: Path, drive: Drive
) -> None:
    """Who presses Ctrl-C twice wants the prompt back, not a handler of ten minutes."""
    handlers = [
        {"name": "last", "script": counted(tmp_path, "last"), "makes": ["o"], "always": True,
         "after": ["second"], "cache": False},
        {"name": "later", "makes": ["o"], "always": True, "after": ["last"], "cache": False},
    ]  # fmt: skip
    driven = drive([*plan(tmp_path), *handlers])
    driven.wait_for((tmp_path / "second.half").exists)
    driven.end(signal.SIGINT)
    driven.wait_for((tmp_path / "last.half").exists)
    driven.end(signal.SIGINT)
    found = driven.states()
    assert (found["last"], found["later"], found[""]) == ("cancelled",) * 3


def pending(pid: int) -> str:
    """What the kernel tells of a process's signals."""
    return Path(f"/proc/{pid}/status").read_text()
