"""Signals that end a command: SIGTERM and a closed terminal interrupt it just as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first signal, so that what was begun is put away.

    A second one ends the process at once. What is ignored, as SIGHUP is under nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():  # only that may set handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(_number: int, _frame: object) -> None:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    try:
        for number in heard:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """As subprocess.run; but an interrupt ends all that the command has started, and it.

    Signals wait while it is being started, for nobody could end what nobody knows of yet. So it
    begins deaf to them, until it calls ``heard``.
    """
    import subprocess

    child = None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        child = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        out, err = child.communicate()
    except BaseException:
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return subprocess.CompletedProcess(argv, child.returncode, out, err)


def heard() -> None:
    """Hear signals again, in a process that ``run`` has started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
