"""Logs are read as seldom as may be: Cloud Logging answers a project 60 times a minute."""

from __future__ import annotations

import time
from typing import Any

import pytest

from infra.cloud.looking import Task
from infra.errors import ProviderError
from infra.gcp.logs import Reader, tail
from infra.gcp.session import Gcp


class Read(Gcp):
    """A project whose log has one more line each time that it is asked."""

    def __init__(self) -> None:
        super().__init__("example-project", "europe-west4")
        self.asked: list[str] = []

    def call(self, service: str, method: str, doing: str, body: Any = None, **params: Any) -> Any:
        del service, method, doing, params
        self.asked.append(body["filter"])
        entries = [
            {"insertId": str(at), "timestamp": f"2026-11-30T10:00:0{at}Z", "textPayload": f"l{at}"}
            for at in range(len(self.asked))
        ]
        return {"entries": entries}


def test_a_line_is_told_once_and_what_ended_long_ago_is_asked_once() -> None:
    """Else each step of a pipeline costs a read a look, and whoever follows is cut off."""
    gcp, now = Read(), time.time()
    reader, going, over = (
        Reader(gcp),
        Task("running", job="1"),
        Task("succeeded", 1.0, 2.0, job="2"),
    )
    late = Task("succeeded", 1.0, now, job="3")
    assert list(reader.lines(going)) == ["l0"]
    assert list(reader.lines(going)) == ["l1"]
    assert 'timestamp>="2026-11-30T10:00:00Z"' in gcp.asked[-1]
    for task in (over, late):
        list(reader.lines(task))
    before = len(gcp.asked)
    assert list(reader.lines(over)) == []
    assert len(gcp.asked) == before
    assert list(reader.lines(late)) == [f"l{before}"]  # its last lines may come yet


class Long(Gcp):
    """A project with a log of very many lines."""

    def __init__(self) -> None:
        super().__init__("example-project", "europe-west4")
        self.asked: list[dict[str, Any]] = []

    def call(self, service: str, method: str, doing: str, body: Any = None, **params: Any) -> Any:
        del service, method, doing, params
        self.asked.append(body)
        newest = [f"line {at}" for at in range(10**6, 10**6 - body["pageSize"], -1)]
        return {"entries": [{"textPayload": text} for text in newest], "nextPageToken": "more"}


def test_the_last_lines_are_one_request_however_long_the_log_is() -> None:
    """A training of a week has printed millions: whoever it fails for would wait for them all."""
    gcp = Long()
    lines = tail(gcp, Task("failed", job="before last"))
    assert (len(lines), lines[0], lines[-1]) == (15, "line 999986", "line 1000000")
    (asked,) = gcp.asked
    assert (asked["orderBy"], asked["pageSize"]) == ("timestamp desc", 15)
    assert asked["filter"] == 'resource.type="ml_job" AND resource.labels.job_id="last"'


def test_no_last_lines_are_no_second_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the step failed is known: that its log may not be read must not hide it."""

    def refused(*_: Any) -> None:
        raise ProviderError("no")

    monkeypatch.setattr(Long, "call", refused)
    assert tail(Long(), Task("failed", job="1")) == tail(Long(), Task("failed")) == []
