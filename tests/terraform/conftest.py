"""What tests of terraform/ share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terraform.grounds import GROUNDS
from tests.terraform.provider import serving
from tests.terraform.terraform import PROVIDERS, Made, made


@pytest.fixture(scope="session")
def schemas() -> Iterator[dict[str, str]]:
    """What lets terraform attach to providers that know their schemas and do nothing."""
    with serving(PROVIDERS.values()) as attach:
        yield {"TF_REATTACH_PROVIDERS": attach}


@pytest.fixture(scope="session")
def grounds() -> dict[str, Made]:
    """What was made already, by its cloud: to make it takes seconds."""
    return {}


@pytest.fixture
def ground(
    request: pytest.FixtureRequest,
    schemas: dict[str, str],
    grounds: dict[str, Made],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """A whole ground in the cloud that the test names."""
    place: str = request.param
    if place not in grounds:
        grounds[place] = made(tmp_path_factory.mktemp(place), schemas, place, GROUNDS[place])
    return grounds[place]
