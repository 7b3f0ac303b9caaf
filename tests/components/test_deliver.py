"""The sender as a process: killed, one too many, left alone, without a server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from components import deliver, tracking
from tests.served import ROOT
from tests.spooled import RUN, begin, check, history, stored, told
from tests.tracked import lines, made_template, made_uri, step  # noqa: F401  fixtures work by being here


def test_killed_for_good_again_and_again(tmp_path: Path, uri: str) -> None:
    """The process itself, by SIGKILL, at chance moments while it sends."""
    count = 6_000
    folder = begin(tmp_path / RUN, uri)
    told(folder, count=count)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    reached = 0
    for _ in range(2):
        sender = subprocess.Popen(
            [sys.executable, "-m", "components.deliver", "--spool", str(folder)],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 60
        while _reached(folder) <= reached and sender.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        sender.kill()
        assert sender.wait() == -signal.SIGKILL, "it was still sending"
        reached = _reached(folder)
    tracking.finish(folder, "succeeded")
    last = step("deliver", "--spool", folder, MLFLOW_TRACKING_URI=uri)
    assert last.returncode == 0
    check(uri, count)


def _reached(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(json.loads((folder / "state.json").read_text())["places"].get("train", 0))
    return 0


def test_a_second_sender_of_a_spool_ends_at_once(tmp_path: Path, uri: str) -> None:
    folder = begin(tmp_path / RUN, uri)
    with deliver._alone(folder) as first, deliver._alone(folder) as second:
        assert (first, second) == (True, False)
        assert step("deliver", "--spool", folder, MLFLOW_TRACKING_URI=uri).returncode == 0
    with deliver._alone(tmp_path / "gone") as found:
        assert not found


def test_whoever_starts_it_need_not_wait_and_its_death_is_noticed(
    tmp_path: Path,
    uri: str,
) -> None:
    """The orchestrator is killed: what was told is sent, the run is called killed."""
    folder = tmp_path / RUN
    code = (
        "import sys, os, signal, pathlib\nfrom components import tracking\n"
        "print(tracking.start_sender(pathlib.Path(sys.argv[1]), "
        "{'MLFLOW_TRACKING_URI': sys.argv[2]}), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder), uri],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL
    sender = int(run.stdout)
    os.kill(sender, 0)  # it goes on, and nobody waited for it
    os.kill(sender, signal.SIGKILL)  # it would wait a minute; another one is less patient
    told(folder)
    again = step("deliver", "--spool", folder, "--parent", 1, "--idle", 0, check=False,
                 MLFLOW_TRACKING_URI=uri)  # fmt: skip
    assert again.returncode == 1
    assert "gone" in again.stdout
    runs = stored(uri)
    assert history(uri, runs["train"], "loss") == [(n, n / 7) for n in range(50)]
    assert runs[RUN].info.status == "KILLED"


def test_a_server_that_is_down_loses_nothing_and_is_waited_for_only_so_long(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://me:s3cr3t-s3cr3t@127.0.0.1:{taken.getsockname()[1]}"
    folder = begin(tmp_path / RUN, address)
    told(folder)
    tracking.finish(folder, "succeeded")
    run = step("deliver", "--spool", folder, "--patience", 1, check=False,
               MLFLOW_TRACKING_URI=address)  # fmt: skip
    assert run.returncode == 1
    assert "does not answer" in run.stdout
    assert f"given up; what was told stays in {folder}" in run.stdout
    everything = run.stdout + run.stderr + "".join(f.read_text() for f in folder.glob("*.json*"))
    assert "s3cr3t" not in everything
    assert len(lines(folder / "train.jsonl")) == 12


def test_what_an_earlier_run_had_to_leave_is_sent_by_the_next(
    tmp_path: Path,
    uri: str,
) -> None:
    left = begin(tmp_path / "tracking" / RUN, uri)
    told(left)
    tracking.finish(left, "succeeded")
    elsewhere = begin(tmp_path / "tracking" / "elsewhere", "http://another.example")
    tracking.finish(elsewhere, "succeeded")
    running = begin(tmp_path / "tracking" / "running", uri)
    odd = tmp_path / "tracking" / "odd"
    odd.mkdir()
    (odd / "_run.jsonl").write_text("{}\n")
    now = begin(tmp_path / "tracking" / "now", uri)
    tracking.finish(now, "succeeded")
    with deliver._alone(running):
        run = step("deliver", "--spool", now, MLFLOW_TRACKING_URI=uri)
    assert run.returncode == 0, run.stdout
    assert set(stored(uri)) == {RUN, "train", "now"}
    left_over = sorted(each.name for each in (tmp_path / "tracking").iterdir())
    assert left_over == ["elsewhere", "odd", "running"]


def test_a_database_of_another_version_is_told_and_the_spool_kept(
    tmp_path: Path,
    uri: str,
) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")
        database.commit()
    folder = begin(tmp_path / RUN, uri)
    told(folder)
    tracking.finish(folder, "succeeded")
    run = step("deliver", "--spool", folder, check=False, MLFLOW_TRACKING_URI=uri)
    assert run.returncode == 2
    assert "mlflow db upgrade" in run.stdout
    assert (folder / "train.jsonl").exists()
