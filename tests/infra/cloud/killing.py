"""A command that dies between two of its requests, as if by SIGKILL, in whatever cloud."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """As if by SIGKILL: nobody catches it."""


@contextmanager
def dying(sender: type, method: str, asks: Callable[..., bool], number: int) -> Iterator[None]:
    """Die before the so many-th request that changes something: before or after any other.

    ``method`` of ``sender`` sends every request. What only ``asks`` leaves everything as it is, so
    that these are all the states there are. What a stand-in sends by the same is let through.
    """
    send, command, count = getattr(sender, method), threading.current_thread(), 0

    def sent(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal count
        if threading.current_thread() is command and not asks(*given):
            count += 1
            if count == number:
                raise Killed
        return send(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender, method, sent)
        yield


def died(death: AbstractContextManager[None], does: Callable[[], object]) -> bool:
    """Do something until it is killed; False where that never came."""
    with death:
        try:
            does()
        except Killed:
            return True
    return False
