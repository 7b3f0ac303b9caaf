"""The whole pipeline leaves the same in every place: artefacts to the bit, and every metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.parity import DOCS, Left, left, ordered
from tests.conformance.places import Place

HERE, *OTHERS = (place for place in ordered() if not place.needs)
"""Containers are in tests/pipelines/test_in_containers.py."""


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What it leaves on this machine."""
    return left(HERE, tmp_path_factory.mktemp("here"))


@pytest.mark.xdist_group("parity")
@pytest.mark.parametrize("place", OTHERS, ids=[place.label for place in OTHERS])
def test_a_run_leaves_the_same_there(place: Place, here: Left, tmp_path: Path) -> None:
    """People try here and launch there: what they get must be what they saw."""
    there = left(place, tmp_path)
    assert {"prepare/dataset", "train/model", "evaluate/evaluation"} <= set(there.digests)
    assert there == here


def test_the_page_has_a_column_for_each_place() -> None:
    """A place that is missing there was never compared."""
    head = next(line for line in DOCS.read_text(encoding="utf-8").splitlines() if line[:1] == "|")
    assert head == f"| | {' | '.join(place.label for place in ordered())} |"
