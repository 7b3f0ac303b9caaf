"""Runs one execution of a pipeline: a step begins once all that it refers to has ended well."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.aws.emulator.check import check
from infra.aws.emulator.expressions import Scope, Unresolved
from infra.aws.emulator.graph import Node, job_name, nodes, pause
from infra.aws.emulator.jobs import KINDS, Jobs, described
from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.registry import Registry
from infra.aws.emulator.world import World
from infra.rehearsal.store import Record

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
_POLL = 0.02


class Failed(Exception):
    """A step that failed, with its reason."""


class Interpreter:
    """One execution, in a thread of its own and one for each step that is under way."""

    def __init__(self, world: World, jobs: Jobs, registry: Registry, execution: Record) -> None:
        self._world, self._jobs, self._registry = world, jobs, registry
        self._execution = execution
        self._steps: dict[str, dict[str, Any]] = execution["steps"]
        self._nodes = {node.name: node for node in nodes(execution["definition"]["Steps"])}
        self._threads: dict[str, threading.Thread] = {}
        self._stopping, self._halted = threading.Event(), threading.Event()
        if execution["status"] == "Stopping":
            self._stopping.set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, or go on."""
        self._thread.start()

    def stop(self) -> None:
        """End it for good: the jobs under way are stopped, no other begins."""
        with self._world.store.lock:
            if self._execution["status"] in ENDED:
                return
            self._execution["status"] = "Stopping"
            self._save()
        self._stopping.set()
        for name in list(self._steps):
            self._stop_job(name)

    def halt(self) -> None:
        """Leave it where it stands, to go on later."""
        self._halted.set()

    def join(self) -> None:
        """Wait until it has ended, or is halted."""
        self._thread.join()

    def _run(self) -> None:
        while not self._halted.is_set():
            for node in self._ready():
                thread = threading.Thread(target=self._step, args=(node,), daemon=True)
                self._threads[node.name] = thread
                thread.start()
            if not any(thread.is_alive() for thread in self._threads.values()):
                if not list(self._ready()):
                    break
                continue
            self._halted.wait(_POLL)
        for thread in self._threads.values():
            thread.join()
        if not self._halted.is_set():
            self._conclude()

    def _ready(self) -> Iterator[Node]:
        """The steps that can begin; none once one has failed or the whole is to stop."""
        over = self._stopping.is_set() or self._failures()
        for node in self._nodes.values():
            known = self._steps.get(node.name)
            if node.name in self._threads or (known and known["StepStatus"] in ENDED):
                continue
            if known or (not over and self._may_begin(node)):
                yield node

    def _may_begin(self, node: Node) -> bool:
        taken = all(
            self._succeeded(name) and self._steps[name]["outcome"] == wanted
            for name, wanted in node.branches
        )
        return taken and all(self._succeeded(name) for name in node.needs)

    def _succeeded(self, name: str) -> bool:
        return self._steps.get(name, {}).get("StepStatus") == "Succeeded"

    def _failures(self) -> list[dict[str, Any]]:
        return [step for step in self._steps.values() if step["StepStatus"] == "Failed"]

    def _conclude(self) -> None:
        failed = self._failures()
        status = "Stopped" if self._stopping.is_set() else "Failed" if failed else "Succeeded"
        reason = ""
        if failed and status == "Failed":
            names = ", ".join(step["StepName"] for step in failed)
            reason = f"Step failure: One or multiple steps failed: {names}."
            if failed[0]["type"] == "Fail":
                reason = failed[0]["FailureReason"]
        with self._world.store.lock:
            self._execution["status"], self._execution["reason"] = status, reason
            self._save()

    # --- one step

    def _step(self, node: Node) -> None:
        known = self._steps.get(node.name)
        if known is None:
            known = {
                "StepName": node.name, "StartTime": round(time.time(), 3), "AttemptCount": 1,
                "StepStatus": "Executing", "Metadata": {}, "type": node.step["Type"], "job": "",
            }  # fmt: skip
            for name in ("DisplayName", "Description"):
                if name in node.step:
                    known[f"Step{name}"] = node.step[name]
            self._note(known)
        does: Mapping[str, Callable[[Node, dict[str, Any]], str]] = {
            "Training": self._job, "Processing": self._job, "Condition": self._condition,
            "RegisterModel": self._register, "Fail": self._fail,
        }  # fmt: skip
        try:
            if node.step["Type"] not in does:
                raise Failed(f"this rehearsal does no step of type {node.step['Type']}")
            status = does[node.step["Type"]](node, known)
        except (Failed, Unresolved, Refused) as error:
            code = f"{error.code}: " if isinstance(error, Refused) else ""
            status, known["FailureReason"] = "Failed", f"ClientError: {code}{error}"[:1024]
            if isinstance(error, Failed):
                known["FailureReason"] = str(error)[:1024]
        if status:
            known["StepStatus"], known["EndTime"] = status, round(time.time(), 3)
            self._note(known)

    def _note(self, known: dict[str, Any]) -> None:
        with self._world.store.lock:
            self._steps[known["StepName"]] = known
            self._save()

    def _save(self) -> None:
        self._world.store.save("PipelineExecution", self._execution)

    def _condition(self, node: Node, known: dict[str, Any]) -> str:
        scope = self._scope()
        conditions = node.step["Arguments"]["Conditions"]
        known["outcome"] = all(scope.holds(each) for each in conditions)
        known["Metadata"] = {"Condition": {"Outcome": str(known["outcome"])}}
        return "Succeeded"

    def _fail(self, node: Node, known: dict[str, Any]) -> str:
        message = str(self._scope().resolved(node.step["Arguments"]["ErrorMessage"]))
        known["Metadata"] = {"Fail": {"ErrorMessage": message}}
        raise Failed(message)

    def _register(self, node: Node, known: dict[str, Any]) -> str:
        request = self._checked("CreateModelPackage", node, {})
        request.setdefault("ClientToken", f"{self._execution['name']}-{node.name}"[:36])
        made = self._registry.create(request)
        known["Metadata"] = {"RegisterModel": {"Arn": made["ModelPackageArn"]}}
        return "Succeeded"

    def _job(self, node: Node, known: dict[str, Any]) -> str:
        """Run the job to its end, again where a policy says so; empty where it was halted."""
        kind, policies = KINDS[node.step["Type"]], node.step.get("RetryPolicies", [])
        while True:
            reason = self._once(node, known)
            if reason is None or not reason:
                return "" if reason is None else "Succeeded"
            status = self._world.store.get(kind.word, known["job"])
            if status and status["status"] == "Stopped" and self._stopping.is_set():
                return "Stopped"
            wait = pause(policies, reason, known["AttemptCount"])
            if wait is None or self._stopping.is_set():
                raise Failed(reason)
            self._world.clock.wait(wait, self._stopping)
            known["AttemptCount"], known["job"] = known["AttemptCount"] + 1, ""
            self._note(known)

    def _once(self, node: Node, known: dict[str, Any]) -> str | None:
        """Why the job failed, empty where it did not; None where the stand-in was closed."""
        kind = KINDS[node.step["Type"]]
        if not known["job"]:
            name = job_name(self._execution["name"], node.name)
            try:
                request = self._checked(
                    f"Create{kind.word}Job", node, {f"{kind.word}JobName": name}
                )
                made = self._jobs.create(kind, request, node.name)
            except Refused as refused:
                return f"{refused.code}: {refused.message}"
            known["job"] = name
            known["Metadata"] = {f"{kind.word}Job": {"Arn": made[f"{kind.word}JobArn"]}}
            self._note(known)
        if self._stopping.is_set():
            self._stop_job(node.name)
        record = self._jobs.wait(kind, known["job"])
        if record["status"] == "Completed":
            return ""
        if record["status"] not in ("Failed", "Stopped"):
            return None
        return record["reason"] or f"{kind.word} job {record['secondary']}: {record['name']}"

    def _checked(self, operation: str, node: Node, more: Mapping[str, Any]) -> dict[str, Any]:
        request = {**self._scope().resolved(node.step["Arguments"]), **more}
        check(operation, request)
        return request

    def _stop_job(self, name: str) -> None:
        known = self._steps.get(name, {})
        if known.get("job") and known["StepStatus"] not in ENDED:
            self._jobs.stop(KINDS[known["type"]], known["job"])

    # --- what expressions refer to

    def _scope(self) -> Scope:
        execution = self._execution
        pipeline_arn = execution["arn"].partition("/execution/")[0]
        about = {
            "PipelineName": execution["pipeline"],
            "PipelineArn": pipeline_arn,
            "PipelineExecutionId": execution["name"],
            "PipelineExecutionArn": execution["arn"],
            "StartDateTime": _moment(execution["created"]),
            "CurrentDateTime": _moment(time.time()),
        }
        return Scope(execution["parameters"], about, self._described, self._file)

    def _described(self, name: str) -> Mapping[str, Any]:
        known = self._steps.get(name, {})
        if known.get("type") == "Condition":
            return {"Outcome": known.get("outcome")}
        if known.get("type") == "RegisterModel":
            return {"ModelPackageArn": known["Metadata"]["RegisterModel"]["Arn"]}
        if not known.get("job"):
            raise Unresolved(f"step {name} has no properties")
        kind = KINDS[known["type"]]
        record = self._world.store.get(kind.word, known["job"])
        if record is None:
            raise Unresolved(f"the job of step {name} is gone")
        return described(kind, record, self._world)

    def _file(self, step: str, name: str) -> bytes | None:
        for file in self._nodes[step].step.get("PropertyFiles", []):
            if file["PropertyFileName"] != name:
                continue
            outputs = self._described(step)["ProcessingOutputConfig"]["Outputs"]
            for each in outputs:
                if each["OutputName"] == file["OutputName"]:
                    place = each["S3Output"]["S3Uri"].rstrip("/")
                    return self._world.objects.read(f"{place}/{file['FilePath']}")
        return None


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
