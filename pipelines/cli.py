"""What every verb shares: one sentence for a mistake, one JSON document for a machine."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from infra.errors import InputError, TrefoilError, told
from infra.plan import Json

DONE, FAILED, WRONG, GATE, INTERRUPTED = 0, 1, 2, 3, 130
_NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)


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


def guarded(verb: Callable[[], int], as_json: bool = False) -> int:
    """Run a verb; a person's mistake becomes one sentence on stderr and the right exit code.

    With ``as_json`` it is on stdout too, as the one document that a machine waits for.
    """
    try:
        return verb()
    except TrefoilError as error:
        return _failed(str(error), error.exit_code, as_json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the answer has left, as `| head` does
        return DONE
    except OSError as error:
        return _failed(told(error), WRONG if error.errno in _NOT_ALLOWED else FAILED, as_json)


def _failed(sentence: str, code: int, as_json: bool) -> int:
    from infra.redaction import redacted

    sentence = redacted(sentence)
    say(f"error: {sentence}")
    if as_json:
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
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  open to the end


def answer(document: Json) -> None:
    """The one JSON document of --json."""
    tell(json.dumps(document, indent=2, ensure_ascii=False))


def tell(text: str) -> None:
    """What came out, on stdout. A reader that leaves, as ``head`` does, has what it wanted."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  open to the end
