"""What goes wrong when an endpoint is asked, in the words of its service; and its autoscaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.infra.aws.emulator.cloudy import client
from tests.infra.aws.emulator.serving.serving import (
    answer,
    configured,
    created,
    model,
    served,
    variant,
)

pytestmark = pytest.mark.timeout(120)
_RUNTIME = {"host": r"^runtime\.sagemaker"}
_TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/digits/variant/champion",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def test_faults_of_requests(tmp_path: Path) -> None:
    """A client that asks again must see the very codes: what it may repeat, and what not."""
    faults: list[dict[str, Any]] = [
        {**_RUNTIME, "error": "ThrottlingException"},
        {**_RUNTIME, "error": "ServiceUnavailable"},
        _RUNTIME,
    ]
    with served(tmp_path, faults=faults):
        created(configured("c-1", variant("champion", model("m-1", "first"))))
        for code, status in (("ThrottlingException", 400), ("ServiceUnavailable", 503)):
            with pytest.raises(ClientError) as caught:
                answer()
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        with pytest.raises(BotoCoreError):
            answer()
        assert answer()[0].startswith("first ")


def test_a_server_that_dies_is_an_error_of_the_model(tmp_path: Path) -> None:
    """Not the service's fault: asking it again and again would not help."""
    with served(tmp_path):
        created(configured("c-1", variant("champion", model("m-1", "first"))))
        with pytest.raises(ClientError) as caught:
            answer("die")
        found: dict[str, Any] = {**caught.value.response}
        assert (found["Error"]["Code"], found["OriginalStatusCode"]) == ("ModelError", 0)


def test_autoscaling_is_taken_and_told(tmp_path: Path) -> None:
    tracked = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    policy = {"TargetValue": 100.0, "PredefinedMetricSpecification": tracked}
    with served(tmp_path):
        scaling = client("application-autoscaling")
        with pytest.raises(ClientError, match="No variant found"):
            scaling.register_scalable_target(**_TARGET, MinCapacity=1, MaxCapacity=3)
        created(configured("c-1", variant("champion", model("m-1", "first"))))
        scaling.register_scalable_target(**_TARGET, MinCapacity=1, MaxCapacity=3)
        scaling.put_scaling_policy(
            **_TARGET, PolicyName="requests", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=policy,
        )  # fmt: skip
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
        with pytest.raises(ClientError, match="ValidationException"):
            scaling.register_scalable_target(**{**_TARGET, "ScalableDimension": "sagemaker:x"})
        scaling.deregister_scalable_target(**_TARGET)
        with pytest.raises(ClientError, match="ObjectNotFoundException"):
            scaling.deregister_scalable_target(**_TARGET)
