"""Bodies that Azure ML takes, written from its API reference; tests spoil one field of them."""

from __future__ import annotations

import copy
import re
from typing import Any

SCOPE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/example/providers/"
    "Microsoft.MachineLearningServices/workspaces/digits-workspace"
)
ENVIRONMENT_ID = f"{SCOPE}/environments/trefoil-trainer/versions/1"
COMPONENT_ID = f"{SCOPE}/components/azureml_anonymous/versions/1"
STORE = "azureml://datastores/trefoil/paths"
GONE = object()
"""Take the field away."""

ENVIRONMENT: dict[str, Any] = {
    "properties": {
        "image": "example.azurecr.io/trefoil-trainer@sha256:" + "ab" * 32,
        "osType": "Linux",
        "isAnonymous": False,
        "tags": {"team": "digits"},
    }
}
COMPONENT: dict[str, Any] = {
    "properties": {
        "isAnonymous": True,
        "componentSpec": {
            "name": "azureml_anonymous",
            "version": "1",
            "type": "command",
            "is_deterministic": False,
            "command": "python3 ${{inputs.trefoil}}/launcher.py --outputs=${{outputs.left}}",
            "environment": f"azureml:{ENVIRONMENT_ID}",
            "inputs": {"trefoil": {"type": "uri_folder"}},
            "outputs": {"left": {"type": "uri_folder"}},
            "resources": {"instance_count": 2, "shm_size": "2g"},
            "distribution": {"type": "pytorch", "process_count_per_instance": 1},
        },
    }
}
COMMAND: dict[str, Any] = {
    "properties": {
        "jobType": "Command",
        "displayName": "train",
        "experimentName": "trefoil",
        "command": "python3 ${{inputs.trefoil}}/launcher.py --outputs=${{outputs.left}}",
        "environmentId": ENVIRONMENT_ID,
        "inputs": {
            "trefoil": {
                "jobInputType": "uri_folder", "uri": f"{STORE}/launch/1/", "mode": "ReadOnlyMount",
            },
            "rate": {"jobInputType": "literal", "value": "0.1"},
        },
        "outputs": {
            "left": {"jobOutputType": "uri_folder", "uri": f"{STORE}/runs/1/", "mode": "Upload"},
        },
        "resources": {"instanceCount": 2, "instanceType": "Standard_NC4as_T4_v3", "shmSize": "2g"},
        "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1},
        "queueSettings": {"jobTier": "Spot"},
        "limits": {"jobLimitsType": "Command", "timeout": "PT1H"},
        "identity": {
            "identityType": "Managed", "clientId": "22222222-2222-4222-8222-222222222222",
        },
        "environmentVariables": {"A": "1"},
        "tags": {"trefoil.run": "r-1"},
    }
}  # fmt: skip
_NODE: dict[str, Any] = {
    "name": "prepare",
    "type": "command",
    "display_name": "prepare",
    "componentId": COMPONENT_ID,
    "computeId": f"{SCOPE}/computes/serverless",
    "resources": {"instance_count": 1, "instance_type": "Standard_DS3_v2"},
    "inputs": {
        "trefoil": {
            "job_input_type": "uri_folder", "uri": f"{STORE}/launch/1/", "mode": "ReadOnlyMount",
        }
    },
    "outputs": {
        "left": {
            "job_output_type": "uri_folder", "uri": f"{STORE}/runs/1/prepare/", "mode": "Upload",
        }
    },
    "limits": {"timeout": "PT1H", "job_limits_type": "Command"},
}  # fmt: skip
_TRAIN = {
    **copy.deepcopy(_NODE),
    "name": "train",
    "queue_settings": {"job_tier": "Spot"},
    "inputs": {
        "from_prepare": {
            "job_input_type": "literal",
            "value": "${{parent.jobs.prepare.outputs.left}}",
            "mode": "ReadOnlyMount",
        }
    },
}
PIPELINE: dict[str, Any] = {
    "properties": {
        "jobType": "Pipeline",
        "displayName": "generative-1",
        "experimentName": "trefoil",
        "settings": {"force_rerun": True, "continue_on_step_failure": True},
        "jobs": {"prepare": _NODE, "train": _TRAIN},
        "inputs": {},
        "outputs": {},
        "tags": {"trefoil.run": "generative-1"},
    }
}
DATA: dict[str, Any] = {
    "properties": {"dataType": "uri_folder", "dataUri": f"{STORE}/data/digits/", "tags": {}}
}
GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "environment": ("environments", "2023-04-01-preview", ENVIRONMENT),
    "component": ("components", "2024-01-01-preview", COMPONENT),
    "command": ("jobs", "2025-01-01-preview", COMMAND),
    "pipeline": ("jobs", "2024-01-01-preview", PIPELINE),
    "data": ("data", "2023-04-01-preview", DATA),
}


def spoiled(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with another value at a path: ``properties.inputs[rate].value``."""
    found = copy.deepcopy(body)
    at: Any = found
    *front, last = re.findall(r"[^.\[\]]+", path)
    for name in front:
        at = at[name]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return found
