"""More machines behind an endpoint when it is asked more, fewer when less."""

from __future__ import annotations

from typing import Any

from infra.aws.serving.requests import MAIN, Serving
from infra.aws.serving.state import At

_NOBODY = "ObjectNotFoundException"


def apply(at: At) -> None:
    """Scale the endpoint between one machine and as many as the settings allow."""
    serving = at.serving
    target: dict[str, Any] = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{at.name}/variant/{MAIN}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    doing = f"scale the endpoint {at.name}"
    service = "application-autoscaling"
    if not serving.instance_type:
        return  # serverless: SageMaker's own
    if serving.instances < 2:
        at.aws.find(service, "deregister_scalable_target", doing, _NOBODY, **target)
        return
    limits = {"MinCapacity": 1, "MaxCapacity": serving.instances}
    at.aws.ask(service, "register_scalable_target", doing, **target, **limits)
    at.aws.ask(service, "put_scaling_policy", doing, **target, **_policy(serving))


def retained(serving: Serving) -> dict[str, Any]:
    """What UpdateEndpoint keeps: as many machines as there are, not the share of each variant."""
    if not serving.instance_type or serving.instances < 2:
        return {}
    return {
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
    }


def _policy(serving: Serving) -> dict[str, Any]:
    """Target tracking of the requests a minute that each machine gets."""
    return {
        "PolicyName": "trefoil-requests",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(serving.requests),
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    }
