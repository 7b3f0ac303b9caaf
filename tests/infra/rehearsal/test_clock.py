"""Time and money of a rehearsal."""

from __future__ import annotations

import threading

from infra.rehearsal.bill import Item, told
from infra.rehearsal.clock import Clock


def test_an_hour_of_the_clouds_passes_at_once() -> None:
    """Nobody sits through the start of machines."""
    clock = Clock(speed=1e6)
    before = clock.now()
    assert not clock.wait(3600, threading.Event())
    assert clock.now() - before >= 3600


def test_a_wait_ends_when_it_is_stopped() -> None:
    stop = threading.Event()
    stop.set()
    assert Clock().wait(3600, stop)


def test_a_bill_counts_machines_and_seconds() -> None:
    """A price that is not known is said, and never taken for nothing."""
    items = [
        Item("train", "ml.g5.xlarge", 2, 1800, 1.5),
        Item("report", "ml.t3.medium", 1, 10, None),
    ]
    lines = list(told(items))
    assert "2 x ml.g5.xlarge  1800 s  1.5000 USD" in lines[0]
    assert "no price known" in lines[1]
    assert "1.5000 USD" in lines[2]
    assert list(told([])) == []
