"""Pipelines by boto3: what runs in what order, what expressions become, what ends an execution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.aws.emulator.cloudy import (
    IMAGE,
    NUMBER,
    REGION,
    ROLE,
    client,
    cloud,
    logged,
    objects,
    processing,
    sink,
    source,
    training,
    until,
    uri,
)

TOKEN = "t" * 32


def _define(steps: list[dict[str, Any]], *parameters: dict[str, Any]) -> str:
    document = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps}
    return json.dumps(document)


def _step(kind: str, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A step whose name is that of the job."""
    arguments = dict(request)
    name = arguments.pop(f"{kind}JobName")
    return {"Name": name, "Type": kind, "Arguments": arguments, **more}


def _process(name: str, code: str = "", **more: Any) -> dict[str, Any]:
    """A processing step that leaves what its script writes to ``out``."""
    code = f"out = ml / 'processing/output/out'\n{code}"
    keys = ("ProcessingInputs",)
    asked = {key: more.pop(key) for key in keys if key in more}
    outputs = {"Outputs": [sink("out", uri("runs", name))]}
    return _step(
        "Processing", processing(name, code, ProcessingOutputConfig=outputs, **asked), **more
    )


def _judge() -> dict[str, Any]:
    """A processing step whose property file has VALUES."""
    file = {"PropertyFileName": "values", "OutputName": "out", "FilePath": "values.json"}
    code = f"(out / 'values.json').write_text('''{json.dumps(VALUES)}''')"
    return _process("judge", code, PropertyFiles=[file])


def _value(step: str, path: str) -> dict[str, Any]:
    file = {"Get": f"Steps.{step}.PropertyFiles.values"}
    return {"Std:JsonGet": {"PropertyFile": file, "Path": path}}


def _condition(
    name: str,
    conditions: list[dict[str, Any]],
    yes: list[dict[str, Any]],
    no: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    arguments = {"Conditions": conditions, "IfSteps": yes, "ElseSteps": no or []}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


def _compare(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def _started(definition: str, **given: str) -> str:
    """The ARN of an execution of a pipeline that is made for it."""
    sagemaker = client()
    sagemaker.create_pipeline(
        PipelineName="p-1", PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken=TOKEN
    )
    parameters = [{"Name": name, "Value": value} for name, value in given.items()]
    found: str = sagemaker.start_pipeline_execution(
        PipelineName="p-1", PipelineParameters=parameters, ClientRequestToken=TOKEN
    )["PipelineExecutionArn"]
    return found


def _ended(arn: str) -> dict[str, Any]:
    found: dict[str, Any] = until(
        lambda: client().describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    return found


def _steps(arn: str) -> dict[str, dict[str, Any]]:
    listed = client().list_pipeline_execution_steps(PipelineExecutionArn=arn)
    return {each["StepName"]: each for each in listed["PipelineExecutionSteps"]}


def _states(arn: str) -> dict[str, str]:
    return {name: each["StepStatus"] for name, each in _steps(arn).items()}


def test_steps_run_in_the_order_of_what_they_refer_to(tmp_path: Path) -> None:
    """What a training job leaves has a place that only the service knows; references find it."""
    with cloud(tmp_path):
        join = {"Std:Join": {"On": "/", "Values": [uri("runs"), {"Get": "Parameters.first"}]}}
        model = {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}
        of_use = {"Get": "Steps.use.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
        train = training(
            "train", "(ml / 'model/m').write_text((ml / 'input/data/set/a').read_text() + '2')",
            InputDataConfig=[{"ChannelName": "set", "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": join}}}],
        )  # fmt: skip
        use = "(out / 'a').write_text((ml / 'processing/input/model/m').read_text() + '3')"
        last = "(out / 'a').write_text((ml / 'processing/input/use/a').read_text() + '4')"
        definition = _define(
            [
                _process("last", last, ProcessingInputs=[source("use", of_use)]),  # type: ignore[arg-type]
                _process("use", use, ProcessingInputs=[source("model", model)]),  # type: ignore[arg-type]
                _step("Training", train, DependsOn=["make"]),
                _process("make", "(out / 'a').write_text('1')"),
            ],
            {"Name": "first", "Type": "String", "DefaultValue": "nothing"},
        )
        arn = _started(definition, first="make")
        assert _ended(arn)["PipelineExecutionStatus"] == "Succeeded", _steps(arn)
        assert objects()["runs/last/a"] == b"1234"
        steps = _steps(arn)
        assert list(steps)[::-1] == ["make", "train", "use", "last"]
        job = steps["train"]["Metadata"]["TrainingJob"]["Arn"]
        execution = arn.rpartition("/")[2]
        start = f"arn:aws:sagemaker:{REGION}:{NUMBER}:training-job/pipelines-{execution}-train-"
        assert job.startswith(start)


VALUES = {"score": 0.5, "passed": True, "name": "a", "deep": {"list": [{"n": 3}]}}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (_compare("Equals", _value("judge", "passed"), True), True),
        (_compare("Equals", _value("judge", "name"), "b"), False),
        (_compare("GreaterThan", _value("judge", "score"), 0.4), True),
        (_compare("GreaterThanOrEqualTo", _value("judge", "deep.list[0].n"), 3), True),
        (_compare("LessThan", _value("judge", "score"), {"Get": "Parameters.least"}), False),
        ({"Type": "In", "QueryValue": _value("judge", "name"), "Values": ["a", "b"]}, True),
        ({"Type": "Not", "Expression": _compare("Equals", _value("judge", "name"), "a")}, False),
        (
            {
                "Type": "Or",
                "Conditions": [
                    _compare("Equals", _value("judge", "name"), "z"),
                    _compare("LessThanOrEqualTo", _value("judge", "score"), 1),
                ],
            },
            True,
        ),
    ],
)
def test_a_condition_chooses_a_branch(
    tmp_path: Path, condition: dict[str, Any], outcome: bool
) -> None:
    with cloud(tmp_path):
        branch = _condition("gate", [condition], [_process("yes")], [_process("no")])
        least = {"Name": "least", "Type": "Float", "DefaultValue": 0.1}
        arn = _started(_define([_judge(), branch], least))
        assert _ended(arn)["PipelineExecutionStatus"] == "Succeeded", _steps(arn)
        steps = _steps(arn)
    assert steps["gate"]["Metadata"]["Condition"]["Outcome"] == ("True" if outcome else "False")
    assert ("yes" in steps, "no" in steps) == (outcome, not outcome)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (_compare("Equals", _value("judge", "passed"), "true"), "unlike types"),
        (_compare("GreaterThan", _value("judge", "nothing"), 1), "there is nothing at nothing"),
    ],
)
def test_a_condition_without_an_answer_fails(
    tmp_path: Path, condition: dict[str, Any], words: str
) -> None:
    """An unresolvable condition is an error, never False: a gate must not pass or fail by luck."""
    with cloud(tmp_path):
        branch = _condition("gate", [condition], [_process("yes")], [_process("no")])
        arn = _started(_define([_judge(), branch]))
        assert _ended(arn)["PipelineExecutionStatus"] == "Failed"
        assert words in _steps(arn)["gate"]["FailureReason"]
        assert set(_steps(arn)) == {"judge", "gate"}


def test_a_branch_within_a_branch_and_what_waits_for_one_that_is_not_taken(tmp_path: Path) -> None:
    """SageMaker starts a step when all that it depends on has run: not, where one never runs."""
    with cloud(tmp_path):
        inner = _condition("inner", [_compare("Equals", 1, 2)], [_process("a")], [_process("b")])
        definition = _define(
            [
                _condition("outer", [_compare("Equals", 1, 1)], [inner], [_process("c")]),
                _process("after-b", DependsOn=["b"]),
                _process("after-both", DependsOn=["a", "b"]),
            ]
        )
        arn = _started(definition)
        assert _ended(arn)["PipelineExecutionStatus"] == "Succeeded"
        assert set(_states(arn)) == {"outer", "inner", "b", "after-b"}


def test_a_step_that_fails_ends_what_has_not_begun(tmp_path: Path) -> None:
    code = "(ml / 'output/failure').write_text('bad data'); raise SystemExit(2)"
    with cloud(tmp_path):
        definition = _define(
            [
                _step("Training", training("train", code)),
                _process("use", DependsOn=["train"]),
                _process("aside", "import time; time.sleep(0.5)"),
            ]
        )
        arn = _started(definition)
        found = _ended(arn)
        assert found["PipelineExecutionStatus"] == "Failed"
        assert "train" in found["FailureReason"]
        assert _states(arn) == {"train": "Failed", "aside": "Succeeded"}
        reason = _steps(arn)["train"]["FailureReason"]
        assert reason == "AlgorithmError: bad data, exit code: 2"


def test_a_fail_step_says_why(tmp_path: Path) -> None:
    message = {"Std:Join": {"On": " ", "Values": ["too", "bad:", _value("judge", "score")]}}
    fail = {"Name": "no", "Type": "Fail", "Arguments": {"ErrorMessage": message}}
    with cloud(tmp_path):
        gate = _condition("gate", [_compare("LessThan", _value("judge", "score"), 1)], [fail])
        arn = _started(_define([_judge(), gate]))
        found = _ended(arn)
    assert (found["PipelineExecutionStatus"], found["FailureReason"]) == ("Failed", "too bad: 0.5")


def test_a_job_that_aws_would_refuse_fails_its_step(tmp_path: Path) -> None:
    """What only the run knows is looked at in the run."""
    with cloud(tmp_path):
        step = _process("make")
        config = step["Arguments"]["ProcessingResources"]["ClusterConfig"]
        config["InstanceType"] = {"Get": "Parameters.machine"}
        definition = _define(
            [step], {"Name": "machine", "Type": "String", "DefaultValue": "ml.tiny"}
        )
        arn = _started(definition)
        assert _ended(arn)["PipelineExecutionStatus"] == "Failed"
        assert "InstanceType is ml.tiny" in _steps(arn)["make"]["FailureReason"]


@pytest.mark.parametrize(("attempts", "status"), [(1, "Failed"), (2, "Succeeded")])
def test_a_retry_policy_is_for_what_it_names(tmp_path: Path, attempts: int, status: str) -> None:
    capacity = {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 30, "BackoffRate": 2.0,
        "MaxAttempts": attempts,
    }  # fmt: skip
    with cloud(tmp_path, no_capacity=[{"step": "train", "times": 2}], speed=1e6):
        step = _step("Training", training("train", ""), RetryPolicies=[capacity])
        arn = _started(_define([step]))
        assert _ended(arn)["PipelineExecutionStatus"] == status
        assert _steps(arn)["train"]["AttemptCount"] == attempts + 1
        jobs = client().list_training_jobs()["TrainingJobSummaries"]
        assert len(jobs) == attempts + 1


def test_a_code_that_fails_is_not_tried_again_by_the_service(tmp_path: Path) -> None:
    policies = [{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 3}]
    with cloud(tmp_path):
        step = _step("Training", training("train", "raise SystemExit(1)"), RetryPolicies=policies)
        arn = _started(_define([step]))
        _ended(arn)
        assert _steps(arn)["train"]["AttemptCount"] == 1


def test_an_execution_that_is_stopped_stops_its_jobs(tmp_path: Path) -> None:
    with cloud(tmp_path):
        sagemaker = client()
        slow = _process("slow", "import time; time.sleep(600)")
        arn = _started(_define([slow, _process("after", DependsOn=["slow"])]))
        until(lambda: {"slow": "", **_states(arn)}, "slow", ("Executing",))
        stop = {"PipelineExecutionArn": arn, "ClientRequestToken": TOKEN}
        sagemaker.stop_pipeline_execution(**stop)
        assert _ended(arn)["PipelineExecutionStatus"] == "Stopped"
        assert "after" not in _states(arn)
        jobs = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
        assert {each["ProcessingJobStatus"] for each in jobs} <= {"Stopped"}
        with pytest.raises(ClientError, match="Only pipelines with Executing status"):
            sagemaker.stop_pipeline_execution(**stop)


def test_the_same_token_starts_nothing_twice(tmp_path: Path) -> None:
    """A client whose answer was lost asks again; AWS does not pay for the training twice."""
    with cloud(tmp_path, faults=[{"operation": "StartPipelineExecution"}]):
        sagemaker = client()
        create = {
            "PipelineName": "p-1", "RoleArn": ROLE, "ClientRequestToken": TOKEN,
            "PipelineDefinition": _define([_process("make")]),
        }  # fmt: skip
        sagemaker.create_pipeline(**create)
        sagemaker.create_pipeline(**create)
        start = {"PipelineName": "p-1", "ClientRequestToken": TOKEN}
        with pytest.raises(Exception, match=r"proxy|closed"):
            sagemaker.start_pipeline_execution(**start)
        arn = sagemaker.start_pipeline_execution(**start)["PipelineExecutionArn"]
        _ended(arn)
        listed = sagemaker.list_pipeline_executions(PipelineName="p-1")
        assert [e["PipelineExecutionArn"] for e in listed["PipelineExecutionSummaries"]] == [arn]
        other = sagemaker.start_pipeline_execution(PipelineName="p-1", ClientRequestToken="u" * 32)
        assert other["PipelineExecutionArn"] != arn
        _ended(other["PipelineExecutionArn"])
        with pytest.raises(ClientError, match="must be unique"):
            sagemaker.create_pipeline(**{**create, "ClientRequestToken": "u" * 32})


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("not json", "is not JSON"),
        (_define([{"Name": "a", "Type": "Dance", "Arguments": {}}]), "Dance"),
        (_define([{"Name": "a", "Type": "Fail", "Arguments": {}}]), "ErrorMessage"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(
    tmp_path: Path, definition: str, words: str
) -> None:
    with cloud(tmp_path), pytest.raises(ClientError, match=words) as refused:
        _started(definition)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Required pipeline parameters"),
        ({"n": "many"}, "no Integer"),
        ({"n": "1", "m": "1"}, "Unknown pipeline parameters"),
    ],
)
def test_parameters_are_of_their_types(tmp_path: Path, given: dict[str, str], words: str) -> None:
    with cloud(tmp_path), pytest.raises(ClientError, match=words):
        _started(_define([_process("make")], {"Name": "n", "Type": "Integer"}), **given)


def test_what_is_not_there(tmp_path: Path) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{NUMBER}:pipeline/p/execution/abc"
    with cloud(tmp_path):
        sagemaker = client()
        for ask, of in (("pipeline", {"PipelineName": "p"}),
                        ("pipeline_execution", {"PipelineExecutionArn": arn})):  # fmt: skip
            with pytest.raises(ClientError) as refused:
                getattr(sagemaker, f"describe_{ask}")(**of)
            assert refused.value.response["Error"]["Code"] == "ResourceNotFound"


def _printed() -> list[str]:
    """What processing jobs have printed."""
    try:
        return logged("pipelines-", "Processing")
    except ClientError:
        return []


def test_a_later_command_goes_on_with_an_execution(tmp_path: Path) -> None:
    """Nothing that had ended is done again; the job that was under way goes on."""
    wait = "import time; print('on'); time.sleep(600 if not (ml / '../../../2').exists() else 0)"
    with cloud(tmp_path):
        definition = _define(
            [
                _process("make", "(out / 'a').write_text('1')"),
                _process("slow", wait, DependsOn=["make"]),
                _process("last", DependsOn=["slow"]),
            ]
        )
        arn = _started(definition)
        until(lambda: {"on": "on" in _printed()}, "on", (True,))
    with cloud(tmp_path):
        assert _ended(arn)["PipelineExecutionStatus"] == "Succeeded"
        assert list(_states(arn))[::-1] == ["make", "slow", "last"]
        assert len(client().list_processing_jobs()["ProcessingJobSummaries"]) == 3


def _package(where: Any, group: str = "models") -> dict[str, Any]:
    container = {"Image": IMAGE, "ModelDataUrl": where}
    return {
        "ModelPackageGroupName": group,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": {"run": "r-1"},
    }


def test_a_model_is_registered_by_a_pipeline_and_approved_by_hand(tmp_path: Path) -> None:
    with cloud(tmp_path):
        sagemaker = client()
        sagemaker.create_model_package_group(ModelPackageGroupName="models")
        with pytest.raises(ClientError, match="already exists"):
            sagemaker.create_model_package_group(ModelPackageGroupName="models")
        model = {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}
        train = training(
            "train", "(ml / 'model/m').write_text('')",
            OutputDataConfig={"S3OutputPath": uri("out")},
        )  # fmt: skip
        register = {"Name": "register", "Type": "RegisterModel", "Arguments": _package(model)}
        arn = _started(_define([_step("Training", train), register]))
        assert _ended(arn)["PipelineExecutionStatus"] == "Succeeded", _steps(arn)
        package = _steps(arn)["register"]["Metadata"]["RegisterModel"]["Arn"]
        assert package.endswith(":model-package/models/1")
        sagemaker.update_model_package(
            ModelPackageArn=package, ModelApprovalStatus="Approved",
            CustomerMetadataProperties={"by": "me"},
        )  # fmt: skip
        found = sagemaker.describe_model_package(ModelPackageName=package)
        assert found["ModelApprovalStatus"] == "Approved"
        assert found["CustomerMetadataProperties"] == {"run": "r-1", "by": "me"}
        data = found["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        assert data.endswith("/output/model.tar.gz")
        listed = sagemaker.list_model_packages(
            ModelPackageGroupName="models", ModelApprovalStatus="Approved"
        )
        assert len(listed["ModelPackageSummaryList"]) == 1
        with pytest.raises(ClientError, match="Could not access model data"):
            sagemaker.create_model_package(**_package(uri("nowhere.tar.gz")))
        with pytest.raises(ClientError, match="does not exist"):
            sagemaker.create_model_package(**_package(data, "others"))
