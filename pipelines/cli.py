"""What every verb shares: one sentence for a mistake, one JSON document for a machine."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from infra.errors import InputError, TrefoilError, told
from infra.plan import Json
from pipelines.interrupt import interruptible

DONE, FAILED, WRONG, GATE, INTERRUPTED = 0, 1, 2, 3, 130
_NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, and whose help is 100 columns wide.

    A fixed width spares every command the import of shutil, which asks the terminal for its own.
    """

    def __init__(self, **options: Any) -> None:
        def formatter(prog: str) -> argparse.HelpFormatter:
            return argparse.HelpFormatter(prog, width=100)

        super().__init__(**{"formatter_class": formatter, **options})

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage block."""
        raise InputError(f"{message}; see {self.prog} --help")

    def print_help(self, _file: object = None) -> None:
        """On stdout, as every answer: argparse would not say that it cannot be written."""
        tell(self.format_help().rstrip("\n"))


def guarded(verb: Callable[[], int], as_json: bool = False) -> int:
    """Run a verb; a person's mistake becomes one sentence on stderr and the right exit code.

    With ``as_json`` it is on stdout too, as the one document that a machine waits for.
    """
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    _write_anything()
    try:
        with interruptible():
            return _heard(verb)
    except TrefoilError as error:
        return _failed(str(error), error.exit_code, as_json)
    except KeyboardInterrupt as interrupt:
        return _ended(str(interrupt) or "interrupted", INTERRUPTED, as_json)
    except BrokenPipeError:  # whoever read the answer has left, as `| head` does
        return DONE
    except OSError as error:
        return _failed(told(error), WRONG if error.errno in _NOT_ALLOWED else FAILED, as_json)


def _heard(verb: Callable[[], int]) -> int:
    """Run a verb and see that what it printed went out, while that can still be told."""
    code = DONE
    with contextlib.suppress(SystemExit):  # argparse, once it has told the --help
        code = verb()
    with _listened_to():
        sys.stdout.flush()
    return code


def _failed(sentence: str, code: int, as_json: bool) -> int:
    from infra.redaction import redacted

    return _ended(redacted(sentence), code, as_json, "error: ")


def _ended(sentence: str, code: int, as_json: bool, kind: str = "") -> int:
    say(f"{kind}{sentence}")
    if as_json:
        with contextlib.suppress(TrefoilError):  # stdout itself may be what is wrong
            answer({"error": sentence, "exit_code": code})
    return code


def leave(code: int) -> NoReturn:
    """End the process without taking the interpreter apart first, a tenth of a cached run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def say(text: str = "") -> None:
    """Progress, for people: on stderr, at once. A reader that leaves does not end the work."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nor does a terminal that is closed
        sys.stderr = _nowhere()


def answer(document: Json) -> None:
    """The one JSON document of --json. Raises TrefoilError."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    tell(json.dumps(document, indent=2, ensure_ascii=not unicode))


def tell(text: str) -> None:
    """What came out, on stdout. Raises TrefoilError where it cannot be written."""
    with _listened_to():
        print(text, flush=True)


@contextlib.contextmanager
def _listened_to() -> Iterator[None]:
    """A reader that leaves, as ``head`` does, has what it wanted."""
    try:
        yield
    except BrokenPipeError:
        sys.stdout = _nowhere()
    except OSError as error:
        raise TrefoilError(
            f"the answer cannot be written to stdout: {(error.strerror or str(error)).lower()}"
        ) from None


def _write_anything() -> None:
    """Where a locale has no letter for a name or a mark, its number is written instead."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")
