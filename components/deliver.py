"""Sends a spool to MLflow: ``python -m components.deliver --spool DIR``, one process per run.

While the server is down it tries again, at longer and longer intervals. It ends when the run has
ended and all is sent; when, ``--patience`` seconds after the end of the run, something could still
not be sent; or when ``--parent`` is gone and nobody has written for ``--idle`` seconds. What could
not be sent stays in the spool: the next sender, of whatever run beside it, sends it first.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.delivery import Delivery
from components.spool import RUN
from infra import mlflow
from infra.errors import CredentialsError, InputError
from infra.redaction import redacted

_POLL = 0.2
_LONGEST = 15.0
"""Seconds between two attempts at most."""
_STALE = 600.0
"""Seconds without a word after which a run beside this one is held to be dead."""


def main(argv: list[str] | None = None) -> int:
    """Send until there is nothing more; returns the exit code."""
    arguments = _parser().parse_args(argv)
    spool: Path = arguments.spool
    os.nice(10)  # the steps are what the machine is for
    with _alone(spool) as first:
        if not first:
            return 0
        return _send(spool, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m components.deliver", description=__doc__)
    add = parser.add_argument
    add("--spool", type=Path, required=True, metavar="DIR", help="what to send")
    add("--parent", type=int, default=os.getppid(), metavar="PID", help="who started this")
    add("--patience", type=float, default=20.0, metavar="S", help="to go on after the run's end")
    add("--idle", type=float, default=60.0, metavar="S", help="to wait for a run without a parent")
    return parser


def _send(spool: Path, arguments: argparse.Namespace) -> int:
    uri = mlflow.address(os.environ)
    delivery, first = Delivery(spool, uri), True
    pause, given_up_at, said = _POLL, float("inf"), ""
    while True:
        try:
            if first:
                _send_others(spool, uri)
                first = False
            if delivery.pump():
                return 0
            pause, given_up_at, said = _POLL, float("inf"), ""
        except (InputError, CredentialsError) as error:
            _log(f"{error}; what was told stays in {spool}")
            return error.exit_code
        except Exception as error:
            if said != (said := f"{type(error).__name__}: {error}"):
                _log(f"{said}; tried again for as long as the run goes on")
            if delivery.ended():
                given_up_at = min(given_up_at, time.monotonic() + arguments.patience)
            pause = min(max(1.0, 2 * pause), _LONGEST, max(_POLL, given_up_at - time.monotonic()))
        if time.monotonic() >= given_up_at:
            _log(f"given up; what was told stays in {spool}")
            return 1
        if os.getppid() != arguments.parent and delivery.silent() > arguments.idle:
            if not said:
                delivery.abandon()
            _log("whoever ran this is gone")
            return 1
        time.sleep(pause)


def _send_others(spool: Path, uri: str) -> None:
    """Send what earlier runs had to leave beside this one, oldest first.

    Raises TrefoilError where the server cannot be reached.
    """
    beside = [file.parent for file in spool.parent.glob(f"*/{RUN}.jsonl")]
    for other in sorted(beside, key=lambda folder: folder.stat().st_mtime):
        if other == spool:
            continue
        with _alone(other) as free:
            delivery = Delivery(other, uri)
            if not free or not delivery.waits():
                continue
            mlflow.connect(uri)
            try:
                if not delivery.pump() and delivery.silent() > _STALE:
                    delivery.abandon()
            except Exception as error:
                _log(f"{other} is left: {error}")


@contextmanager
def _alone(spool: Path) -> Iterator[bool]:
    """Hold the spool; False where another sender does, or where it is gone."""
    try:
        with (spool / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield (spool / f"{RUN}.jsonl").exists()
    except FileNotFoundError:
        yield False


def _log(text: str) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{moment} {redacted(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
