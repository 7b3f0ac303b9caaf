"""The spool on its disk: cut off, full, not to be written, and without secrets."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from components import spool, tracking
from tests.telling import (
    made_place,  # noqa: F401  a fixture works by being here
    points,
    told,
)

SECRET = "correct-horse-battery"


def test_a_second_attempt_appends_and_closes_a_line_that_was_cut_off(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.open() as track:
        track.metrics({"loss": 1.0}, 1)
    with (place / "train.jsonl").open("a") as file:
        file.write('{"metrics": [[17, 2, {"lo')
    monkeypatch.setenv("TREFOIL_ATTEMPT", "2")
    tracking.open().close()
    raw = (place / "train.jsonl").read_text().splitlines()
    whole = [json.loads(line) for line in raw if not line.endswith('"lo')]
    assert len(whole) == len(raw) - 1
    assert [line["attempt"] for line in whole if "open" in line] == ["1", "2"]


def test_no_secret_is_written(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://me:{SECRET}@mlflow.example")
    with tracking.open() as track:
        track.params({"config": '{"steps": 5, "hub": {"HF_TOKEN": "hf_deep"}}'})
        track.tags({"env": [{"password": "hf_deep"}]})
        track.params({"uri": "https://me:hunter2hunter@host/x?sig=a1b2c3&page=2", "n": 3})
        track.params({"api_key": "abc", "nested": {"auth": f"Bearer {SECRET}"}, "sort_key": "name"})
        track.tags({"note": f"failed for {SECRET}"}, run=True)
        track.dataset("d", "0" * 32, "s3://AKIA:hunter2hunter@bucket/key")
    spool.append(place / "_run.jsonl", {"run": spool.run_facts("r", os.environ, False)})
    text = "".join(file.read_text() for file in place.glob("*.jsonl"))
    for secret in (SECRET, "hunter2hunter", "a1b2c3", "abc", "hf_deep"):
        assert secret not in text
    params = {name: value for found in told(place, "params") for name, value in found.items()}
    assert params["uri"] == "https://***@host/x?sig=***&page=2"
    assert (params["n"], params["sort_key"], params["api_key"]) == ("3", "name", "***")


def test_a_run_that_an_event_started_is_tagged_with_it() -> None:
    """In MLflow one finds by it what a push, or an alarm, has led to; a person's run has none."""
    event = "push-25eb80d0cee2"
    tags = spool.run_facts(f"generative-b4a05a7a-{event}", {}, False)["tags"]
    assert tags == {"trefoil.event": event}
    for name in ("generative-b4a05a7a-1", "my-push-25eb80d0cee2-b4a05a7a-1", "push-25eb80d0ceee"):
        assert spool.run_facts(name, {}, False)["tags"] == {}


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that the disk still takes, as the one item of a list."""
    real, left = os.write, [1 << 30]

    def write(handle: int, data: bytes) -> int:
        if not data.startswith(b"note") and handle > 2:
            if left[0] <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: left[0]]
            left[0] -= len(data)
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    return left


def test_a_full_disk_stops_neither_the_step_nor_loses_what_it_told(
    place: Path, room: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    track = tracking.open()
    room[0] = 40
    for step in range(100):
        track.metrics({"loss": 0.5}, step)
        track.flush()
    assert capsys.readouterr().err.count("No space left") == 1
    room[0] = 1 << 30  # somebody made room
    track.close()
    assert [step for _, _, step in points(place)] == list(range(100))
    assert not any(spool.LOST in tags for tags in told(place, "tags"))


def test_what_a_full_disk_took_to_the_end_is_said(
    place: Path, room: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks at a curve that ends early must not take it for what happened."""
    track = tracking.open()
    room[0] = 0
    track.metrics({"loss": 1.0}, 1)
    track.close()
    assert "the disk took no more, and" in capsys.readouterr().err


def test_what_is_beyond_the_memory_for_a_full_disk_is_counted_in_the_run_record(
    place: Path,
    room: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A curve with a hole in it that nobody tells of is taken for the whole."""
    monkeypatch.setattr(spool, "_UNWRITTEN", 200)
    monkeypatch.setattr(tracking, "_SAMPLE", 1e9)
    track = tracking.open()
    step = 0
    for _ in range(2):
        room[0] = 0
        for _ in range(50):
            track.metrics({"loss": 0.5}, step)
            track.flush()
            step += 1
        room[0] = 1 << 30
        track.metrics({"loss": 0.5}, step)
        track.flush()
        step += 1
    track.close()
    kept = {step for _, _, step in points(place)}
    assert {0, 50, 51, 101} <= kept, "what came before and after a gap is there"
    counts = [int(tags[spool.LOST]) for tags in told(place, "tags") if spool.LOST in tags]
    assert len(counts) == 2
    assert counts[-1] == 102 - len(kept) > 50
    said = capsys.readouterr().err
    assert said.count("No space left") == said.count("is left out") == 1


def test_a_spool_that_cannot_be_written_is_said_and_that_is_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "file" / "spool"))
    with tracking.open() as track:
        track.metrics({"loss": 1.0})
    assert "nothing is tracked" in capsys.readouterr().err
