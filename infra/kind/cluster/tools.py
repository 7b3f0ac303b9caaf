"""Every call of kind and kubectl: limited in time, its failure one sentence and its last lines."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable

from infra import group
from infra.errors import InputError, ProviderError
from infra.kind.cluster import CONTEXT

Say = Callable[[str], None]
"""Takes a line of progress."""
_LAST = 6
"""How many of a tool's last lines are told when it fails."""
_WIDE = 200
"""How much of a line's beginning and of its end: kubectl prints whole objects in one."""


class ToolFailed(ProviderError):
    """An outside tool failed or took too long; ``said`` is what it printed."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def run(*argv: str, timeout: float = 60.0, text: str = "") -> str:
    """Run a tool on ``text`` as its input; what it printed. Raises ToolFailed."""
    _require(argv[0])
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired as late:
        raise _too_late(argv, timeout, _text(late.stderr) or _text(late.stdout)) from None
    if done.returncode:
        raise _failed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def kubectl(*words: str, timeout: float = 60.0, text: str = "") -> str:
    """Ask the cluster through kubectl, whichever context is the person's own. Raises ToolFailed."""
    return run("kubectl", "--context", CONTEXT, *words, timeout=timeout, text=text)


def follow(*argv: str, timeout: float, say: Say, text: str = "") -> None:
    """Run a tool that takes minutes and pass on its lines as they come. Raises ToolFailed."""
    _require(argv[0])
    with group.started(argv, subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101  we asked for both
        assert process.stdout is not None  # noqa: S101
        late = threading.Event()

        def end() -> None:
            late.set()
            group.kill(process)

        timer = threading.Timer(timeout, end)
        timer.start()
        lines = []
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(text)
            for line in process.stdout:
                lines.append(line)
                say(f"    {line.rstrip()}")
            code = process.wait()
        finally:
            timer.cancel()
    if late.is_set():
        raise _too_late(argv, timeout, "".join(lines))
    if code:
        raise _failed(argv, code, "".join(lines))


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise InputError(f"the program {program} is not on PATH; install it")


def _failed(argv: tuple[str, ...], code: int, said: str) -> ToolFailed:
    return ToolFailed(f"{_called(argv)} failed with exit code {code}{_last(said)}", said)


def _too_late(argv: tuple[str, ...], timeout: float, said: str) -> ToolFailed:
    return ToolFailed(f"{_called(argv)} took more than {timeout:g} s{_last(said)}", said)


def _called(argv: tuple[str, ...]) -> str:
    """The tool and its verb, without the many words after them."""
    words = [word for word in argv if word not in ("--context", CONTEXT)]
    return " ".join(words[:3])


def _last(said: str) -> str:
    lines = [_short(line.rstrip()) for line in said.splitlines() if line.strip()][-_LAST:]
    return ":\n    " + "\n    ".join(lines) if lines else " and said nothing"


def _short(line: str) -> str:
    return line if len(line) <= 2 * _WIDE else f"{line[:_WIDE]} ... {line[-_WIDE:]}"


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
