"""One CustomJob an attempt, whatever is lost and however late Vertex AI lists what it has made."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.cloud.records import Attempt, Records
from infra.errors import ProviderError, QuotaError
from infra.gcp import making
from infra.gcp.making import made_once
from infra.gcp.session import Found, Gcp
from infra.gcp.stopping import stop_attempt
from tests.infra.cloud.storing import Memory


class Clock:
    """The time as ``making`` reads it: it stands still, or passes as fast as that waits."""

    def __init__(self) -> None:
        self.passes, self._now = False, 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let them pass, or other threads go on."""
        if self.passes:
            self._now += seconds
        else:
            time.sleep(0.001)


class _Http(Exception):
    """What the discovery client raises, as far as it is looked at."""

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code


class Lagging(Gcp):
    """A project that lists a job only when it has been asked ``lag`` times since."""

    def __init__(self, lag: int = 0) -> None:
        super().__init__("example-project", "europe-west4")
        self.lag, self.made, self.stopped = lag, list[str](), list[str]()
        self.answers: Iterator[Exception | None] = itertools.repeat(None)
        self.makes = self.named = self.lists_names = True
        self._at: list[int] = []
        self._asked = 0
        self._turn = threading.Lock()

    def ask(self, method: str, doing: str, body: Any = None, **params: Any) -> Found:
        del doing, params
        assert method == "customJobs.create"
        with self._turn:
            lost = next(self.answers)
            name = f"customJobs/{len(self.made) + 1}"
            if self.makes:
                self.made.append(name)
                self._at.append(self._asked)
            if lost:
                raise lost
            return {**body, "name": name} if self.named else body

    def pages(self, method: str, key: str, doing: str, **params: Any) -> Iterator[Found]:
        del key, doing, params
        assert method == "customJobs.list"
        with self._turn:
            self._asked += 1
            for name, at in zip(self.made, self._at, strict=True):
                if self._asked - at > self.lag:
                    named = {"name": name} if self.lists_names else {}
                    yield {**named, "displayName": "r-1-make", "createTime": name}

    def find(
        self, method: str, doing: str, body: Any = None, unless: Any = (), **params: Any
    ) -> Found | None:
        del doing, body, unless
        assert method == "customJobs.cancel"
        self.stopped.append(params["name"])
        return {}


@pytest.fixture
def records() -> Records:
    return Records(Memory(), "trefoil")


@pytest.fixture
def attempt(records: Records) -> Attempt:
    return records.claim("r-1", 1, {"job": {"displayName": "r-1-make"}})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A slow machine must not look like a slow list."""
    found = Clock()
    monkeypatch.setattr(making, "time", found)
    return found


def test_a_lost_answer_makes_no_second_job_however_late_it_is_listed(
    records: Records, attempt: Attempt
) -> None:
    """Two jobs of one run are two bills, and both write the same outputs."""
    gcp = Lagging(lag=5)
    gcp.answers = iter([ProviderError("the answer is lost")])
    assert made_once(gcp, records, attempt) == "customJobs/1"
    assert made_once(gcp, records, attempt) == "customJobs/1"  # another command
    assert gcp.made == ["customJobs/1"]


def test_commands_at_once_make_one_job(records: Records, attempt: Attempt) -> None:
    gcp, found = Lagging(lag=5), list[str]()
    threads = [
        threading.Thread(target=lambda: found.append(made_once(gcp, records, attempt)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (gcp.made, found) == (["customJobs/1"], ["customJobs/1"] * 4)


def test_a_job_that_was_lost_itself_is_made_again(
    records: Records, attempt: Attempt, clock: Clock
) -> None:
    """A command that was killed between its mark and its request must not stop the run for ever."""
    gcp, clock.passes = Lagging(), True
    records.mark(attempt, "making-1")
    assert made_once(gcp, records, attempt) == "customJobs/1"
    assert records.marked(attempt, "making-2")


def test_a_job_that_is_never_listed_is_told(
    records: Records, attempt: Attempt, clock: Clock
) -> None:
    gcp, clock.passes = Lagging(), True
    gcp.makes, gcp.answers = False, itertools.repeat(ProviderError("Google fails itself"))
    with pytest.raises(ProviderError, match=r"made the job r-1-make.*list it \(Google fails itse"):
        made_once(gcp, records, attempt)
    assert [records.marked(attempt, f"making-{n}") for n in (1, 2, 3)] == [True, True, False]


def test_what_was_refused_is_tried_again_at_once(
    records: Records, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota that was raised since: nothing was made, so that there is nothing to wait for."""
    monkeypatch.setattr(making, "_listed", lambda *_: pytest.fail("it waits for the list"))
    gcp = Lagging()
    gcp.makes, gcp.answers = False, iter([QuotaError("none left"), None])
    with pytest.raises(QuotaError):
        made_once(gcp, records, attempt)
    gcp.makes = True
    assert made_once(gcp, records, attempt) == "customJobs/1"


def test_a_project_that_asks_too_often_is_told_at_once(
    records: Records, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of requests in a minute refuses: six minutes of waiting would find nothing."""
    monkeypatch.setattr(making, "_listed", lambda *_: pytest.fail("it waits for the list"))
    gcp, limited = Lagging(), ProviderError("ask no faster")
    limited.__cause__ = _Http(429)
    gcp.makes, gcp.answers = False, iter([limited])
    with pytest.raises(ProviderError, match="ask no faster"):
        made_once(gcp, records, attempt)
    assert records.marked(attempt, "refused-1")


def test_no_second_job_is_made_of_a_run_that_was_cancelled(
    records: Records, attempt: Attempt, clock: Clock
) -> None:
    """Whoever cancels looks for jobs at that moment: what is made later would go on unseen."""
    records.note(attempt, "ended", {"state": "cancelled"})
    gcp, clock.passes = Lagging(), True
    gcp.makes, gcp.answers = False, itertools.repeat(ProviderError("no answer"))
    assert made_once(gcp, records, attempt) == ""
    assert not records.marked(attempt, "making-2")


def test_an_answer_without_a_name_is_looked_for_in_the_list(
    records: Records, attempt: Attempt
) -> None:
    gcp = Lagging(lag=2)
    gcp.named = False
    assert made_once(gcp, records, attempt) == "customJobs/1"
    assert gcp.made == ["customJobs/1"]


def test_a_job_that_is_listed_without_a_name_is_told(records: Records, attempt: Attempt) -> None:
    """A traceback would say nothing of a job that was made, and is paid for."""
    gcp = Lagging()
    gcp.named = gcp.lists_names = False
    with pytest.raises(ProviderError, match="tells no name of a job that it lists"):
        made_once(gcp, records, attempt)
    with pytest.raises(ProviderError, match="tells no name of the job of the run"):
        stop_attempt(gcp, attempt)


def test_of_two_that_there_are_after_all_the_first_one_stays(
    records: Records, attempt: Attempt
) -> None:
    """A request that was under way for minutes: nothing forbids it, so it is looked for."""
    gcp = Lagging(lag=1)
    gcp.ask("customJobs.create", "", {})
    records.mark(attempt, "making-1")
    records.mark(attempt, "refused-1")
    assert [*gcp.pages("customJobs.list", "", "")] == []
    assert made_once(gcp, records, attempt) == "customJobs/1"
    assert gcp.stopped == ["customJobs/2"]
