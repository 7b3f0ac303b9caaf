"""What must hold of a case wherever it was run, one function a family of verbs."""

from __future__ import annotations

from infra.plan import DONE
from tests.conformance.cases import Case
from tests.conformance.trial import Trial


def hold(found: Trial, case: Case) -> None:
    """Everything below. Raises AssertionError."""
    if case.lacking and case.lacking in found.status.message:
        assert found.status.state == "failed"
        return
    ended(found, case)
    left(found, case)
    told(found, case)
    remembered(found, case)


def ended(found: Trial, case: Case) -> None:
    """status and follow: every step where it belongs, and the same told twice."""
    assert found.status.state == case.state
    assert (found.events[-1].step, found.events[-1].state) == ("", case.state)
    states = {name: event.state for name, event in found.status.steps.items()}
    assert {name for name, state in states.items() if state in DONE} == set(case.left)
    assert {name for name, state in states.items() if state == "failed"} == set(case.failed)
    followed = {event.step: event.state for event in found.events if event.step}
    assert followed == states


def left(found: Trial, case: Case) -> None:
    """outputs: values by their type, artefacts by their content."""
    assert found.left == {step: dict(outputs) for step, outputs in case.left.items()}


def told(found: Trial, case: Case) -> None:
    """logs, and the message of a failure: people see why without opening a console."""
    for step, words in case.prints.items():
        printed = [line.text for line in found.logs if line.step == step]
        assert any(words in line for line in printed), printed
    assert case.told in found.status.message or any(
        case.told in event.message for event in found.events
    )


def remembered(found: Trial, case: Case) -> None:
    """submit attaches, list names the run, history and why know it."""
    assert found.listed == [found.run]
    assert found.again == (found.run, case.state, found.listed)
    moments = found.history.moments
    assert {moment.event.step for moment in moments} >= {*case.left, *case.failed}
    assert all(found.why[step] for step in case.left)
    assert found.price >= 0
