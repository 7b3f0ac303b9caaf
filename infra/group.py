"""A program and whatever it starts, as one group that is ended as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence

MARK = "TREFOIL_REHEARSAL"
"""The variable that a rehearsal's processes have, whatever group they are in.

A label of that name is on its containers.
"""


@contextlib.contextmanager
def started(
    argv: Sequence[str], stdin: int, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program whose lines, errors too, are read in the block.

    Where the block fails or is interrupted, all of the group is killed.
    """
    with subprocess.Popen(
        argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=environment, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        except BaseException:
            kill(process)
            raise


def kill(leader: subprocess.Popen[str]) -> None:
    """Kill all of the group, unless its leader has been waited for: its number is free then."""
    with contextlib.suppress(ProcessLookupError):
        if leader.returncode is None:
            os.killpg(leader.pid, signal.SIGKILL)
