"""Requests that SageMaker takes, written from its API reference; tests spoil one field of them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

ACCOUNT = "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/trefoil-trainer@sha256:{'ab' * 32}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trefoil-training"
_DIGEST = "c0ffee" * 10

TRAINING: dict[str, Any] = {
    "TrainingJobName": "trefoil-generative-1-train",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "/opt/ml/input/data/trefoil/launcher.py"],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    },
    "InputDataConfig": [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://bucket/{name}/",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
        for name in ("trefoil", "dataset")
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "CompressionType": "NONE"},
    "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints/1/train"},
    "HyperParameters": {"lr": "0.001"},
    "Environment": {"TREFOIL_STEP": "train"},
    "RetryStrategy": {"MaximumRetryAttempts": 2},
    "Tags": [{"Key": "run", "Value": "generative-1"}],
}
PROCESSING: dict[str, Any] = {
    "ProcessingJobName": "trefoil-generative-1-prepare",
    "RoleArn": ROLE,
    "AppSpecification": {
        "ImageUri": IMAGE,
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/trefoil/launcher.py"],
    },
    "ProcessingResources": {
        "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    },
    "ProcessingInputs": [
        {
            "InputName": "trefoil",
            "S3Input": {
                "S3Uri": "s3://bucket/launcher",
                "LocalPath": "/opt/ml/processing/trefoil",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "dataset",
                "S3Output": {
                    "S3Uri": "s3://bucket/runs/1/prepare/dataset",
                    "LocalPath": "/opt/ml/processing/output/dataset",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "Environment": {"TREFOIL_STEP": "prepare"},
}
MODEL: dict[str, Any] = {
    "ModelName": "digits-vae-1",
    "ExecutionRoleArn": ROLE,
    "PrimaryContainer": {
        "Image": IMAGE,
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": "s3://bucket/model/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        },
    },
}
PACKAGE: dict[str, Any] = {
    "ModelPackageGroupName": "digits-vae",
    "ModelApprovalStatus": "PendingManualApproval",
    "InferenceSpecification": {
        "Containers": [{"Image": IMAGE}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    },
    "CustomerMetadataProperties": {"run": "generative-1"},
}
SERVERLESS: dict[str, Any] = {
    "EndpointConfigName": "digits-vae-0011",
    "ProductionVariants": [
        {
            "VariantName": "v1",
            "ModelName": "digits-vae-1",
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
        }
    ],
}
REAL_TIME: dict[str, Any] = {
    "EndpointConfigName": "digits-vae-0012",
    "ProductionVariants": [
        {
            "VariantName": name,
            "ModelName": "digits-vae-1",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for name, weight in (("v1", 0.9), ("v2", 0.1))
    ],
}
SCHEDULE: dict[str, Any] = {
    "MonitoringScheduleName": "drift",
    "MonitoringScheduleConfig": {
        "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
        "MonitoringJobDefinitionName": "drift-1",
        "MonitoringType": "DataQuality",
    },
}
START: dict[str, Any] = {
    "PipelineName": "generative",
    "ClientRequestToken": _DIGEST,
    "PipelineParameters": [{"Name": "steps", "Value": "300"}],
}
DEFINITION: dict[str, Any] = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": "steps", "Type": "String", "DefaultValue": "4000"}],
    "Steps": [
        {
            "Name": "prepare",
            "Type": "Processing",
            "Arguments": {k: v for k, v in PROCESSING.items() if k != "ProcessingJobName"},
        },
        {
            "Name": "train",
            "Type": "Training",
            "DependsOn": ["prepare"],
            "Arguments": {
                **{k: v for k, v in TRAINING.items() if k != "TrainingJobName"},
                "HyperParameters": {"steps": {"Get": "Parameters.steps"}},
            },
        },
        {
            "Name": "evaluate",
            "Type": "Processing",
            "DependsOn": ["train"],
            "Arguments": {k: v for k, v in PROCESSING.items() if k != "ProcessingJobName"},
            "PropertyFiles": [
                {"PropertyFileName": "values", "OutputName": "dataset", "FilePath": "values.json"}
            ],
        },
        {
            "Name": "gate",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {
                        "Type": "Equals",
                        "LeftValue": {
                            "Std:JsonGet": {
                                "PropertyFile": {"Get": "Steps.evaluate.PropertyFiles.values"},
                                "Path": "passed",
                            }
                        },
                        "RightValue": "true",
                    }
                ],
                "IfSteps": [{"Name": "register", "Type": "RegisterModel", "Arguments": PACKAGE}],
                "ElseSteps": [
                    {"Name": "no", "Type": "Fail", "Arguments": {"ErrorMessage": "not good"}}
                ],
            },
        },
    ],
}
PIPELINE: dict[str, Any] = {
    "PipelineName": "generative",
    "ClientRequestToken": _DIGEST,
    "RoleArn": ROLE,
    "PipelineDefinition": json.dumps(DEFINITION),
}

GOOD: dict[str, list[dict[str, Any]]] = {
    "CreateTrainingJob": [TRAINING],
    "CreateProcessingJob": [PROCESSING],
    "CreateModel": [MODEL],
    "CreateModelPackage": [PACKAGE],
    "CreateEndpointConfig": [SERVERLESS, REAL_TIME],
    "CreateMonitoringSchedule": [SCHEDULE],
    "CreatePipeline": [PIPELINE],
    "StartPipelineExecution": [START],
}

GONE = object()


def spoiled(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field changed; GONE takes it away. ``path``: a.b[0].c."""
    found = copy.deepcopy(body)
    *way, last = [int(i) if i else n for n, i in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    at: Any = found
    for each in way:
        at = at[each]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return found
