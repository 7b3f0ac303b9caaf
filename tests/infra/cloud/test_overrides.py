"""A person's own fields go over ours, and only they."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra import aws, azure, gcp
from infra.aws import costs as of_aws
from infra.azure import costs as of_azure
from infra.cloud.overrides import over
from infra.cloud.problems import Problem, refuse, shown, under
from infra.errors import InputError, SettingsError
from infra.gcp import costs as of_gcp
from infra.plan import Plan, Step


def test_objects_are_merged_and_all_else_is_replaced() -> None:
    """An override that dropped the fields beside it would lose machine type or role in silence."""
    body = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    assert over(body, {"a": {"c": [3]}, "e": {"f": 1}}) == {
        "a": {"b": 1, "c": [3]}, "d": "x", "e": {"f": 1},
    }  # fmt: skip
    assert over(body, {"a": None})["a"] is None
    assert body["a"] == {"b": 1, "c": [1, 2]}


def test_every_fault_of_a_request_is_told_at_once_by_its_path() -> None:
    """Who is told of one fault at a time sends as many times."""
    refuse("the cloud", [])
    found = [("Create", Problem(under("a", "b"), "is missing")), ("Start", Problem("", "is empty"))]
    with pytest.raises(InputError) as caught:
        refuse("the cloud", found)
    assert str(caught.value).splitlines() == [
        "the cloud would refuse this run; nothing was sent:",
        "  Create: a.b is missing",
        "  Start: the request is empty",
    ]
    assert shown("x" * 100) == "x" * 60 + "..."


PRICED: list[tuple[Callable[..., Any], Any, str, Any]] = [
    (of_aws.uses, aws.AwsSettings(), "CreateProcessingJob", {"ResourceConfig": 5}),
    (of_aws.uses, aws.AwsSettings(), "CreateProcessingJob", {"StoppingCondition": None}),
    (of_aws.uses, aws.AwsSettings(), "CreateProcessingJob",
     {"StoppingCondition": {"MaxRuntimeInSeconds": "soon"}}),
    (of_azure.uses, azure.AzureSettings(), "*", {"limits": 5}),
    (of_azure.uses, azure.AzureSettings(), "*", {"limits": {"timeout": "soon"}}),
    (of_gcp.uses, gcp.GcpSettings(), "CustomJob", {"jobSpec": 5}),
    (of_gcp.uses, gcp.GcpSettings(), "CustomJob", {"jobSpec": {"scheduling": {"timeout": "soon"}}}),
]  # fmt: skip


@pytest.mark.parametrize(("uses", "settings", "request_", "wrong"), PRICED)
def test_overrides_by_which_nothing_can_be_priced_are_one_sentence(
    uses: Callable[..., Any], settings: Any, request_: str, wrong: Any
) -> None:
    """They are a person's: no traceback."""
    own = settings._replace(overrides={request_: wrong})
    plan = Plan("p", (Step("train", "i", ()),))
    assert uses(plan, settings)
    with pytest.raises(SettingsError, match=r"^the setting overrides leaves step train without"):
        uses(plan, own)
