"""Every place keeps to the seam: the same plans, the same verbs, the same artefacts.

A pair of place and plan is either green, or refused before anything is sent with a reason that the
place declares. ``python -m tests.conformance`` prints the table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import checks, table, trial
from tests.conformance.cases import CASES, Case
from tests.conformance.places import Place, places
from tests.docker import DOCKER, Docker

PLACES = places()
IMAGE = "trefoil-conformance:1"
"""What the plans name; plans.py cannot be imported without kfp."""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The IR of every plan."""
    return trial.compiled(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(
    params=[
        pytest.param(place, id=place.label, marks=DOCKER if place.needs == "docker" else ())
        for place in PLACES
    ]
)
def place(request: pytest.FixtureRequest) -> Place:
    """One place after the other."""
    chosen: Place = request.param
    if chosen.needs == "docker":
        docker: Docker = request.getfixturevalue("docker")
        docker("tag", request.getfixturevalue("noop_image"), IMAGE)
    return chosen


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_plan_does_the_same_everywhere(
    place: Place, case: Case, compiled: Path, tmp_path: Path
) -> None:
    """What a person wrote once and tried here must not come out otherwise there."""
    plan = trial.plan_of(case, compiled, tmp_path)
    if reason := trial.refusal(place, plan, tmp_path):
        assert place.provider.name in reason
        return
    found = trial.attempt(place, plan, tmp_path)
    checks.hold(found, case)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_lowering_is_a_pure_function(
    place: Place, case: Case, compiled: Path, tmp_path: Path
) -> None:
    """What --dry-run prints is what is sent, today and tomorrow."""
    plan = trial.plan_of(case, compiled, tmp_path)
    if trial.refusal(place, plan, tmp_path):
        return
    settings = place.settled(tmp_path)
    first, second = (place.provider.lower(plan, settings, "same-1") for _ in range(2))
    assert trial.spelled(first) == trial.spelled(second)
    assert first.run_id == "same-1"


def test_a_run_can_be_ended(place: Place, compiled: Path, tmp_path: Path) -> None:
    """A forgotten training on a rented machine costs money until somebody can end it."""
    plan = trial.plan_of(Case("slow", "slow", {}), compiled, tmp_path)
    events, first, second = trial.cancelled(place, plan, tmp_path)
    assert (events[-1].step, events[-1].state) == ("", "cancelled")
    assert first
    assert not second


def test_the_table_in_the_docs_is_of_today(compiled: Path, tmp_path: Path) -> None:
    """People choose a place by it."""
    assert table.refusals(compiled, tmp_path) == table.documented()
