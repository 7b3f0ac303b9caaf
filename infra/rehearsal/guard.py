"""Sees that what a rehearsal starts does not outlive a kill: steps, servers, their children.

All of them have the rehearsal's mark in their environment, whatever session or parent they have. A
guard beside it waits for a word through a pipe that the rehearsal alone can write to; where the
pipe ends without one, the rehearsal was killed, and the guard sweeps.

A rehearsal within another has a mark of its own, and so have its processes. Its guard has none: it
outlives what is killed for the outer mark, and sweeps for the inner one then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.group import MARK
from infra.rehearsal import sweep


@contextlib.contextmanager
def guarded() -> Iterator[str]:
    """Mark what is started while the block runs, and see that it does not outlive a kill.

    Yields the mark. Marks are found on Linux only; elsewhere nothing is guarded.
    """
    before, mark = os.environ.get(MARK), os.urandom(8).hex()
    with _guard(f"{MARK}={mark}"):
        os.environ[MARK] = mark
        try:
            yield mark
        finally:
            os.environ.pop(MARK)
            if before is not None:
                os.environ[MARK] = before


@contextlib.contextmanager
def _guard(mark: str) -> Iterator[None]:
    if not Path("/proc/self/environ").exists():
        yield
        return
    unmarked = {name: value for name, value in os.environ.items() if name != MARK}
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", sweep.__file__, mark, shutil.which("docker") or ""],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env=unmarked,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # somebody has ended it
            guard.communicate(sweep.DONE)
