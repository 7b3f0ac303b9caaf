"""What jobs print, from CloudWatch Logs: a stream for each machine and each time it was started."""

from __future__ import annotations

from collections.abc import Iterator

from infra.aws.session import Aws
from infra.cloud.looking import Task

_LAST = 15


class Reader:
    """Reads the logs of jobs, each line once."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._tokens: dict[str, str] = {}

    def lines(self, task: Task) -> Iterator[str]:
        """What a step printed since it was asked before."""
        if not task.job:
            return
        group = f"/aws/sagemaker/{task.kind}Jobs"
        for stream in self._streams(group, task.job):
            yield from self._new(group, stream)

    def _streams(self, group: str, job: str) -> list[str]:
        """The streams of a job, oldest first; none before it printed anything."""
        found: list[tuple[int, str]] = []
        more: dict[str, str] = {}
        while True:
            page = self._aws.find(
                "logs", "describe_log_streams", "read the log", logGroupName=group,
                logStreamNamePrefix=f"{job}/", **more,
            )  # fmt: skip
            streams = page["logStreams"] if page else ()
            found += [(each.get("creationTime", 0), each["logStreamName"]) for each in streams]
            if not page or "nextToken" not in page:
                return [name for _, name in sorted(found)]
            more = {"nextToken": page["nextToken"]}

    def _new(self, group: str, stream: str) -> Iterator[str]:
        while True:
            before = self._tokens.get(stream)
            more = {"nextToken": before} if before else {}
            page = self._aws.find(
                "logs", "get_log_events", "read the log", logGroupName=group,
                logStreamName=stream, startFromHead=True, **more,
            )  # fmt: skip
            if page is None:
                return
            yield from (event["message"] for event in page["events"])
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == before:
                return


def tail(aws: Aws, task: Task) -> list[str]:
    """The last lines of a step; none where they cannot be read."""
    from infra.errors import TrefoilError

    try:
        return list(Reader(aws).lines(task))[-_LAST:]
    except TrefoilError:
        return []
