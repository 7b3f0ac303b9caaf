"""What endpoints cost: each machine for as long as it was there, and what goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.gcp.emulator.bill import going_on, items
from tests.infra.gcp.serving.place import SETTINGS, threaded

pytestmark = pytest.mark.timeout(180)


def test_each_machine_is_on_the_bill_and_what_stays_is_told(tmp_path: Path) -> None:
    """A forgotten endpoint is what a person pays most for; the end of a rehearsal names it."""
    settings = SETTINGS._replace(prices={"n1-standard-2": 3600.0})
    with threaded(tmp_path) as there:
        there.deploy("1")
        there.deploy("2")
        first, second = items(there.world, 0.0, settings)
        assert (first.what, first.machine, first.machines) == (
            "endpoint digits",
            "n1-standard-2",
            1,
        )
        assert first.usd == pytest.approx(first.seconds)
        keeps = "the endpoint digits keeps n1-standard-2 until it is stopped"
        assert [*going_on(there.world)] == [keeps]
        there.ask("stop")
        assert [*going_on(there.world)] == []
        ended = [each.seconds for each in items(there.world, 0.0, settings)]
        assert ended[0] == first.seconds
        assert ended[1] >= second.seconds
        assert [*items(there.world, second.seconds + 10**10, settings)] == []
