"""A spool reaches MLflow: every number once, whatever dies; nothing is lost while it is down."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components import deliver, delivery, spool, tracking
from components.delivery import Delivery
from components.sink import Sink
from infra import mlflow
from infra.storage import write_whole
from tests.served import ROOT
from tests.tracked import (  # noqa: F401  fixtures work by being here
    lines,
    made_template,
    made_uri,
    step,
)

RUN = "generative-0a1b2c3d-1"


class Killed(BaseException):
    """The process was killed here."""


def begin(folder: Path, address: str, **more: str) -> Path:
    """A spool as the orchestrator leaves it before the first step."""
    folder.mkdir(parents=True)
    environment = {"MLFLOW_TRACKING_URI": address, "TREFOIL_PROVIDER": "local", **more}
    facts = spool.run_facts(folder.name, environment, alone=False)
    spool.append(folder / "_run.jsonl", {"run": facts, "at": spool.now()})
    return folder


def told(folder: Path, name: str = "train", count: int = 50, at: int = 1_700_000_000_000) -> None:
    """A step with numbers in many lines, parameters, a picture, a data set."""
    copy = folder / "files" / f"{name}-1" / "picture.png"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"png")
    write(folder, name, {"open": name, "attempt": "1", "at": at}, {"params": {"lr": "0.1"}})
    for start in range(0, count, 10):
        found = [[at + n, n, {"loss": n / 7, "kl": n * 2.0}] for n in range(start, start + 10)]
        write(folder, name, {"metrics": found})
        if start == 10:
            write(folder, name, {"artifact": f"files/{name}-1/picture.png", "to": "pictures"})
    data = {"name": "digits", "digest": "f" * 32, "source": "", "context": "training"}
    write(folder, name, {"dataset": data}, {"tags": {"colour": "blue"}})
    write(folder, name, {"run_tags": {"gate.passed": "True"}}, {"close": "succeeded", "at": at + 9})


def write(folder: Path, name: str, *found: dict[str, Any]) -> None:
    for line in found:
        spool.append(folder / f"{name}.jsonl", line)


def send(folder: Path, address: str) -> bool:
    return Delivery(folder, address).pump()


def stored(address: str) -> dict[str, Any]:
    """All runs by name; two of one name are a mistake."""
    client = mlflow.connect(address)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    found = {run.info.run_name: run for run in runs}
    assert len(found) == len(runs), [run.info.run_name for run in runs]
    return found


def history(address: str, run: Any, name: str) -> list[tuple[int, float]]:
    found = mlflow.connect(address).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in found)


def check(address: str, count: int = 50) -> None:
    runs = stored(address)
    assert set(runs) == {RUN, "train"}
    train, whole = runs["train"], runs[RUN]
    assert history(address, train, "loss") == [(n, n / 7) for n in range(count)]
    assert history(address, train, "kl") == [(n, n * 2.0) for n in range(count)]
    assert train.data.params == {"lr": "0.1"}
    assert train.data.tags["colour"] == "blue"
    assert train.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert train.data.tags["trefoil.run_id"] == whole.data.tags["trefoil.run_id"] == RUN
    assert [each.dataset.digest for each in train.inputs.dataset_inputs] == ["f" * 32]
    client = mlflow.connect(address)
    assert [f.path for f in client.list_artifacts(train.info.run_id, "pictures")] == [
        "pictures/picture.png"
    ]
    assert whole.data.tags["gate.passed"] == "True"
    assert whole.data.tags["trefoil.provider"] == "local"
    assert (train.info.status, whole.info.status) == ("FINISHED", "FINISHED")


def test_a_run_with_a_step_nested_in_it(tmp_path: Path, uri: str) -> None:
    folder = begin(tmp_path / RUN, uri)
    assert not send(folder, uri)
    told(folder)
    assert not send(folder, uri), "the run goes on"
    tracking.finish(folder, "succeeded")
    assert send(folder, uri)
    check(uri)
    assert not folder.exists(), "nothing is left behind"


def test_the_run_of_the_pipeline_carries_its_parameters(tmp_path: Path, uri: str) -> None:
    """Runs are compared by what they were asked for: recipe, data, config, seed."""
    folder = tmp_path / RUN
    folder.mkdir()
    given = {"recipe": "vae", "seed": 3, "config": '{"latent": 8}', "api_key": "s3cr3t"}
    facts = spool.run_facts(RUN, {"MLFLOW_TRACKING_URI": uri}, alone=False, parameters=given)
    for _ in range(2):  # it is resumed once
        spool.append(folder / "_run.jsonl", {"run": facts, "at": spool.now()})
        tracking.finish(folder, "failed")
        assert send(folder, uri)
    shown = {"recipe": "vae", "seed": "3", "config": '{"latent": 8}', "api_key": "***"}
    assert stored(uri)[RUN].data.params == shown
    assert "s3cr3t" not in (folder / "_run.jsonl").read_text()


def test_killed_anywhere_it_is_taken_up_and_nothing_is_twice_or_lost(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Die once at each place: before and after everything that MLflow or the disk sees."""
    life = [0]

    def mortal(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            die()
            result = real(*arguments, **named)
            die()
            return result

        return call

    def die() -> None:
        life[0] -= 1
        if life[0] == 0:
            raise Killed

    client = type(mlflow.connect(f"sqlite:///{template}"))
    for name in ("log_batch", "create_run", "set_terminated", "update_run", "log_artifact",
                 "log_inputs", "create_experiment"):  # fmt: skip
        monkeypatch.setattr(client, name, mortal(getattr(client, name)))
    monkeypatch.setattr("components.delivery.write_whole", mortal(write_whole))
    monkeypatch.setattr(delivery, "_BATCH", 15)

    for place in range(1, 200):
        workspace = tmp_path / str(place)
        folder, address = workspace / RUN, f"sqlite:///{workspace / 'mlflow.db'}"
        begin(folder, address)
        shutil.copyfile(template, workspace / "mlflow.db")
        told(folder, count=20)
        tracking.finish(folder, "succeeded")
        life[0] = place
        died = False
        try:
            send(folder, address)
        except Killed:
            died = True
            assert folder.exists()
            assert send(folder, address)
        check(address, 20)
        shutil.rmtree(workspace)
        if not died:
            break
    assert 30 < place < 199, "it died everywhere there is, and then lived"


def test_killed_for_good_again_and_again(tmp_path: Path, uri: str) -> None:
    """The process itself, by SIGKILL, at chance moments while it sends."""
    count = 6_000
    folder = begin(tmp_path / RUN, uri)
    told(folder, count=count)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    reached = 0
    for _ in range(4):
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


def test_a_resumed_step_tells_nothing_twice(tmp_path: Path, uri: str) -> None:
    folder, at = begin(tmp_path / RUN, uri), 1_700_000_000_000
    write(folder, "train", {"open": "train", "attempt": "1", "at": at})
    write(folder, "train", {"metrics": [[at + n, n, {"loss": float(n)}] for n in range(1, 101)]})
    write(folder, "train", {"metrics": [[at, 3, {"system/process_memory_megabytes": 1.0}]]})
    send(folder, uri)
    assert stored(uri)["train"].info.status == "RUNNING"
    at += 10_000  # killed, and resumed from step 80
    write(folder, "train", {"open": "train", "attempt": "2", "at": at})
    write(folder, "train", {"metrics": [[at + n, n, {"loss": float(n)}] for n in range(81, 121)]})
    write(folder, "train", {"metrics": [[at, 3, {"system/process_memory_megabytes": 2.0}]]})
    write(folder, "train", {"close": "succeeded", "at": at})
    tracking.finish(folder, "failed")
    assert send(folder, uri)
    runs = stored(uri)
    assert history(uri, runs["train"], "loss") == [(n, float(n)) for n in range(1, 121)]
    assert len(history(uri, runs["train"], "system/process_memory_megabytes")) == 2
    assert runs[RUN].info.status == "FAILED"
    assert folder.exists(), "a failed run may be resumed"


def test_a_failed_run_that_is_resumed_goes_on_in_the_same_run(
    tmp_path: Path,
    uri: str,
) -> None:
    folder = begin(tmp_path / RUN, uri)
    write(folder, "train", {"open": "train", "attempt": "1", "at": 1})
    tracking.finish(folder, "failed")
    assert send(folder, uri)
    runs = stored(uri)
    assert (runs[RUN].info.status, runs["train"].info.status) == ("FAILED", "KILLED")
    facts = lines(folder / "_run.jsonl")[0]
    spool.append(folder / "_run.jsonl", facts)
    assert not send(folder, uri)
    assert stored(uri)[RUN].info.status == "RUNNING"
    write(folder, "train", {"open": "train", "attempt": "2", "at": 2})
    write(folder, "train", {"close": "succeeded", "at": 3})
    tracking.finish(folder, "succeeded")
    assert send(folder, uri)
    runs = stored(uri)
    assert (runs[RUN].info.status, runs["train"].info.status) == ("FINISHED", "FINISHED")


def test_what_mlflow_refuses_is_left_out_alone(
    tmp_path: Path,
    uri: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = begin(tmp_path / RUN, uri)
    write(folder, "train", {"open": "train", "attempt": "1", "at": 1}, {"params": {"lr": "0.1"}})
    send(folder, uri)
    write(folder, "train", {"params": {"lr": "0.2", "n": "3", "odd*name?": "1", "../up": "x"}})
    write(folder, "train", {"metrics": [[1, 1, {"loss": 1.0, "nan": float("nan"), "../m": 2.0}]]})
    write(folder, "train", {"close": "succeeded", "at": 2})
    tracking.finish(folder, "succeeded")
    assert send(folder, uri)
    train = stored(uri)["train"]
    assert train.data.params == {"lr": "0.1", "n": "3", "odd_name_": "1"}
    assert train.data.metrics["loss"] == 1.0
    assert train.data.metrics["nan"] != train.data.metrics["nan"]
    assert capfd.readouterr().out.count("left out of") == 3


def test_a_line_that_is_damaged_is_passed_over(
    tmp_path: Path,
    uri: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = begin(tmp_path / RUN, uri)
    write(folder, "train", {"open": "train", "attempt": "1", "at": 1})
    with (folder / "train.jsonl").open("ab") as file:
        file.write(b'{"metrics": [[1, 1, {"lo\n\xff\xfe\n[1]\n')
    write(folder, "train", {"metrics": [[1, 2, {"loss": 2.0}]]})
    with (folder / "train.jsonl").open("ab") as file:
        file.write(b'{"metrics": [[1, 3, {"loss": 3.0}]]}')  # still being written
    send(folder, uri)
    assert history(uri, stored(uri)["train"], "loss") == [(2, 2.0)]
    assert capfd.readouterr().out.count("damaged") == 3
    with (folder / "train.jsonl").open("ab") as file:
        file.write(b"\n")
    send(folder, uri)
    assert history(uri, stored(uri)["train"], "loss") == [(2, 2.0), (3, 3.0)]


def test_a_run_that_a_person_deletes_takes_nothing_more_and_blocks_nothing(
    tmp_path: Path,
    uri: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = begin(tmp_path / RUN, uri)
    write(folder, "train", {"open": "train", "attempt": "1", "at": 1})
    send(folder, uri)
    client = mlflow.connect(uri)
    client.delete_run(stored(uri)["train"].info.run_id)
    write(folder, "train", {"metrics": [[1, n, {"loss": 1.0}] for n in range(300)]})
    write(folder, "train", {"close": "succeeded", "at": 2})
    tracking.finish(folder, "succeeded")
    assert send(folder, uri)
    assert capfd.readouterr().out.count("was deleted") == 1
    assert stored(uri)[RUN].info.status == "FINISHED"


def test_it_delivers_into_the_run_that_an_orchestrator_made(
    tmp_path: Path,
    uri: str,
) -> None:
    """KFP's plugin makes a run for each task and sets MLFLOW_RUN_ID; it ends it, too."""
    client = mlflow.connect(uri)
    theirs = client.create_run(client.create_experiment("kfp"), run_name="their task").info
    environment = {
        "MLFLOW_TRACKING_URI": uri, "MLFLOW_RUN_ID": theirs.run_id, "TREFOIL_RUN_ID": "x",
        "MLFLOW_EXPERIMENT_ID": theirs.experiment_id, "TREFOIL_STEP": "train",
    }  # fmt: skip
    code = (
        "from components import tracking\n"
        "with tracking.open() as track:\n"
        "    track.metrics({'loss': 0.5}, 7)\n    track.params({'lr': 1})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True,
                   env={**os.environ, "TMPDIR": str(tmp_path), **environment})  # fmt: skip
    runs = stored(uri)
    assert set(runs) == {"their task"}
    found = runs["their task"]
    assert (found.data.metrics["loss"], found.data.params) == (0.5, {"lr": "1"})
    assert found.info.status == "RUNNING", "its end is theirs to tell"
    assert not list(tmp_path.glob("trefoil-tracking-*")), "nothing is left behind"


def test_two_steps_alone_share_the_run_of_the_pipeline(tmp_path: Path, uri: str) -> None:
    """Containers without a common disk: each starts its own sender, at once."""
    code = (
        "import os\nfrom components import tracking\n"
        "with tracking.open() as track:\n"
        "    track.params({'who': os.environ['TREFOIL_STEP']})\n"
        "    track.run_ended('failed') if os.environ['TREFOIL_STEP'] == 'b' else None"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "TREFOIL_STEP": name,
                 "TREFOIL_RUN_ID": RUN, "TMPDIR": str(tmp_path)},
        )
        for name in ("a", "b")
    ]  # fmt: skip
    assert [process.wait() for process in processes] == [0, 0]
    runs = stored(uri)
    assert set(runs) == {RUN, "a", "b"}
    assert all(runs[n].data.tags["mlflow.parentRunId"] == runs[RUN].info.run_id for n in "ab")
    assert (runs["a"].info.status, runs[RUN].info.status) == ("FINISHED", "FAILED")


def test_a_step_without_any_orchestrator_is_one_run(tmp_path: Path, uri: str) -> None:
    step("report", "--status", '{"state": "SUCCEEDED"}', MLFLOW_TRACKING_URI=uri,
         TMPDIR=str(tmp_path))  # fmt: skip
    [run] = stored(uri).values()
    assert run.info.run_name.startswith("report-")
    assert run.info.status == "FINISHED"
    assert run.data.tags["trefoil.ending"] == "succeeded"


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
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder), uri],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 5
    sender = int(run.stdout)
    os.kill(sender, 0)
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
    began = time.monotonic()
    run = step("deliver", "--spool", folder, "--patience", 1, check=False,
               MLFLOW_TRACKING_URI=address)  # fmt: skip
    assert run.returncode == 1
    assert time.monotonic() - began < 60
    assert "does not answer" in run.stdout
    assert "stays in" in run.stdout
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


def test_a_run_that_another_sender_made_meanwhile_is_shared(uri: str) -> None:
    """On a server there is no lock: both make one, both take the older, the other one goes."""
    client = mlflow.connect(uri)
    where = client.create_experiment("race")
    real = client.search_runs
    made: list[str] = []

    def search(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        if not made and not found:  # another one makes it just after we have looked
            tags = {mlflow.RUN_ID: RUN, mlflow.KIND: "run"}
            made.append(client.create_run(where, start_time=1, tags=tags).info.run_id)
        return found

    client.search_runs = search  # type: ignore[method-assign]
    address = "http://server.example"
    assert mlflow.pipeline_run(client, address, where, RUN, {}) == made[0]
    assert [run.info.run_id for run in real([where])] == made


def test_on_one_machine_whoever_comes_first_makes_the_run(uri: str) -> None:
    """The sender and register, say; each with a client of its own."""
    client = mlflow.connect(uri)
    where = client.create_experiment("race")
    together = threading.Barrier(6)

    def make(_: int) -> str:
        together.wait()
        return mlflow.pipeline_run(client, uri, where, RUN, {})

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(make, range(6)))) == 1
    assert len(client.search_runs([where])) == 1


def test_sink_slices_what_is_too_much_for_one_call() -> None:
    calls: list[tuple[int, int, int]] = []

    class Client:
        def log_batch(self, _run: str, *kinds: list[Any]) -> None:
            calls.append(tuple(map(len, kinds)))  # type: ignore[arg-type]

    from components.sink import metric, params, tags

    found = [metric("m", 1.0, 1, n) for n in range(2000)]
    texts = {f"k{n}": "v" for n in range(120)}
    sink = Sink(Client(), [], "")  # type: ignore[arg-type]
    sink.log("run", [*found, *params(texts), *tags(texts)])
    assert calls == [(900, 50, 50), (900, 50, 50), (200, 20, 20)]
