"""Starts an attempt at a run, or sees to it that it never starts: whichever came first holds.

Whoever starts looks, once it has, whether the attempt was cancelled meanwhile; whoever cancels
writes that down, and only then looks whether something was started. So one of the two always sees
what the other did, and ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.cloud.looking import Look
from infra.cloud.records import Attempt, Records
from infra.errors import InputError

_NEVER = Look("cancelled", "cancelled", {}, words="ended before it began")


def begin(
    records: Records,
    attempt: Attempt,
    start: Callable[[], Mapping[str, Any]],
    end: Callable[[Attempt], None],
) -> Attempt:
    """Start an attempt that was not cancelled. ``start`` gives what is kept of what it started.

    ``end`` ends whatever was started, where the attempt was cancelled in the meantime. Raises
    InputError where its records were removed, which is the same.
    """
    attempt = records.again(attempt)
    if attempt.ended:
        return attempt
    begun = records.note(attempt, "started", {**start(), "at": round(time.time(), 3)})
    try:
        attempt = records.again(attempt)
    except InputError:  # nobody would know of it
        end(begun)
        records.forget(begun, "started")
        raise
    if attempt.ended:
        end(attempt)
    return attempt


def forestall(records: Records, attempt: Attempt, end: Callable[[Attempt], None]) -> Attempt:
    """Cancel an attempt that has not begun; whoever starts it just now undoes that, or we do."""
    records.note(attempt, "ended", _NEVER.data(), once=True)
    attempt = records.again(attempt)
    end(attempt)
    return attempt


def forestalled(attempt: Attempt) -> bool:
    """Whether it was cancelled before it was known to begin, so that it may go on all the same."""
    return bool(attempt.ended.get("words") == _NEVER.words)
