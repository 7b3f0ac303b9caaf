"""Requests that Vertex AI takes, written from its API reference; tests spoil one field of them."""

from __future__ import annotations

import copy
import re
from typing import Any

PROJECT = "example-project"
PARENT = f"projects/{PROJECT}/locations/europe-west4"
IMAGE = f"europe-west4-docker.pkg.dev/{PROJECT}/trefoil/trefoil-trainer@sha256:{'ab' * 32}"
ACCOUNT = f"trefoil-training@{PROJECT}.iam.gserviceaccount.com"

JOB: dict[str, Any] = {
    "displayName": "generative-1-train",
    "labels": {"trefoil-run": "generative-1", "team": "models"},
    "encryptionSpec": {
        "kmsKeyName": f"projects/{PROJECT}/locations/europe-west4/keyRings/r/cryptoKeys/k"
    },
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {
                    "machineType": "g2-standard-8",
                    "acceleratorType": "NVIDIA_L4",
                    "acceleratorCount": 1,
                },
                "replicaCount": replicas,
                "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                "containerSpec": {
                    "imageUri": IMAGE,
                    "command": ["python", "-m", "components.train"],
                    "args": ["--steps", "10"],
                    "env": [{"name": "TREFOIL_STEP", "value": "train"}],
                },
            }
            for replicas in ("1", "3")
        ],
        "scheduling": {
            "timeout": "3600s", "strategy": "SPOT", "restartJobOnWorkerRestart": True,
        },
        "serviceAccount": ACCOUNT,
        "network": "projects/123456789012/global/networks/trefoil",
        "baseOutputDirectory": {"outputUriPrefix": "gs://example-bucket/runs/1"},
    },
}  # fmt: skip
SPEC: dict[str, Any] = {
    "pipelineInfo": {"name": "generative"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "inputDefinitions": {"parameters": {"text": {"parameterType": "STRING"}}},
        "dag": {
            "tasks": {
                "make": {
                    "componentRef": {"name": "comp-make"},
                    "inputs": {"parameters": {"text": {"componentInputParameter": "text"}}},
                    "taskInfo": {"name": "make"},
                    "cachingOptions": {"enableCache": True},
                }
            }
        },
    },
    "components": {
        "comp-make": {
            "executorLabel": "exec-make",
            "inputDefinitions": {"parameters": {"text": {"parameterType": "STRING"}}},
        }
    },
    "deploymentSpec": {
        "executors": {
            "exec-make": {
                "container": {
                    "image": IMAGE,
                    "command": ["echo", "{{$.inputs.parameters['text']}}"],
                    "resources": {
                        "accelerator": {
                            "type": "NVIDIA_L4", "count": "1",
                            "resourceType": "NVIDIA_L4", "resourceCount": "1",
                        }
                    },
                }
            }
        }
    },
}  # fmt: skip
PIPELINE: dict[str, Any] = {
    "displayName": "generative-1",
    "labels": {"trefoil-run": "generative-1"},
    "pipelineSpec": SPEC,
    "runtimeConfig": {
        "gcsOutputDirectory": "gs://example-bucket/trefoil",
        "parameterValues": {"text": "a"},
        "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_SLOW",
    },
    "serviceAccount": ACCOUNT,
}
GOOD = [("customJobs.create", JOB), ("pipelineJobs.create", PIPELINE)]
GONE = object()
"""A value that takes its field away."""


def spoiled(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one field changed: ``jobSpec.workerPoolSpecs[0].replicaCount``."""
    found = copy.deepcopy(body)
    *way, last = [
        int(part[1:-1]) if part.startswith("[") else part
        for part in re.findall(r"[^.\[\]]+|\[\d+\]", path)
    ]
    at: Any = found
    for part in way:
        at = at[part]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return found
