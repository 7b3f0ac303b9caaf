"""What jobs print: files that run history has links to, one for each node of a job."""

from __future__ import annotations

from collections.abc import Iterator

from infra.azure.session import Azure
from infra.cloud.looking import Task
from infra.errors import TrefoilError
from infra.plan import FINAL

_OURS = "user_logs/std_log"
_LAST = 15


class Reader:
    """Reads the logs of jobs, each line once."""

    def __init__(self, azure: Azure) -> None:
        self._azure = azure
        self._seen: dict[tuple[str, str], str] = {}

    def lines(self, task: Task) -> Iterator[str]:
        """What a step printed since it was asked before; the last line only when it is whole."""
        if not task.job:
            return
        details = self._azure.run(task.job, "details") or {}
        for name, link in sorted((details.get("logFiles") or {}).items()):
            if not name.startswith(_OURS):
                continue
            text = self._azure.text(link)
            if task.state not in FINAL:
                text = text[: text.rfind("\n") + 1]
            yield from self._new((task.job, name), text).splitlines()

    def _new(self, file: tuple[str, str], text: str) -> str:
        """What is new in a file; one that begins otherwise is of another machine, and all new."""
        before = self._seen.get(file, "")
        self._seen[file] = text
        return text[len(before) :] if text.startswith(before) else text


def tail(azure: Azure, step: str, task: Task) -> list[str]:
    """The last lines of a step, but for what our launcher adds; none where they cannot be read."""
    ours = f"{step} ended with code "
    try:
        return [line for line in Reader(azure).lines(task) if not line.startswith(ours)][-_LAST:]
    except TrefoilError:
        return []
