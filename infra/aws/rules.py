"""What SageMaker's reference says of a request and its model does not; a rule a function.

Each gives the path of the fault. The page of every rule is the operation's in the SageMaker API
Reference (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from infra.aws.validate import is_placeholder
from infra.cloud.problems import Problem

Request = Mapping[str, Any]
Rule = Callable[[Request], Iterator[Problem]]

_IMAGE = re.compile(r"[\w.-]+(:\d+)?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)|NOW")
_WORK = "/opt/ml/processing/"
_SERVERLESS_STEP = 1024


def problems(operation: str, request: Request) -> Iterator[Problem]:
    """What is wrong beyond the model. The request must have the shapes of the model."""
    for rule in _RULES.get(operation, ()):
        yield from rule(request)


def _spot_waits(request: Request) -> Iterator[Problem]:
    stop = request.get("StoppingCondition", {})
    wait, run = stop.get("MaxWaitTimeInSeconds"), stop.get("MaxRuntimeInSeconds", 86400)
    path = "StoppingCondition.MaxWaitTimeInSeconds"
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            yield Problem(path, "is for spot training only; EnableManagedSpotTraining is not set")
    elif wait is None:
        yield Problem(path, "is missing: spot training must say how long it may wait and run")
    elif _both(int, wait, run) and wait < run:
        yield Problem(path, f"is {wait}, less than MaxRuntimeInSeconds, which is {run}")


def _one_algorithm(request: Request) -> Iterator[Problem]:
    given = request.get("AlgorithmSpecification", {})
    if ("TrainingImage" in given) == ("AlgorithmName" in given):
        yield Problem("AlgorithmSpecification", "takes exactly one of TrainingImage, AlgorithmName")
    yield from _image(given.get("TrainingImage"), "AlgorithmSpecification.TrainingImage")


def _machines(request: Request) -> Iterator[Problem]:
    given = request.get("ResourceConfig", {})
    groups, one = given.get("InstanceGroups"), "InstanceType" in given
    if bool(groups) == one:
        yield Problem("ResourceConfig", "takes exactly one of InstanceType, InstanceGroups")
    if one:
        yield from _at_least_one(given, "ResourceConfig", "InstanceCount")
    if "VolumeSizeInGB" in given:
        yield from _at_least_one(given, "ResourceConfig", "VolumeSizeInGB")
    if request.get("EnableManagedSpotTraining") and given.get("KeepAlivePeriodInSeconds"):
        yield Problem("ResourceConfig.KeepAlivePeriodInSeconds", "has no meaning for spot training")


def _channels(request: Request) -> Iterator[Problem]:
    channels = request.get("InputDataConfig", ())
    yield from _unique(channels, "ChannelName", "InputDataConfig")
    for at, channel in enumerate(channels):
        source, path = channel["DataSource"], f"InputDataConfig[{at}].DataSource"
        if len(source) != 1:
            yield Problem(path, "takes exactly one source")
        if found := source.get("S3DataSource"):
            yield from _s3(found.get("S3Uri"), f"{path}.S3DataSource.S3Uri")


def _outputs_of_training(request: Request) -> Iterator[Problem]:
    yield from _s3(request["OutputDataConfig"].get("S3OutputPath"), "OutputDataConfig.S3OutputPath")
    if found := request.get("CheckpointConfig"):
        yield from _s3(found.get("S3Uri"), "CheckpointConfig.S3Uri")


def _cluster(request: Request) -> Iterator[Problem]:
    path = "ProcessingResources.ClusterConfig"
    given = request["ProcessingResources"].get("ClusterConfig")
    if given is None:
        yield Problem(path, "is missing")
        return
    yield from _at_least_one(given, path, "InstanceCount")
    yield from _at_least_one(given, path, "VolumeSizeInGB")


def _application(request: Request) -> Iterator[Problem]:
    yield from _image(request["AppSpecification"].get("ImageUri"), "AppSpecification.ImageUri")


def _files_of_processing(request: Request) -> Iterator[Problem]:
    inputs = request.get("ProcessingInputs", ())
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    places = [
        *_places(inputs, "InputName", "ProcessingInputs", ("S3Input", "DatasetDefinition")),
        *_places(
            outputs, "OutputName", "ProcessingOutputConfig.Outputs",
            ("S3Output", "FeatureStoreOutput"),
        ),
    ]  # fmt: skip
    for place in places:
        if isinstance(place, Problem):
            yield place
    found = [place for place in places if not isinstance(place, Problem)]
    for (path, one), (other, two) in combinations(found, 2):
        if f"{one}/".startswith(f"{two}/") or f"{two}/".startswith(f"{one}/"):
            yield Problem(path, f"is {one}, and {other} is {two}: one lies within the other")


def _places(
    given: Any, name: str, where: str, kinds: tuple[str, ...]
) -> Iterator[Problem | tuple[str, str]]:
    yield from _unique(given, name, where)
    for at, each in enumerate(given):
        path = f"{where}[{at}]"
        if sum(kind in each for kind in kinds) != 1:
            yield Problem(path, f"takes exactly one of {', '.join(kinds)}")
        store = each.get(kinds[0])
        if not store:
            continue
        yield from _s3(store.get("S3Uri"), f"{path}.{kinds[0]}.S3Uri")
        local = store.get("LocalPath")
        if isinstance(local, str) and not local.startswith(_WORK):
            yield Problem(f"{path}.{kinds[0]}.LocalPath", f"is {local}, not under {_WORK}")
        elif isinstance(local, str):
            yield f"{path}.{kinds[0]}.LocalPath", local.rstrip("/")


def _variants(request: Request) -> Iterator[Problem]:
    variants = request["ProductionVariants"]
    yield from _unique(variants, "VariantName", "ProductionVariants")
    for at, each in enumerate(variants):
        path, less = f"ProductionVariants[{at}]", each.get("ServerlessConfig")
        if (less is None) == ("InstanceType" not in each and "InstancePools" not in each):
            yield Problem(path, "takes exactly one of ServerlessConfig, InstanceType")
        if less is None and "InstanceType" in each and "InitialInstanceCount" not in each:
            yield Problem(f"{path}.InitialInstanceCount", "is missing")
        if less is None:
            continue
        if less["MemorySizeInMB"] % _SERVERLESS_STEP:
            memory = f"{path}.ServerlessConfig.MemorySizeInMB"
            yield Problem(memory, f"is {less['MemorySizeInMB']}, not a multiple of 1024")
        if "AsyncInferenceConfig" in request:
            yield Problem("AsyncInferenceConfig", "cannot be had with a serverless variant")
    weights = [each.get("InitialVariantWeight", 1.0) for each in variants]
    if not any(weights):
        yield Problem("ProductionVariants", "have no weight at all: nobody would be asked")


def _containers_of_model(request: Request) -> Iterator[Problem]:
    if ("PrimaryContainer" in request) == ("Containers" in request):
        yield Problem("PrimaryContainer", "or Containers is given, exactly one of them")
    found = [("PrimaryContainer", request.get("PrimaryContainer"))]
    found += [(f"Containers[{at}]", each) for at, each in enumerate(request.get("Containers", ()))]
    for path, container in found:
        if container is None:
            continue
        if ("Image" in container) == ("ModelPackageName" in container):
            yield Problem(path, "takes exactly one of Image, ModelPackageName")
        yield from _image(container.get("Image"), f"{path}.Image")
        if "ModelDataUrl" in container and "ModelDataSource" in container:
            yield Problem(path, "takes at most one of ModelDataUrl, ModelDataSource")


def _package(request: Request) -> Iterator[Problem]:
    if ("ModelPackageName" in request) == ("ModelPackageGroupName" in request):
        yield Problem("ModelPackageGroupName", "or ModelPackageName is given, exactly one of them")
    given = request.get("InferenceSpecification", {})
    for at, container in enumerate(given.get("Containers", ())):
        path = f"InferenceSpecification.Containers[{at}]"
        yield from _image(container.get("Image"), f"{path}.Image")


def _parameters(request: Request) -> Iterator[Problem]:
    yield from _unique(request.get("PipelineParameters", ()), "Name", "PipelineParameters")


def _definition_given(request: Request) -> Iterator[Problem]:
    if ("PipelineDefinition" in request) == ("PipelineDefinitionS3Location" in request):
        yield Problem("PipelineDefinition", "or PipelineDefinitionS3Location is given, exactly one")


def _schedule(request: Request) -> Iterator[Problem]:
    path = "MonitoringScheduleConfig.ScheduleConfig.ScheduleExpression"
    given = request["MonitoringScheduleConfig"].get("ScheduleConfig", {}).get("ScheduleExpression")
    if isinstance(given, str) and not _CRON.fullmatch(given):
        yield Problem(path, f"is {given}, not cron(MINUTES HOURS DAY MONTH WEEKDAY YEAR)")


def _tags(request: Request) -> Iterator[Problem]:
    yield from _unique(request.get("Tags", ()), "Key", "Tags")
    for at, tag in enumerate(request.get("Tags", ())):
        if isinstance(tag.get("Key"), str) and tag["Key"].lower().startswith("aws:"):
            yield Problem(f"Tags[{at}].Key", f"is {tag['Key']}; names with aws: are AWS's own")


def _image(image: Any, path: str) -> Iterator[Problem]:
    if isinstance(image, str) and not _IMAGE.fullmatch(image):
        yield Problem(path, f"is {image!r}, not REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST")


def _s3(uri: Any, path: str) -> Iterator[Problem]:
    if isinstance(uri, str) and not _S3.fullmatch(uri):
        yield Problem(path, f"is {uri}, not s3://BUCKET/KEY")


def _at_least_one(given: Request, path: str, name: str) -> Iterator[Problem]:
    value = given.get(name)
    if not is_placeholder(value) and (value is None or value < 1):
        yield Problem(
            f"{path}.{name}", "is missing" if value is None else f"is {value}; it takes 1"
        )


def _unique(given: Any, name: str, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, each in enumerate(given):
        value = each.get(name)
        if not isinstance(value, str):
            continue
        if value in seen:
            yield Problem(f"{path}[{at}].{name}", f"is {value} once more; each is there once")
        seen.add(value)


def _both(kind: type, *values: Any) -> bool:
    return all(isinstance(value, kind) for value in values)


_RULES: Mapping[str, tuple[Rule, ...]] = {
    "CreateTrainingJob": (
        _one_algorithm, _machines, _spot_waits, _channels, _outputs_of_training, _tags,
    ),
    "CreateProcessingJob": (_cluster, _application, _files_of_processing, _tags),
    "CreateModel": (_containers_of_model, _tags),
    "CreateModelPackage": (_package, _tags),
    "CreateEndpointConfig": (_variants, _tags),
    "CreatePipeline": (_definition_given, _tags),
    "StartPipelineExecution": (_parameters,),
    "CreateMonitoringSchedule": (_schedule, _tags),
}  # fmt: skip
