"""Starts the process that sends a run's tracking to MLflow, once a step has told anything."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.plan import Json
from infra.provider import Context

_POLL = 0.1


@contextlib.contextmanager
def sending(spool: Path, environment: Context, parameters: Mapping[str, Json]) -> Iterator[None]:
    """Watch the spool while the block runs; ``parameters`` are the pipeline's.

    A pipeline whose steps track nothing never pays for MLflow; a sender outlives the block.
    """
    over = threading.Event()
    given = (spool, environment, parameters, over)
    watcher = threading.Thread(target=_watch, args=given, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(
    spool: Path, environment: Context, parameters: Mapping[str, Json], over: threading.Event
) -> None:
    last = False
    while not last:
        last = over.wait(_POLL)  # looks once more after the end, for a run of milliseconds
        if any(spool.glob("*.jsonl")):
            from components import tracking

            tracking.start_sender(spool, environment(), parameters)
            return
