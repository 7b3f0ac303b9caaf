"""Cloud Logging, as far as it is read: entries.list, of what the containers of jobs print."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.gcp import validate
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.world import World, moment
from infra.rehearsal.server import Answer, Call, answer

_PAGE = 1000
_TERM = re.compile(r'([\w.]+)\s*(=|>=|>)\s*"?([^"\s]+)"?')
_WHO = {"ml_job": "job_id", "aiplatform.googleapis.com/Endpoint": "endpoint_id"}
"""Which label tells whose log it is, by the type of the resource."""
_KNOWN = (
    "resource.type", *(f"resource.labels.{label}" for label in _WHO.values()), "timestamp",
    "insertId",
)  # fmt: skip


class Logs:
    """Answers for one project."""

    def __init__(self, world: World, find: Callable[[str], list[tuple[str, Path, float]]]) -> None:
        """``find`` gives each log of a job: its name, its file, and when it began."""
        self._world, self._find = world, find

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        try:
            if (call.method, call.path) != ("POST", "/v2/entries:list"):
                raise Refused("UNIMPLEMENTED", f"this rehearsal does not do {call.path}")
            return answer(self._list(json.loads(call.body or b"{}")))
        except Refused as refused:
            return refused.answer()

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        if wrong := validate.shaped("logging.v2", "logging.entries.list", request):
            raise Refused("INVALID_ARGUMENT", "; ".join(map(str, wrong)))
        known = {f"projects/{self._world.project}", f"projects/{self._world.number}"}
        if not set(request.get("resourceNames", ())) & known:
            words = "Permission 'logging.logEntries.list' denied on the resource"
            raise Refused("PERMISSION_DENIED", words)
        asked = _read(request.get("filter", ""))
        entries = list(self._entries(asked)) if asked["resource.type"] in _WHO else []
        if "desc" in request.get("orderBy", ""):
            entries.reverse()
        begin = int(request.get("pageToken") or 0)
        size = min(int(request.get("pageSize") or _PAGE), _PAGE)
        more = {"nextPageToken": str(begin + size)} if begin + size < len(entries) else {}
        return {"entries": entries[begin : begin + size], **more}

    def _entries(self, asked: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Every line of a log, each a millisecond after the one before: files have no times."""
        kind = asked["resource.type"]
        job = asked.get(f"resource.labels.{_WHO[kind]}", "")
        for at, (log, file, began) in enumerate(self._find(job)):
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            for number, line in enumerate(text.splitlines()):
                when = moment(began + number / 1000)
                if when < asked.get("timestamp", ""):
                    continue
                yield {
                    "logName": f"projects/{self._world.project}/logs/{log}",
                    "resource": {"type": kind, "labels": {_WHO[kind]: job, "task_name": log}},
                    "insertId": f"{at:03}-{number:08}",
                    "timestamp": when,
                    "severity": "INFO",
                    "textPayload": line,
                }


def _read(text: str) -> dict[str, str]:
    """The terms of a filter. Raises Refused at what is not read here."""
    found = {"resource.type": ""}
    for term in re.split(r"\s+AND\s+|\n", text.strip()):
        match = _TERM.fullmatch(term.strip())
        if match is None or match[1] not in _KNOWN:
            raise Refused("INVALID_ARGUMENT", f"this rehearsal cannot read the filter {term!r}")
        found[match[1]] = match[3]
    return found
