"""What endpoints cost: each machine for as long as it was there, and what goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.aws import AwsSettings
from infra.aws.emulator.bill import going_on, items
from tests.infra.aws.emulator.serving.serving import (
    configured,
    created,
    model,
    served,
    updated,
    variant,
)

pytestmark = pytest.mark.timeout(120)


def test_each_machine_is_on_the_bill_and_what_stays_is_told(tmp_path: Path) -> None:
    """A forgotten endpoint is what a person pays most for; the end of a rehearsal names it."""
    settings = AwsSettings(prices={"ml.m5.large": 3600.0})
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    with served(tmp_path) as cloud:
        name = model("m-1", "first")
        machines = {**variant("champion", name), "InitialInstanceCount": 2}
        created(configured("c-1", machines))
        updated(configured("c-2", variant("champion", name, InstanceType="ml.c5.xlarge")))
        without = {"VariantName": "all", "ModelName": name, "ServerlessConfig": serverless}
        created(configured("c-3", without), "small")

        first, second = items(cloud.world, 0.0, settings)
        assert (first.what, first.machine, first.machines) == ("endpoint digits", "ml.m5.large", 2)
        assert first.usd == pytest.approx(2 * first.seconds)
        assert (second.machine, second.usd_per_hour) == ("ml.c5.xlarge", None)
        assert first.seconds == next(items(cloud.world, 0.0, settings)).seconds
        assert [*going_on(cloud.world)] == [
            "the endpoint digits keeps 1 x ml.c5.xlarge until it is stopped",
            "the endpoint small keeps no machine, but pays by request until it is stopped",
        ]
        assert list(items(cloud.world, second.seconds + 10**12, settings)) == []
