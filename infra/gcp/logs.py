"""What jobs print, from Cloud Logging: an entry a line, found by the ID of the job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from infra.cloud.looking import Task
from infra.gcp.session import Gcp

AGAIN = 5.0
"""Seconds between two looks at logs that are followed: a project may read 60 times a minute."""
_LATE = 60.0
"""Seconds after the end of a step in which its last lines may come."""
_LAST = 15
_PAGE = 1000


class Reader:
    """Reads the logs of jobs, each line once."""

    def __init__(self, gcp: Gcp) -> None:
        self._gcp = gcp
        self._seen: dict[str, set[str]] = {}
        self._latest: dict[str, str] = {}
        self._over: set[str] = set()

    def lines(self, task: Task) -> Iterator[str]:
        """What a step printed since it was asked before; ``task.job`` names its jobs."""
        for job in task.job.split():
            if job not in self._over:
                yield from self._new(job)
        if task.ended and time.time() - task.ended > _LATE:
            self._over.update(task.job.split())

    def _new(self, job: str) -> Iterator[str]:
        seen = self._seen.setdefault(job, set())
        for entry in _entries(self._gcp, job, self._latest.get(job, "")):
            when = str(entry.get("timestamp", ""))
            self._latest[job] = max(self._latest.get(job, ""), when)
            identity = entry.get("insertId") or f"{when} {_text(entry)}"
            if identity in seen:
                continue
            seen.add(identity)
            yield from _text(entry).splitlines()


def tail(gcp: Gcp, task: Task) -> list[str]:
    """The last lines of a step's last job; none where they cannot be read."""
    from infra.errors import TrefoilError

    jobs = task.job.split()
    if not jobs:
        return []
    asked = {**_asked(gcp, jobs[-1]), "orderBy": "timestamp desc", "pageSize": _LAST}
    try:
        page = gcp.call("logging", "entries.list", "read the log", asked)
    except TrefoilError:
        return []
    newest = page.get("entries", ())
    return [line for entry in reversed(newest) for line in _text(entry).splitlines()][-_LAST:]


def _entries(gcp: Gcp, job: str, since: str) -> Iterator[dict[str, Any]]:
    """Entries of a job, oldest first, from a time on."""
    asked = {**_asked(gcp, job, since), "orderBy": "timestamp asc", "pageSize": _PAGE}
    while True:
        page = gcp.call("logging", "entries.list", "read the log", asked)
        yield from page.get("entries", ())
        if not page.get("nextPageToken"):
            return
        asked = {**asked, "pageToken": page["nextPageToken"]}


def _asked(gcp: Gcp, job: str, since: str = "") -> dict[str, Any]:
    """Which entries are asked for."""
    terms = ['resource.type="ml_job"', f'resource.labels.job_id="{job}"']
    if since:
        terms.append(f'timestamp>="{since}"')
    return {"resourceNames": [f"projects/{gcp.project}"], "filter": " AND ".join(terms)}


def _text(entry: dict[str, Any]) -> str:
    if "textPayload" in entry:
        return str(entry["textPayload"])
    return str(entry.get("jsonPayload", {}).get("message", ""))
