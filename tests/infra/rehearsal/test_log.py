"""The log of a rehearsal: what came is told and can be played again; secrets are not in it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from infra.rehearsal.log import Log, lines, recorded
from infra.rehearsal.server import Call

TARGET = {"Host": "api.x", "X-Amz-Target": "S.Create", "Authorization": "AWS4 Signature=abcdef"}


def _call(body: bytes = b'{"Name": "n"}', path: str = "/") -> Call:
    return Call("POST", path, {"v": ["1"]}, TARGET, body)


def test_what_came_can_be_played_again(tmp_path: Path) -> None:
    """A failed rehearsal is looked into by making its calls again."""
    log = Log(tmp_path / "log")
    log.add(_call(), "200", 0.1)
    log.add(_call(b"", "/other"), "400", 0.1)
    first, second = recorded(tmp_path / "log")
    assert first.body == b'{"Name": "n"}'
    assert first.header("x-amz-target") == "S.Create"
    assert first.query == {"v": ["1"]}
    assert (second.path, second.body) == ("/other", b"")


def test_no_secret_is_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.add(_call(b'{"Environment": {"API_TOKEN": "hunter2hunter2"}}'), "200", 0.1)
    written = (tmp_path / "log").read_text()
    assert "hunter2" not in written
    assert "Signature" not in written


def test_it_tells_of_this_rehearsal_alone(tmp_path: Path) -> None:
    """The file goes on from rehearsal to rehearsal; the summary must not."""
    Log(tmp_path / "log").add(_call(), "200", 0.1)
    log = Log(tmp_path / "log", lambda call: call.header("X-Amz-Target"))
    for outcome in ("200", "200", "400"):
        log.add(_call(), outcome, 0.1)
    assert log.told() == ["S.Create  200  x2", "S.Create  400"]


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    """moto writes into the same file, while calls of 100 kB are logged here."""
    body = b"x" * 100_000
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path / "log", body)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [len(line["body"]) for line in lines(tmp_path / "log")] == [len(body)] * 30


def _write(file: Path, body: bytes) -> None:
    log = Log(file)
    for _ in range(10):
        log.add(_call(body), "200", 0.0)


def test_a_call_that_cannot_be_noted_goes_on_and_that_is_told(tmp_path: Path) -> None:
    """The disk is full: a stand-in whose thread dies of that lets its client wait for ever."""
    log = Log(tmp_path / "requests.jsonl", lambda _: "Look")
    call = Call("GET", "/", {}, {}, b"")
    log.add(call, "200", 0.1)
    (tmp_path / "requests.jsonl").rename(tmp_path / "before")
    (tmp_path / "requests.jsonl").symlink_to("/dev/full")
    log.add(call, "200", 0.1)
    (tmp_path / "requests.jsonl").unlink()
    (tmp_path / "before").rename(tmp_path / "requests.jsonl")
    told = log.told()
    assert told[0] == "Look  200"
    assert told[1].startswith("not all of them: the disk is full")
