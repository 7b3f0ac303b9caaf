"""One CustomJob an attempt, whatever is lost and however late Vertex AI lists what it has made."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from infra.cloud.records import Attempt, Records
from infra.errors import ProviderError, QuotaError
from infra.gcp import making
from infra.gcp.making import made_once
from infra.gcp.session import Found, Gcp
from tests.infra.cloud.storing import Memory


class Lagging(Gcp):
    """A project that lists a job only when it has been asked ``lag`` times since."""

    def __init__(self, lag: int = 0) -> None:
        super().__init__("example-project", "europe-west4")
        self.lag, self.made, self.stopped = lag, list[str](), list[str]()
        self.answers: Iterator[Exception | None] = itertools.repeat(None)
        self.makes = True
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
            return {**body, "name": name}

    def pages(self, method: str, key: str, doing: str, **params: Any) -> Iterator[Found]:
        del key, doing, params
        assert method == "customJobs.list"
        with self._turn:
            self._asked += 1
            for name, at in zip(self.made, self._at, strict=True):
                if self._asked - at > self.lag:
                    yield {"name": name, "displayName": "r-1-make", "createTime": name}

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
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the slowest list here takes, and no longer."""
    monkeypatch.setattr(making, "_SETTLED", 1.0)
    monkeypatch.setattr(making, "_FIRST", 0.01)
    monkeypatch.setattr(making, "_LONGEST", 0.05)


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


def test_a_job_that_was_lost_itself_is_made_again(records: Records, attempt: Attempt) -> None:
    """A command that was killed between its mark and its request must not stop the run for ever."""
    gcp = Lagging()
    records.mark(attempt, "making-1")
    assert made_once(gcp, records, attempt) == "customJobs/1"
    assert records.marked(attempt, "making-2")


def test_a_job_that_is_never_listed_is_told(records: Records, attempt: Attempt) -> None:
    gcp = Lagging()
    gcp.makes, gcp.answers = False, itertools.repeat(ProviderError("no answer"))
    with pytest.raises(ProviderError, match=r"does not tell whether it has made the job r-1-make"):
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
