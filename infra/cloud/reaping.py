"""Ends and removes what a run left: what every cloud does alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from infra.cloud.looking import Look
from infra.cloud.records import Attempt, Records
from infra.cloud.store import Store, remove_under
from infra.errors import ProviderError
from infra.plan import FINAL

_PATIENCE, _PAUSE = 300.0, 0.5
"""Seconds that jobs have to save themselves and end, and between two looks at them."""
_FOLDERS = ("runs", "checkpoints", "records")


def wait_for(over: Callable[[], bool], name: str, cloud: str) -> None:
    """Wait until ``name`` has ended. Raises ProviderError where it does not, though asked."""
    until = time.monotonic() + _PATIENCE
    while not over():
        if time.monotonic() > until:
            raise ProviderError(
                f"{name} does not end, {_PATIENCE:g} s after {cloud} was asked; give the same "
                "command again"
            )
        time.sleep(_PAUSE)


def keep_end(records: Records, attempt: Attempt, look: Callable[[], Look]) -> None:
    """Keep how an attempt ended whose jobs are ended, where nobody has."""
    if attempt.ended:
        return
    found = look()
    state = found.main if found.main in FINAL else "cancelled"
    records.note(attempt, "ended", found._replace(state=state, words="reaped").data())


def remove_data(store: Store, prefix: str, run_id: str) -> Iterator[str]:
    """Remove what lies in storage of a run; says what that was."""
    for folder in _FOLDERS:
        under = f"{prefix.strip('/')}/{folder}/{run_id}/"
        if count := remove_under(store, under):
            yield f"{store.uri(under)} removed, {count} objects"
