"""What every step shares: arguments in, files out, exit codes, termination.

A step is ``python -m components.NAME``: it is given paths and plain values, writes each output
at the path it is told, and knows nothing of where it runs. A provider may set:

    TREFOIL_RUN_ID        id of the pipeline run
    TREFOIL_STEP          name of this step in the plan
    TREFOIL_ATTEMPT       number of this attempt of it, from 1
    TREFOIL_PROVIDER      where the run takes place; register and deploy act there
    TREFOIL_PLAN_DIGEST   digest of the plan
    TREFOIL_GIT_COMMIT    commit of the code
    TREFOIL_CHECKPOINTS   directory that outlives a retry and a restart of this step
    TREFOIL_TRACKING      spool directory of the run's tracking (see components.tracking)
    TREFOIL_FAILURE       file that takes why the step failed: {"kind", "message"}; of the kinds
                          input, full and failure only the last is worth a retry
    TREFOIL_TRAINER_IMAGE what fetches the model in an endpoint's pods, where deploy makes pods
    TREFOIL_SERVER_IMAGE  what serves in them
    TREFOIL_SERVING       what else endpoints are made of, where no cluster knows it
    TREFOIL_REHEARSAL     mark of the rehearsal that this step ends with, however that ends
    TREFOIL_ON_HOST       set by a pipeline: the step acts on the machine that runs it

Exit codes: 0 done, 1 failed (may be retried), 2 bad input (is not retried),
143 terminated after writing a checkpoint (is resumed, not counted as a failure).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from training.errors import InputError

DONE, FAILED, BAD_INPUT, TERMINATED = 0, 1, 2, 143
_FULL = "the disk is full; make room and give the same command again"


class Arguments(argparse.ArgumentParser):
    """An argument parser that reports misuse as one sentence and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage block."""
        raise InputError(f"{self.prog}: {message}; see --help")


class Terminated(Exception):
    """The step was asked to stop and has saved what it can resume from."""


class Termination:
    """SIGTERM as a flag: long work asks ``requested()`` between units and saves before it stops."""

    def __init__(self) -> None:
        self._requested = False

    def requested(self) -> bool:
        """Whether the step has been asked to stop."""
        return self._requested

    def _on_signal(self, _signum: int, _frame: object) -> None:
        self._requested = True

    def __enter__(self) -> Termination:
        self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)


@contextlib.contextmanager
def output(path: Path) -> Iterator[Path]:
    """Yield a path to write to; what is there appears at ``path`` at once, or not at all.

    The caller makes the file or directory. A leftover of a killed attempt is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    try:
        yield partial
        _remove(path)
        _move(partial, path)
    finally:
        _remove(partial)


def _move(partial: Path, path: Path) -> None:
    """Rename; a mounted bucket may do so with files alone, and then a folder is copied, or gone."""
    try:
        partial.rename(path)
    except OSError:
        if not partial.is_dir():
            raise
        try:
            shutil.copytree(partial, path)
        except BaseException:
            _remove(path)
            raise


@contextlib.contextmanager
def output_directory(path: Path) -> Iterator[Path]:
    """As ``output``, for a directory that is made empty first."""
    with output(path) as partial:
        partial.mkdir()
        yield partial


def write_value(path: Path, value: bool | int | float | str) -> None:
    """Write an output parameter the way KFP reads it back (booleans as true/false)."""
    text = value if isinstance(value, str) else json.dumps(value)
    with output(path) as partial:
        partial.write_text(text, encoding="utf-8")


def checkpoints() -> Path | None:
    """Where this step may keep checkpoints between attempts; None where nothing outlives one."""
    place = os.environ.get("TREFOIL_CHECKPOINTS")
    return Path(place) if place else None


def run(main: Callable[[], None]) -> NoReturn:
    """Run a step's ``main`` and end the process by the contract's exit codes."""
    if os.getpid() == 1:  # SIGTERM does nothing to a container's first process unless it says so
        signal.signal(signal.SIGTERM, _end)
    sys.exit(_ending(main))


def _end(_signum: int, _frame: object) -> NoReturn:
    sys.exit(TERMINATED)


def _ending(main: Callable[[], None]) -> int:
    try:
        main()
    except Terminated as error:
        print(f"stopped on request: {error}", file=sys.stderr)
        return TERMINATED
    except Exception as error:
        if hasattr(error, "exit_code"):  # meant for a person: training.errors, infra.errors
            return _fail(str(error), error.exit_code)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail(_FULL, FAILED, "full")
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error}", FAILED)
    return DONE


def _fail(sentence: str, code: int, kind: str = "") -> int:
    print(f"error: {sentence}", file=sys.stderr)
    if place := os.environ.get("TREFOIL_FAILURE"):
        kind = kind or ("input" if code == BAD_INPUT else "failure")
        failure = {"kind": kind, "message": sentence}
        with contextlib.suppress(OSError):  # the sentence is on stderr already
            Path(place).write_text(json.dumps(failure), encoding="utf-8")
    return code


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
