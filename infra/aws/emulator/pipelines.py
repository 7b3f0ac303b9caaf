"""Pipelines and their executions: what is asked of them, and what is told."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.aws import definition
from infra.aws.emulator.interpreter import ENDED, Interpreter
from infra.aws.emulator.jobs import Jobs
from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.registry import Registry
from infra.aws.emulator.tags import tags_of
from infra.aws.emulator.world import World
from infra.rehearsal.store import Record

PIPELINE, EXECUTION = "Pipeline", "PipelineExecution"
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "String": str, "Boolean": bool, "Integer": int, "Float": (int, float),
}  # fmt: skip


class Pipelines:
    """All pipelines. An execution that is under way goes on when the stand-in is started again."""

    def __init__(self, world: World, jobs: Jobs, registry: Registry) -> None:
        self._world, self._jobs, self._registry = world, jobs, registry
        self._running: dict[str, Interpreter] = {}

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        return {
            "CreatePipeline": self._create,
            "UpdatePipeline": self._update,
            "DescribePipeline": self._describe,
            "DeletePipeline": self._delete,
            "ListPipelines": self._list,
            "StartPipelineExecution": self._start,
            "StopPipelineExecution": self._stop,
            "RetryPipelineExecution": self._retry,
            "DescribePipelineExecution": self._describe_execution,
            "ListPipelineExecutions": self._list_executions,
            "ListPipelineExecutionSteps": self._list_steps,
            "ListPipelineParametersForExecution": self._list_parameters,
        }

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        for each in self._world.store.of(EXECUTION):
            if each["status"] not in ENDED:
                self._run(each)

    def halt(self) -> None:
        """Begin nothing any more."""
        for each in self._running.values():
            each.halt()

    def join(self) -> None:
        """Wait until nothing is under way; the jobs must have been halted."""
        for each in self._running.values():
            each.join()

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name, world = request["PipelineName"], self._world
        arn = world.arn(f"pipeline/{name.lower()}")
        with world.store.lock:
            if known := world.store.get(PIPELINE, name):
                if known["token"] == request["ClientRequestToken"]:
                    return {"PipelineArn": arn}
                raise Refused(
                    "ValidationException",
                    "Pipeline names must be unique within an AWS account and region. Pipeline "
                    f"with name ({name}) already exists.",
                )
            world.check_role(request["RoleArn"])
            world.store.add(
                PIPELINE, name, arn, tags=tags_of(request), token=request["ClientRequestToken"],
                role=request["RoleArn"], definition=self._definition(request), last_run=0.0,
                description=request.get("PipelineDescription", ""),
            )  # fmt: skip
        return {"PipelineArn": arn}

    def _update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(request["PipelineName"])
        if "RoleArn" in request:
            self._world.check_role(request["RoleArn"])
            pipeline["role"] = request["RoleArn"]
        if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
            pipeline["definition"] = self._definition(request)
        pipeline["description"] = request.get("PipelineDescription", pipeline["description"])
        self._world.store.save(PIPELINE, pipeline)
        return {"PipelineArn": pipeline["arn"]}

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(request["PipelineName"])
        return {
            **_of_pipeline(pipeline),
            "PipelineDefinition": pipeline["definition"],
            "PipelineStatus": "Active",
        }

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(request["PipelineName"])
        for each in self._executions(pipeline):
            if each["status"] not in ENDED:
                raise Refused("ConflictException", f"{each['arn']} is still under way")
            self._world.store.remove(EXECUTION, each["name"])
        self._world.store.remove(PIPELINE, pipeline["name"])
        return {"PipelineArn": pipeline["arn"]}

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        prefix = request.get("PipelineNamePrefix", "")
        pipelines = self._world.store.of(PIPELINE)
        found = [_of_pipeline(each) for each in pipelines if each["name"].startswith(prefix)]
        return self._world.page(found, request, "PipelineSummaries")

    def _start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            pipeline = self._pipeline(request["PipelineName"])
            for each in self._executions(pipeline):
                if each["token"] == request["ClientRequestToken"]:
                    return {"PipelineExecutionArn": each["arn"]}
            document = json.loads(pipeline["definition"])
            given = _parameters(document, request.get("PipelineParameters", []))
            identity = secrets.token_hex(6)
            arn = f"{pipeline['arn']}/execution/{identity}"
            execution = self._world.store.add(
                EXECUTION, identity, arn, pipeline=pipeline["name"], definition=document,
                parameters=given, token=request["ClientRequestToken"], status="Executing",
                reason="", steps={}, display=request.get("PipelineExecutionDisplayName", ""),
                description=request.get("PipelineExecutionDescription", ""),
            )  # fmt: skip
            pipeline["last_run"] = round(time.time(), 3)
            self._world.store.save(PIPELINE, pipeline)
        self._run(execution)
        return {"PipelineExecutionArn": arn}

    def _run(self, execution: Record) -> None:
        interpreter = Interpreter(self._world, self._jobs, self._registry, execution)
        self._running[execution["name"]] = interpreter
        interpreter.start()

    def _stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        execution = self._execution(request["PipelineExecutionArn"])
        if execution["status"] in ENDED:
            raise Refused(
                "ConflictException",
                f"Pipeline execution with ARN {execution['arn']} status {execution['status']}. "
                "Only pipelines with Executing status can be stopped.",
            )
        if running := self._running.get(execution["name"]):
            running.stop()
        else:  # a rehearsal that was killed left it
            execution["status"] = "Stopping"
            self._world.store.save(EXECUTION, execution)
            self._run(execution)
            self._running[execution["name"]].join()
        return {"PipelineExecutionArn": execution["arn"]}

    def _retry(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Go on where it ended badly; what ended well is not done again."""
        token = request["ClientRequestToken"]
        with self._world.store.lock:
            execution = self._execution(request["PipelineExecutionArn"])
            answer = {"PipelineExecutionArn": execution["arn"]}
            if token in execution.setdefault("retries", []):
                return answer
            if execution["status"] not in ("Failed", "Stopped"):
                raise Refused(
                    "ConflictException",
                    f"Pipeline execution with ARN {execution['arn']} status "
                    f"{execution['status']}. Only Failed and Stopped executions can be retried.",
                )
            steps = execution["steps"]
            for name in [n for n, step in steps.items() if step["StepStatus"] != "Succeeded"]:
                del steps[name]
            execution["retries"].append(token)
            execution["status"], execution["reason"] = "Executing", ""
            self._world.store.save(EXECUTION, execution)
        self._run(execution)
        return answer

    def _describe_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        execution = self._execution(request["PipelineExecutionArn"])
        pipeline = self._pipeline(execution["pipeline"])
        reason = execution["reason"]
        return {
            "PipelineArn": pipeline["arn"],
            **_of_execution(execution),
            "LastModifiedTime": execution["modified"],
            "CreationTime": execution["created"],
            **({"FailureReason": reason} if reason else {}),
        }

    def _list_executions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(request["PipelineName"])
        found = [
            {**_of_execution(each), "StartTime": each["created"]}
            for each in self._executions(pipeline)
        ]
        return self._world.page(found, request, "PipelineExecutionSummaries")

    def _list_steps(self, request: Mapping[str, Any]) -> dict[str, Any]:
        execution = self._execution(request.get("PipelineExecutionArn", ""))
        with self._world.store.lock:
            steps = sorted(execution["steps"].values(), key=lambda step: step["StartTime"])
            found = [{n: v for n, v in each.items() if n[0].isupper()} for each in steps]
        return self._world.page(found, request, "PipelineExecutionSteps")

    def _list_parameters(self, request: Mapping[str, Any]) -> dict[str, Any]:
        execution = self._execution(request["PipelineExecutionArn"])
        values = execution["parameters"].items()
        found = [
            {"Name": n, "Value": v if isinstance(v, str) else json.dumps(v)} for n, v in values
        ]
        return self._world.page(found, {"SortOrder": "Ascending", **request}, "PipelineParameters")

    def _definition(self, request: Mapping[str, Any]) -> str:
        if "PipelineDefinition" in request:
            return str(request["PipelineDefinition"])
        place = request["PipelineDefinitionS3Location"]
        uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
        found = self._world.objects.read(uri)
        if found is None:
            raise Refused("ValidationException", f"there is no pipeline definition at {uri}")
        text = found.decode()
        wrong = list(definition.problems("CreatePipeline", {"PipelineDefinition": text}))
        if wrong:
            raise Refused("ValidationException", "; ".join(map(str, wrong)))
        return text

    def _pipeline(self, name: str) -> Record:
        """A pipeline by its name or its ARN. Raises Refused."""
        for each in self._world.store.of(PIPELINE):
            if name in (each["name"], each["arn"]):
                return each
        arn = name if name.startswith("arn:") else self._world.arn(f"pipeline/{name.lower()}")
        raise Refused("ResourceNotFound", f"Pipeline '{arn}' does not exist.")

    def _execution(self, arn: str) -> Record:
        found = self._world.store.get(EXECUTION, arn.rpartition("/")[2])
        if found is None or found["arn"] != arn:
            raise Refused("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
        return found

    def _executions(self, pipeline: Record) -> list[Record]:
        return [e for e in self._world.store.of(EXECUTION) if e["pipeline"] == pipeline["name"]]


def _parameters(document: Mapping[str, Any], given: list[dict[str, str]]) -> dict[str, Any]:
    """The parameters of an execution, of the types they are declared with. Raises Refused."""
    declared = {each["Name"]: each for each in document.get("Parameters", [])}
    found = {n: each["DefaultValue"] for n, each in declared.items() if "DefaultValue" in each}
    for each in given:
        name = each["Name"]
        if name not in declared:
            raise Refused("ValidationException", f"Unknown pipeline parameters: {name}")
        found[name] = _typed(name, declared[name]["Type"], each["Value"])
    if missing := sorted(declared.keys() - found.keys()):
        words = f"Required pipeline parameters must be provided: {', '.join(missing)}"
        raise Refused("ValidationException", words)
    for name, value in found.items():
        known = declared[name].get("EnumValues")
        if known and value not in known:
            raise Refused("ValidationException", f"the parameter {name} is none of {known}")
    return found


def _typed(name: str, kind: str, text: str) -> Any:
    try:
        value = text if kind == "String" else json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
        raise Refused(
            "ValidationException", f"the parameter {name} is {text!r}, which is no {kind}"
        )
    return value


def _of_pipeline(pipeline: Record) -> dict[str, Any]:
    return {
        "PipelineName": pipeline["name"],
        "PipelineArn": pipeline["arn"],
        "PipelineDisplayName": pipeline["name"],
        "RoleArn": pipeline["role"],
        "CreationTime": pipeline["created"],
        "LastModifiedTime": pipeline["modified"],
        **({"PipelineDescription": pipeline["description"]} if pipeline["description"] else {}),
        **({"LastRunTime": pipeline["last_run"]} if pipeline["last_run"] else {}),
    }


def _of_execution(execution: Record) -> dict[str, Any]:
    name = execution["display"] or f"execution-{int(execution['created'] * 1000)}"
    return {
        "PipelineExecutionArn": execution["arn"],
        "PipelineExecutionDisplayName": name,
        "PipelineExecutionStatus": execution["status"],
    }
