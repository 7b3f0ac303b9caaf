"""A spool reaches MLflow: every number once, whatever dies and whatever is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from components import delivery, spool, tracking
from infra import mlflow
from infra.storage import write_whole
from tests.spooled import RUN, begin, check, history, send, stored, told, write
from tests.tracked import lines, made_template, made_uri  # noqa: F401  fixtures work by being here


class Killed(BaseException):
    """The process was killed here."""


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


def test_a_step_that_was_mended_tells_its_own_curve(tmp_path: Path, uri: str) -> None:
    """The old model's curve would stand in MLflow over the new model's name."""
    folder, at = begin(tmp_path / RUN, uri), 1_700_000_000_000
    for made_of, loss in (("old", 3.0), ("old", 9.0), ("new", 1.0)):
        write(folder, "train", {"open": "train", "of": made_of, "at": at})
        write(folder, "train", {"metrics": [[at, n, {"loss": loss}] for n in (1, 2)]})
        write(folder, "train", {"close": "failed", "at": at})
        at += 10_000
        send(folder, uri)
    tracking.finish(folder, "succeeded")
    assert send(folder, uri)
    client = mlflow.connect(uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    told = {
        run.data.tags["trefoil.made_of"]: history(uri, run, "loss")
        for run in runs
        if run.info.run_name == "train"
    }
    assert told == {"old": [(1, 3.0), (2, 3.0)], "new": [(1, 1.0), (2, 1.0)]}


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
