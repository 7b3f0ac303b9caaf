"""What a step tells reaches the spool: whole, in order, without secrets, never stopping it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components import contract, spool, tracking, usage
from tests.served import ROOT
from tests.tracked import lines

SECRET = "correct-horse-battery"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "train")
    return tmp_path / "spool"


def told(place: Path, kind: str) -> list[Any]:
    return [line[kind] for line in lines(place / "train.jsonl") if kind in line]


def points(place: Path) -> list[tuple[str, float, int]]:
    return [
        (name, value, step)
        for group in told(place, "metrics")
        for _, step, values in group
        for name, value in values.items()
        if not name.startswith("system/")
    ]


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


def test_the_machine_is_sampled(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_FLUSH", 0.02)
    monkeypatch.setattr(tracking, "_SAMPLE", 0.02)
    with tracking.open():
        time.sleep(0.3)
    names = {name for group in told(place, "metrics") for _, _, v in group for name in v}
    assert {
        "system/process_memory_megabytes", "system/process_cpu_percentage",
        "system/cpu_utilization_percentage", "system/process_cpu_seconds",
        "system/process_peak_megabytes",
    } <= names  # fmt: skip
    versions = {name for tags in told(place, "tags") for name in tags}
    assert {"version.python", "platform"} <= versions
    assert "version.numpy" in versions or "numpy" not in sys.modules


def test_gpus_are_sampled_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own names, with a driver made up: no machine of ours has a GPU."""
    import pynvml

    def load(gpu: int) -> SimpleNamespace:
        if gpu == 1:  # in parts
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=50)

    driver = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda place: place,
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=(gpu + 1) * 10**9),
        "nvmlDeviceGetUtilizationRates": load,
    }
    for name, stand_in in driver.items():
        monkeypatch.setattr(pynvml, name, stand_in)
    found = {name: value for name, value in usage.Usage().sample().items() if "gpu" in name}
    assert found == {
        "system/gpu_0_memory_usage_megabytes": 1000,
        "system/gpu_0_utilization_percentage": 50,
        "system/gpu_1_memory_usage_megabytes": 2000,
    }


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    found = usage.Usage()
    for _ in range(2):
        assert not any("gpu" in name for name in found.sample())
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert not any("gpu" in name for name in usage.Usage().sample())


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
