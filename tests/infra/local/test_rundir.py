"""The directory of a run lies in its workspace, and says who drives the run."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.local.rundir import RunDirectory
from infra.plan import Event
from pipelines import __main__ as verbs
from tests.infra.local.driving import run, step

OUTSIDE = ["../../evil", "..", ".", "", "a/b", "/tmp/x", "a\0b", "a\\b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_run_and_a_step_lie_in_the_workspace(tmp_path: Path, name: str) -> None:
    """Whatever makes the names: a file that somebody sent must not write where it likes."""
    place = tmp_path / "deep" / "workspace"
    with pytest.raises(InputError, match="cannot name what lies in"):
        RunDirectory(place, name)
    with pytest.raises(InputError, match="cannot name what lies in"):
        RunDirectory(place, "run").step(name)
    with pytest.raises(InputError, match="cannot name what lies in"):
        run(place, step("one"), run_id=name)
    run(place, step(name, "open(place['o'], 'w').write('x')", makes=["o"]))
    assert {each.name for each in (tmp_path).iterdir()} == {"deep"}
    assert {each.name for each in (tmp_path / "deep").iterdir()} == {"workspace"}
    assert not (place / "runs" / "test-1" / "steps").exists()


def test_a_run_that_a_person_names_is_not_looked_for_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "w"))
    run(tmp_path, step("one"), run_id="r")
    assert verbs.main(["status", "../../runs/r"]) == 2
    assert "'../../runs/r' cannot name what lies in" in capsys.readouterr().err


@pytest.mark.parametrize("left", [False, True])
def test_a_driver_that_has_not_yet_written_its_pid_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """A cancel would find nobody to end, or end whoever has the number of a driver long gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    directory = RunDirectory(tmp_path, "r")
    directory.root.mkdir(parents=True)
    file = directory.root / "lock"
    file.write_text(str(gone.pid) if left else "")
    monkeypatch.setattr(
        "infra.local.rundir.time.sleep", lambda _: file.write_text(str(os.getpid()))
    )
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert directory.driver() == os.getpid()
    assert directory.driver() is None


def test_what_an_older_version_recorded_is_still_a_run(tmp_path: Path) -> None:
    """Its events name no error; a run that is not seen would be begun anew."""
    directory = RunDirectory(tmp_path, "r-1")
    directory.root.mkdir(parents=True)
    line = Event("one", "failed", 1.0, "why", 2, 1)._asdict()
    del line["error"]
    (directory.root / "events.jsonl").write_text(json.dumps(line) + "\n")
    assert list(directory.events()) == [Event("one", "failed", 1.0, "why", 2, 1)]
