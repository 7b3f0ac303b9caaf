"""CloudWatch Logs of jobs and endpoints, read from the files that their containers write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.aws.emulator.drive import FINAL
from infra.aws.emulator.jobs import KINDS
from infra.aws.emulator.refusal import Refused, refusal
from infra.aws.emulator.serving.fleet import began, place
from infra.aws.emulator.world import World
from infra.local.rundir import StepDirectory
from infra.rehearsal.server import Answer, Call

_PAGE = 10_000
_ENDPOINTS = "/aws/sagemaker/Endpoints/"
_TOKEN = re.compile(r"[fb]/(\d+)")


class Stream(NamedTuple):
    """One log stream. ``began`` is in milliseconds; one that is ``ended`` gets no more."""

    name: str
    file: Path
    began: int
    ended: bool


class Logs:
    """Answers DescribeLogStreams and GetLogEvents."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._operations = {
            "DescribeLogStreams": self._describe_streams,
            "GetLogEvents": self._events,
        }

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        name = call.header("X-Amz-Target").partition(".")[2]
        try:
            if name not in self._operations:
                raise Refused("UnknownOperationException", f"this rehearsal does not do {name}")
            found = self._operations[name](json.loads(call.body))
        except Refused as refused:
            return refusal(refused, call)
        return Answer(200, json.dumps(found).encode(), "application/x-amz-json-1.1")

    def _describe_streams(self, request: Mapping[str, Any]) -> dict[str, Any]:
        by_time, prefix = request.get("orderBy") == "LastEventTime", "logStreamNamePrefix"
        if by_time and prefix in request:
            raise Refused(
                "InvalidParameterException",
                f"Cannot order by LastEventTime with a {prefix}.",
            )
        found = self._streams(request)
        if by_time:
            found.sort(key=lambda each: each.began)
        if request.get("descending"):
            found.reverse()
        streams = [
            {"logStreamName": each.name, "creationTime": each.began, "storedBytes": 0}
            for each in found
            if each.name.startswith(request.get(prefix, ""))
        ]
        begin, size = int(request.get("nextToken", "0")), request.get("limit", 50)
        more = {"nextToken": str(begin + size)} if begin + size < len(streams) else {}
        return {"logStreams": streams[begin : begin + size], **more}

    def _events(self, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = request["logStreamName"]
        stream = next((each for each in self._streams(request) if each.name == wanted), None)
        if stream is None:
            raise Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        lines = _lines(stream)
        size = request.get("limit", _PAGE)
        begin = 0 if request.get("startFromHead") else max(0, len(lines) - size)
        if token := request.get("nextToken"):
            if not (known := _TOKEN.fullmatch(token)):
                raise Refused("InvalidParameterException", "The specified nextToken is invalid.")
            begin = int(known[1]) - (size if token.startswith("b") else 0)
        begin = max(0, begin)
        end = min(len(lines), begin + size)
        at = stream.began
        return {
            "events": [
                {"timestamp": at + number, "ingestionTime": at + number, "message": lines[number]}
                for number in range(begin, end)
            ],
            "nextForwardToken": f"f/{end}",
            "nextBackwardToken": f"b/{begin}",
        }

    def _streams(self, request: Mapping[str, Any]) -> list[Stream]:
        """Raises Refused where nothing has ever logged to the group."""
        found = list(self._of(request["logGroupName"]))
        if not found:
            raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
        return sorted(found)

    def _of(self, group: str) -> Iterator[Stream]:
        for kind in KINDS.values():
            if group != kind.group:
                continue
            for record in self._world.store.of(kind.word):
                ended = record["status"] in FINAL
                for attempt in record["attempts"]:
                    for number, log in enumerate(attempt["logs"], 1):
                        name = f"{record['name']}/algo-{number}-{attempt['epoch']}"
                        file = self._world.folder / log
                        yield Stream(name, file, attempt["epoch"] * 1000, ended)
        if group.startswith(_ENDPOINTS):
            for log in place(self._world, group.removeprefix(_ENDPOINTS)).glob("*/*/log"):
                machine = log.parent
                name, ended = (
                    f"{machine.parent.name}/{machine.name}",
                    not StepDirectory(machine).running(),
                )
                yield Stream(name, log, began(machine.name), ended)


def _lines(stream: Stream) -> list[str]:
    """The lines of a log; the last one only when it is whole."""
    if not stream.file.is_file():
        return []
    text = stream.file.read_text(encoding="utf-8", errors="replace")
    return (text if stream.ended else text[: text.rfind("\n") + 1]).splitlines()
