"""One attempt of one step, as a process group of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import InputError, ProviderError
from infra.local.ending import Ending
from infra.local.rundir import StepDirectory

if TYPE_CHECKING:
    import resource

_PATIENCE = 10.0
"""Seconds that a killed process has to be gone."""
_POLL = 0.02
_PYTHONS = ("python", "python3")
_BEGIN = 'echo $$ >"$0" && exec "$@"'


class Process:
    """A running attempt. It leads its own process group, which ends with it."""

    def __init__(
        self, argv: list[str], env: Mapping[str, str], place: StepDirectory, log: Path
    ) -> None:
        """Start it. It writes its own pid beside its lock, so there is none without a pid."""
        self._started = time.monotonic()
        self._reaping = threading.RLock()
        place.alive.unlink(missing_ok=True)  # whoever still holds the old one holds up nobody
        with place.alive.open("a+") as alive, log.open("wb") as out:
            fcntl.flock(alive, fcntl.LOCK_EX)
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", _BEGIN, str(place.alive), *argv],
                env={**os.environ, "PATH": _path(), **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(alive.fileno(),),  # the lock lives as long as any process of the step
            )

    def wait(self) -> Ending:
        """Wait for its end, and end whatever it left behind in its group."""
        if hasattr(os, "waitid"):  # while it is not reaped, its group's number is still its own
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
            self._signal(signal.SIGKILL)
        while (used := self._reaped()) is None:
            time.sleep(_POLL)  # without waitid (macOS before Python 3.13)
        return Ending(
            code=self._popen.returncode,
            seconds=time.monotonic() - self._started,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_mb=used.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024),
        )

    def terminate(self) -> None:
        """Ask the group to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the group at once."""
        self._signal(signal.SIGKILL)

    def _reaped(self) -> resource.struct_rusage | None:
        """What it used, once it has ended. Never waits: a signal must not be held up."""
        with self._reaping:
            pid, status, used = os.wait4(self._popen.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            return used

    def _signal(self, number: signal.Signals) -> None:
        with self._reaping, contextlib.suppress(ProcessLookupError, PermissionError):
            if self._popen.returncode is None:
                os.killpg(self._popen.pid, number)


def _path() -> str:
    """PATH on which this interpreter comes first, also in a shell that a step is."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))


def program(name: str) -> str:
    """The program that a command starts with: ``python`` means this interpreter.

    Raises InputError where it is not on PATH.
    """
    if name in _PYTHONS:
        return sys.executable
    import shutil

    found = shutil.which(name)
    if found is None:
        raise InputError(
            f"the program {name} is not on PATH; install it here, or run the step in its image"
        )
    return found


def end_orphan(place: StepDirectory, grace: float) -> bool:
    """End what a killed run of this step left running and wait for it; False if nothing was."""
    try:
        alive = place.alive.open("r+")
    except FileNotFoundError:
        return False
    with alive:
        if _free(alive):
            return False
        deadline = time.monotonic() + grace
        number = signal.SIGTERM
        while not _free(alive):
            with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
                alive.seek(0)
                os.killpg(int(alive.read()), number)
            late = time.monotonic() - deadline
            if late > 0:
                number = signal.SIGKILL
            if late > _PATIENCE:
                raise ProviderError(
                    f"a process of an earlier run still holds {place.alive} and cannot be ended; "
                    "end it by hand and give the same command again"
                )
            time.sleep(0.05)
    return True


def _free(alive: object) -> bool:
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True
