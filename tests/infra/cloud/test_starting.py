"""Of a start and a cancel at the same time either holds, and nothing runs that was cancelled."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable

import pytest

from infra.cloud.records import Attempt, Records
from infra.cloud.starting import begin, forestall, forestalled
from infra.cloud.store import Stored
from infra.errors import InputError, ProviderError
from tests.infra.cloud.storing import Memory

_STARTS, _CANCELS = 6, 6
"""Turns that each of the two takes at most: what either asks of the bucket, and of the cloud."""


class Turns:
    """Lets two threads go on by turns, as a schedule of their names says."""

    def __init__(self, schedule: Iterable[str]) -> None:
        self.schedule, self._over = list(schedule), set[str]()
        self._changed = threading.Condition()

    def take(self) -> None:
        """Wait until it is this thread's turn; out of turn where the other has ended."""
        me = threading.current_thread().name
        with self._changed:
            self._changed.wait_for(lambda: self._next() in (me, ""))
            if self.schedule:
                self.schedule.pop(0)
            self._changed.notify_all()

    def run(self, **does: Callable[[], object]) -> None:
        """Let both go on to their ends. Raises what the first of them raised."""
        errors: list[BaseException] = []

        def whole(name: str, what: Callable[[], object]) -> None:
            try:
                what()
            except BaseException as error:
                errors.append(error)
            finally:  # the other one must not wait for it
                with self._changed:
                    self._over.add(name)
                    self._changed.notify_all()

        threads = [
            threading.Thread(target=whole, name=name, args=(name, what))
            for name, what in does.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _next(self) -> str:
        self.schedule = [each for each in self.schedule if each not in self._over]
        return self.schedule[0] if self.schedule else ""


class Shared(Memory):
    """A bucket in which each call is a turn."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        self._turns.take()
        return super().put(key, content, once=once)

    def list(self, prefix: str) -> list[Stored]:
        self._turns.take()
        return super().list(prefix)


def _schedules() -> Iterable[tuple[str, ...]]:
    turns = _STARTS + _CANCELS
    for chosen in itertools.combinations(range(turns), _STARTS):
        yield tuple("start" if at in chosen else "cancel" for at in range(turns))


def _both(schedule: Iterable[str]) -> tuple[set[int], Attempt]:
    """Start and cancel by turns; the jobs that go on then, and the attempt as it is kept."""
    turns = Turns(())
    store, going = Shared(turns), set[int]()
    records = Records(store, "trefoil")
    claimed = records.claim("r-1", 1, {})
    turns.schedule = list(schedule)

    def start() -> dict[str, str]:
        turns.take()
        going.add(1)
        return {"job": "1"}

    def end(_: Attempt) -> None:
        turns.take()
        going.discard(1)

    turns.run(
        start=lambda: begin(records, claimed, start, end),
        cancel=lambda: forestall(records, claimed, end),
    )
    return going, records.again(claimed)


def test_what_either_of_two_raises_is_told_and_the_other_ends() -> None:
    """It would wait for its turn for ever, and the reason be lost."""
    turns = Turns(())
    records = Records(Shared(turns), "trefoil")
    claimed = records.claim("r-1", 1, {})
    turns.schedule = ["start", "cancel", "start", "cancel"]

    def start() -> None:
        turns.take()
        raise InputError("it was not started")

    with pytest.raises(InputError, match="it was not started"):
        turns.run(start=start, cancel=lambda: forestall(records, claimed, lambda _: None))


def test_in_whichever_order_a_start_and_a_cancel_come_nothing_goes_on() -> None:
    """A job that goes on behind a run that is told as cancelled is billed until its timeout."""
    started = 0
    schedules = list(_schedules())
    for schedule in schedules:
        going, found = _both(schedule)
        assert going == set(), schedule
        assert found.ended["state"] == "cancelled", schedule
        started += bool(found.started)
    assert 0 < started < len(schedules)  # both came first


def test_what_was_cancelled_is_not_started() -> None:
    records = Records(Memory(), "trefoil")
    claimed = records.claim("r-1", 1, {})
    forestall(records, claimed, lambda _: None)
    found = begin(records, claimed, lambda: pytest.fail("it was started"), lambda _: None)
    assert (found.started, found.ended["words"]) == ({}, "ended before it began")


def test_what_has_ended_keeps_its_end() -> None:
    """A cancel that comes too late must not make a success look cancelled."""
    records = Records(Memory(), "trefoil")
    claimed = records.claim("r-1", 1, {})
    records.note(claimed, "ended", {"state": "succeeded"})
    assert forestall(records, claimed, lambda _: None).ended == {"state": "succeeded"}


def test_a_run_whose_records_were_removed_is_not_started() -> None:
    """`reap --data` removed them: nobody would know of the job."""
    store = Memory()
    records = Records(store, "trefoil")
    claimed = records.claim("r-1", 1, {})
    store.remove(list(store.objects))
    with pytest.raises(InputError, match="somebody has removed what was kept of run r-1"):
        begin(records, claimed, lambda: pytest.fail("it was started"), lambda _: None)


def test_a_run_whose_records_are_removed_while_it_is_started_is_ended() -> None:
    """`reap --data` came between: no verb would find the job, and it would be billed."""
    store, going = Memory(), set[str]()
    records = Records(store, "trefoil")
    claimed = records.claim("r-1", 1, {})

    def start() -> dict[str, str]:
        going.add("job")
        store.remove(list(store.objects))
        return {"job": "job"}

    with pytest.raises(InputError, match="somebody has removed"):
        begin(records, claimed, start, lambda attempt: going.remove(attempt.started["job"]))
    assert (going, store.objects) == (set(), {})


def test_a_job_whose_end_failed_is_known_to_go_on() -> None:
    """It was cancelled and started, and its cloud refused to end it: the next command must."""
    records = Records(Memory(), "trefoil")
    claimed = records.claim("r-1", 1, {})

    def start() -> dict[str, str]:
        forestall(records, claimed, lambda _: None)
        return {"job": "1"}

    def refused(_: Attempt) -> None:
        raise ProviderError("503")

    with pytest.raises(ProviderError):
        begin(records, claimed, start, refused)
    assert forestalled(records.again(claimed))
    ended = records.note(records.claim("r-2", 1, {}), "ended", {"state": "failed", "words": ""})
    assert not forestalled(ended)
