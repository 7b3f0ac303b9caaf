"""Machines and prices: the smallest that fits, and never a price without its date."""

from __future__ import annotations

import math
import re
import tomllib
from typing import Any

import pytest

from infra import machines, prices
from infra.aws import AwsSettings, costs
from infra.errors import UnsupportedError
from infra.plan import Plan, Resources, Retry, Step
from infra.prices import Use

SETTINGS = AwsSettings(region="us-east-1")


def _step(**asked: Any) -> Step:
    return Step("train", "image", (), resources=Resources(**asked))


@pytest.mark.parametrize(
    ("asked", "machine"),
    [
        ({"cpu": 1.0}, "ml.m5.large"),
        ({"cpu": 3.0}, "ml.c5.xlarge"),
        ({"memory_gb": 8.0}, "ml.m5.large"),
        ({"memory_gb": 8.6}, "ml.m5.xlarge"),  # 8 GiB are 8.59 GB
        ({"cpu": 3.0, "memory_gb": 60.0}, "ml.m5.4xlarge"),
        ({"accelerator": "T4", "accelerators": 1}, "ml.g4dn.xlarge"),
        ({"accelerator": "t4", "accelerators": 2}, "ml.g4dn.12xlarge"),
        ({"accelerator": "NVIDIA_TESLA_T4", "accelerators": 1}, "ml.g4dn.xlarge"),
        ({"accelerator": "L4", "accelerators": 1, "cpu": 9.0}, "ml.g6.4xlarge"),
        ({"accelerator": "A10G", "accelerators": 8}, "ml.g5.48xlarge"),
        ({"accelerator": "L40S", "accelerators": 1}, "ml.g6e.xlarge"),
        ({"accelerator": "A100", "accelerators": 1}, "ml.p4d.24xlarge"),
        ({"accelerator": "A100-80GB", "accelerators": 8}, "ml.p4de.24xlarge"),
        ({"accelerator": "H100", "accelerators": 8}, "ml.p5.48xlarge"),
        ({"accelerator": "H200", "accelerators": 8}, "ml.p5en.48xlarge"),
        ({"accelerator": "Trainium", "accelerators": 16}, "ml.trn1.32xlarge"),
        ({"accelerator": "nvidia.com/gpu", "accelerators": 1}, "ml.g4dn.xlarge"),
    ],
)
def test_a_step_gets_the_cheapest_machine_that_has_what_it_asks_for(
    asked: dict[str, Any], machine: str
) -> None:
    assert costs.machine(_step(**asked), SETTINGS) == machine


def test_a_step_that_asks_for_nothing_gets_what_the_settings_say() -> None:
    assert costs.machine(_step(), SETTINGS._replace(instance_type="ml.t3.large")) == "ml.t3.large"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"accelerator": "A10", "accelerators": 1}, "none of that name; did you mean A10G"),
        ({"accelerator": "H100", "accelerators": 16}, r"16 x H100 in one machine.*more --nodes"),
        ({"memory_gb": 5000.0}, "asks for 0 CPUs, 5000 GB in one machine"),
    ],
)
def test_what_no_machine_has_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedError, match=f"step train asks for .*{words}|{words}"):
        costs.machine(_step(**asked), SETTINGS)


def test_the_ceiling_is_price_times_time_times_nodes_times_attempts() -> None:
    step = _step(nodes=2)._replace(timeout=7200.0, retry=Retry(limit=2))
    plan = Plan("p", (step, _step()._replace(name="other", timeout=3600.0)))
    found = costs.price(plan, SETTINGS)
    assert found == pytest.approx(0.115 * 2 * 2 * 3 + 0.115)


def test_spot_machines_are_counted_for_as_long_as_they_may_wait() -> None:
    """What they cost is known only afterwards; on demand is the most that it can be."""
    plan = Plan("p", (_step(spot=True)._replace(timeout=3600.0),))
    assert costs.price(plan, SETTINGS._replace(spot_wait=3.0)) == pytest.approx(3 * 0.115)


def test_overrides_are_counted() -> None:
    """Else a machine that is asked for by overrides would slip past --max-cost."""
    plan = Plan("p", (_step(nodes=2)._replace(timeout=3600.0),))
    over: dict[str, dict[str, object]] = {
        "CreateTrainingJob": {"ResourceConfig": {"InstanceType": "ml.p5.48xlarge"}}
    }
    found = costs.price(plan, SETTINGS._replace(overrides=over))
    assert found == pytest.approx(2 * 63.296)
    over = {
        "CreateProcessingJob": {
            "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.xlarge"}},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        }
    }
    only = Plan("p", (_step(),))
    assert costs.price(only, SETTINGS._replace(overrides=over)) == pytest.approx(0.115)


def test_an_unknown_price_is_no_price_and_a_persons_own_goes_over_the_table() -> None:
    plan = Plan("p", (_step(accelerator="H200", accelerators=8)._replace(timeout=3600.0),))
    assert math.isnan(costs.price(plan, SETTINGS))
    (note,) = costs.notes(plan, SETTINGS)
    assert note.startswith("no price is known of ml.p5en.48xlarge")
    own = SETTINGS._replace(prices={"ml.p5en.48xlarge": 10.0})
    assert costs.price(plan, own) == pytest.approx(10.0)


def test_a_ceiling_says_of_when_and_where_its_prices_are() -> None:
    plan = Plan("p", (_step()._replace(timeout=3600.0),))
    (note,) = costs.notes(plan, SETTINGS._replace(region="eu-west-1"))
    assert re.match(
        r"costs at most \$0\.12: prices of us-east-1, not of eu-west-1 as of 20\d\d-\d\d, "
        r"on demand, machines alone; they change: https://aws\.amazon\.com/", note
    )  # fmt: skip


def test_prices_of_several_uses_add_up() -> None:
    uses = [Use("ml.m5.large", 3600.0), Use("ml.c5.xlarge", 1800.0, machines=2, attempts=2)]
    assert prices.ceiling("aws", uses, {}) == pytest.approx(0.115 + 2 * 0.204)
    assert math.isnan(prices.ceiling("aws", [*uses, Use("ml.unheard.of", 1.0)], {}))


def test_every_table_is_dated_and_names_known_machines() -> None:
    """A machine that SageMaker does not know would be refused only when it is to be rented."""
    from botocore.loaders import Loader

    whole = tomllib.loads(machines.TABLE.read_text(encoding="utf-8"))
    for place, found in whole.items():
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", found["date"])
        assert found["source"].startswith("https://")
        names = [each.name for each in machines.table(place).machines]
        assert len(names) == len(set(names))
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    known = set(shapes["TrainingInstanceType"]["enum"])
    assert {each.name for each in machines.table("aws").machines} <= known
    cpus = {each.name for each in machines.table("aws").machines if not each.accelerators}
    assert cpus <= set(shapes["ProcessingInstanceType"]["enum"])
