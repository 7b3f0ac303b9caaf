"""What follows from the states of steps: of the run, of exit handlers, of what was not reached."""

from __future__ import annotations

import pytest

from infra.cloud.handlers import due, final_status
from infra.cloud.looking import Look, Task, concluded, kept, not_reached, unknown
from infra.plan import FinalStatus, Output, Plan, State, Step

WORK = Step("work", "i", ())
LAST = Step("last", "i", (), inputs={"how": FinalStatus("body", ("work",))}, always=True)
AFTER_LAST = Step("after-last", "i", (), after=("last",), always=True)
PLAN = Plan("p", (WORK, LAST, AFTER_LAST))
HANDLERS = ["last", "after-last"]


def look(main: State, **tasks: Task) -> Look:
    return Look(main, main, {name.replace("_", "-"): task for name, task in tasks.items()})


def names(found: Look) -> list[str]:
    return [step.name for step in due(PLAN, found, HANDLERS)]


def test_exit_handlers_are_due_one_after_the_other_once_all_else_has_ended() -> None:
    """Too early, and they tell a wrong end; twice, and they do their work twice."""
    done = Task("succeeded")
    assert names(look("running", work=Task("running"))) == []
    assert names(look("succeeded", work=done)) == ["last"]
    assert names(look("failed", work=done, last=Task("running"))) == []
    assert names(look("cancelled", work=done, last=Task("failed"))) == ["after-last"]
    assert names(look("succeeded", work=done, last=done, after_last=done)) == []


@pytest.mark.parametrize(
    ("state", "told"),
    [("succeeded", "SUCCEEDED"), ("failed", "FAILED"), ("cancelled", "CANCELLED")],
)
def test_an_exit_handler_is_told_how_its_body_ended(state: State, told: str) -> None:
    found = final_status(LAST, look(state, work=Task(state, words="the disk is full")), "r-1")
    assert found is not None
    assert (found["state"], found["pipelineTaskName"]) == (told, "body")
    assert (found["error"] != {}) == (state == "failed")
    assert final_status(WORK, look(state), "r-1") is None


def test_a_run_goes_on_until_its_exit_handlers_have_ended() -> None:
    """Who is told of the end too early never sees that a handler failed."""
    found = look("succeeded", work=Task("succeeded", 1.0, 2.0), last=Task("running", 3.0))
    assert concluded(found, HANDLERS).state == "running"
    over = look(
        "succeeded", work=Task("succeeded", 1.0, 2.0), last=Task("failed", 3.0, 4.0, words="no"),
        after_last=Task("succeeded", 5.0, 6.0),
    )  # fmt: skip
    ended = concluded(over, HANDLERS)
    assert (ended.state, ended.main, ended.words, ended.code, ended.ended) == (
        "failed", "succeeded", "no", 1, 6.0,
    )  # fmt: skip
    assert kept(ended.data()) == ended


def test_a_run_without_handlers_is_concluded_by_its_own_state() -> None:
    assert concluded(look("cancelled", work=Task("cancelled")), ()).words == "ended on request"
    failed = concluded(look("failed")._replace(words="no such image"), ())
    assert (failed.words, failed.code) == ("no such image", 1)


def test_what_was_not_reached_says_why() -> None:
    takes = Step("takes", "i", (), inputs={"x": Output("work", "x")})
    skipped = not_reached(takes, {"work": Task("skipped")}, "succeeded")
    assert skipped == Task("skipped", words="it takes an output of work, which did not run")
    assert not_reached(takes, {"work": Task("failed")}, "failed").words == "work did not succeed"
    assert not_reached(takes, {}, "cancelled").state == "cancelled"


def test_a_run_that_its_cloud_forgot_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches it would wait for ever, and the same command would watch it again."""
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert unknown({}, "Vertex AI").state == "waiting"
    assert unknown({"at": 990.0}, "Vertex AI").state == "waiting"  # it may not be listed yet
    found = unknown({"at": 900.0}, "Vertex AI")
    assert (found.state, found.code, found.error) == ("failed", 1, "ProviderError")
    assert "Vertex AI knows nothing of this run any more" in found.words
    assert concluded(found, ()).error == "ProviderError"
