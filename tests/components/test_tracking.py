"""What a step tells reaches the spool: whole, in order, never stopping it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import contract, tracking
from tests.served import ROOT
from tests.telling import (
    made_place,  # noqa: F401  a fixture works by being here
    points,
    told,
)


def test_every_number_is_there_once_and_in_order(place: Path) -> None:
    with tracking.open() as track:
        for step in range(5000):
            track.metrics({"loss": step / 3, "kl": -step}, step)
    expected = [(n, v, s) for s in range(5000) for n, v in (("loss", s / 3), ("kl", float(-s)))]
    assert points(place) == expected


def test_the_caller_may_reuse_its_dictionary(place: Path) -> None:
    values = {"loss": 1.0}
    with tracking.open() as track:
        track.metrics(values, 1)
        values["loss"] = 2.0
        track.metrics(values, 2)
    assert points(place) == [("loss", 1.0, 1), ("loss", 2.0, 2)]


def test_what_is_told_is_flushed_without_closing(place: Path) -> None:
    track = tracking.open()
    track.metrics({"loss": 1.0}, 1)
    track.flush()
    assert points(place) == [("loss", 1.0, 1)]
    track.metrics({"loss": 2.0}, 2)
    until = time.monotonic() + 10
    while len(points(place)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(points(place)) == 2, "the thread writes by itself"
    track.close()


def test_the_thread_and_a_flush_do_not_get_in_each_others_way(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_FLUSH", 1e-5)
    real = os.write

    def slow(handle: int, data: bytes) -> int:  # a disk that takes a little, and lets others in
        time.sleep(1e-5)
        return real(handle, data[: max(1, len(data) // 2)])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", slow)
        with tracking.open() as track:
            for step in range(2000):
                track.metrics({"loss": float(step)}, step)
                if step % 7 == 0:
                    track.flush()
    assert points(place) == [("loss", float(step), step) for step in range(2000)]


def test_a_picture_may_vanish_once_it_was_told(place: Path, tmp_path: Path) -> None:
    picture, folder = tmp_path / "a.png", tmp_path / "figures"
    folder.mkdir()
    (folder / "b.png").write_bytes(b"two")
    with tracking.open() as track:
        for content in (b"one", b"changed"):
            picture.write_bytes(content)
            track.artifact(picture, "pictures")
        track.artifact(folder)
        picture.unlink()
    copies = [place / copy for copy in told(place, "artifact")]
    assert [copy.read_bytes() for copy in copies[:2]] == [b"one", b"changed"]
    assert (copies[2] / "b.png").read_bytes() == b"two"
    assert copies[0].name == copies[1].name == "a.png"


def test_what_is_too_large_or_missing_is_left_out_and_said(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "_LARGEST", 10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    with tracking.open() as track:
        track.artifact(tmp_path / "big")
        track.artifact(tmp_path / "none")
    assert told(place, "artifact") == []
    said = capsys.readouterr().err
    assert "too much for a spool" in said
    assert "No such file" in said


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (None, "succeeded"), (ValueError(), "failed"), (SystemExit(0), "succeeded"),
        (SystemExit(2), "failed"), (contract.Terminated("saved"), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
    ],
)  # fmt: skip
def test_the_ending_is_told(place: Path, ending: BaseException | None, state: str) -> None:
    def work() -> None:
        with tracking.open():
            if ending:
                raise ending

    if ending:
        with pytest.raises(type(ending)):
            work()
    else:
        work()
    assert told(place, "close") == [state]


def test_without_a_place_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with tracking.open() as track:
        track.params({"a": 1})
        track.metrics({"b": 2})
        track.tags({"c": 3}, run=True)
        track.dataset("d", "0")
        track.artifact(tmp_path)
        track.flush()
        track.run_ended("succeeded")
    assert type(track) is tracking.Tracker
    assert list(tmp_path.iterdir()) == []


def test_of_a_distributed_step_the_first_process_tells(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert type(tracking.open()) is tracking.Tracker
    monkeypatch.setenv("RANK", "0")
    tracking.open().close()
    assert (place / "train.jsonl").exists()


def test_it_imports_the_standard_library_alone() -> None:
    """Every step pays for this import, and the orchestrator too."""
    code = (
        "import sys; before = set(sys.modules); from components import tracking; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'components', 'infra'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"


def test_finish_is_no_error_where_all_is_sent_and_gone(tmp_path: Path) -> None:
    tracking.finish(tmp_path / "gone", "succeeded")
    assert not (tmp_path / "gone").exists()
