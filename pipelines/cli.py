"""What every verb shares: one sentence for a mistake, one JSON document for a machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from infra.errors import InputError, TrefoilError, told
from infra.plan import Json

DONE, FAILED, WRONG, GATE, INTERRUPTED = 0, 1, 2, 3, 130


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


def guarded(verb: Callable[[], int]) -> int:
    """Run a verb; a person's mistake becomes one sentence on stderr and the right exit code."""
    try:
        return verb()
    except TrefoilError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has left, as `| head` does
        sys.stderr.close()
        return DONE
    except OSError as error:
        print(f"error: {told(error)}", file=sys.stderr)
        return FAILED


def leave(code: int) -> NoReturn:
    """End the process without taking the interpreter apart first, a tenth of a cached run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def say(text: str = "") -> None:
    """Progress, for people: on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def answer(document: Json) -> None:
    """The one JSON document of --json."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
