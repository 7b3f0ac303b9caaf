"""Logs are read as seldom as may be: Cloud Logging answers a project 60 times a minute."""

from __future__ import annotations

import time
from typing import Any

from infra.cloud.looking import Task
from infra.gcp.logs import Reader
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
