"""A run is priced by what is sent of it, whoever said so."""

from __future__ import annotations

from typing import Any

import pytest

from infra import prices
from infra.errors import SettingsError
from infra.gcp import GcpSettings, costs
from infra.plan import Plan, Resources, Retry
from infra.prices import Use
from tests.infra.gcp.lowering import SETTINGS, custom_job, generative, lowered

_T4 = {"machineType": "n1-standard-16", "acceleratorType": "NVIDIA_TESLA_T4"}
_POOL = {"machineSpec": {"machineType": "n1-standard-8"}, "replicaCount": "1"}


def _spread(**asked: Any) -> Plan:
    """Our pipeline, its training on two machines."""
    plan = generative()
    steps = tuple(
        each._replace(resources=Resources(nodes=2, **asked)) if each.name == "train" else each
        for each in plan.steps
    )
    return plan._replace(steps=steps)


def _laid(**spec: Any) -> GcpSettings:
    return SETTINGS._replace(overrides={"CustomJob": {"jobSpec": spec}})


def test_a_custom_job_is_priced_with_what_was_laid_over_it() -> None:
    """--max-cost must refuse what a person's own fields make dear: eight machines, not two."""
    workers = {"machineSpec": {**_T4, "acceleratorCount": 2}, "replicaCount": "7"}
    settings = _laid(
        workerPoolSpecs=[_POOL, {**_POOL, "replicaCount": "2"}, workers],
        scheduling={"timeout": "3600s"},
    )
    plan = _spread()
    attempts = 1 + plan.step("train").retry.limit
    found = costs.uses(plan, settings)
    assert found["train"] == Use("n1-standard-8", 3600.0, 3, attempts)
    assert found["train, pool 2"] == Use("n1-standard-16+T4:2", 3600.0, 7, attempts)
    sent = custom_job(lowered(plan, settings), "exec-train")["jobSpec"]["workerPoolSpecs"]
    assert sent == [_POOL, {**_POOL, "replicaCount": "2"}, workers]
    hour = prices.hourly("gcp", "n1-standard-8", {}) * 3 * attempts
    hour += prices.hourly("gcp", "n1-standard-16+T4:2", {}) * 7 * attempts
    others = plan._replace(steps=tuple(each for each in plan.steps if each.name != "train"))
    assert costs.price(plan, settings) == pytest.approx(hour + costs.price(others, settings))


def test_what_is_no_custom_job_is_not_priced_by_what_is_laid_over_those() -> None:
    """A pipeline's own step is not touched by it, and has no timeout either."""
    settings = _laid(workerPoolSpecs=[_POOL], scheduling={"timeout": "60s"})
    found = costs.uses(generative(), settings)
    assert {use[:3] for use in found.values()} == {("n1-standard-4", 86400.0, 1)}


def test_a_plan_of_one_step_is_a_custom_job() -> None:
    plan = generative()
    step = plan.step("prepare")._replace(retry=Retry(2))
    only = plan._replace(steps=(step,))
    found = costs.uses(only, _laid(workerPoolSpecs=[_POOL], scheduling={"timeout": "60s"}))
    assert found == {"prepare": Use("n1-standard-8", 60.0, 1, 3)}


@pytest.mark.parametrize(
    "pools", [[{"replicaCount": "1"}], [{**_POOL, "replicaCount": "many"}], 5, [5]]
)
def test_pools_by_which_nothing_can_be_priced_are_one_sentence(pools: Any) -> None:
    with pytest.raises(SettingsError, match=r"^the setting overrides leaves step train without"):
        costs.price(_spread(), _laid(workerPoolSpecs=pools))
