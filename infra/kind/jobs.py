"""A step on several nodes: what stands in the place of its container. Pure.

Kubeflow Pipelines runs a step in one pod. That one becomes a launcher (``components.launch``): it
is told the Job as it is made here, fills in what only the run knows, and follows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from infra.errors import UnsupportedError
from infra.kind import KindSettings
from infra.kind.job_manifests import GIVEN, WORK, manifests
from infra.plan import Plan, Step

Object: TypeAlias = dict[str, Any]

_READ = re.compile(r"\{\{\$\.inputs\.artifacts\['[^']+'\]\.path\}\}")
_WRITTEN = re.compile(
    r"\{\{\$\.outputs\.(?:artifacts\['[^']+'\]\.path|parameters\['[^']+'\]\.output_file)\}\}"
)


def launcher(step: Step, given: Object, pod: Object, settings: KindSettings) -> Object:
    """The launcher in the place of a step's container. ``pod`` is what the step asks of Kubernetes.

    Its words say nothing of the run, so that Kubeflow Pipelines finds what it keeps in its cache.
    Raises UnsupportedError where the step is not told its files one by one.
    """
    words = [*given.get("command", []), *given.get("args", [])]
    if any("{{$}}" in word for word in words):
        raise UnsupportedError(
            f"step {step.name} is a lightweight component, which Kubeflow Pipelines runs in one "
            "pod; make it a container component to run it on several nodes"
        )
    documents = json.dumps(manifests(step, given["image"], pod, settings))
    flags = ["--step", step.name, "--manifests", documents]
    for flag, form in (("--read", _READ), ("--write", _WRITTEN)):
        found = dict.fromkeys(match for word in words for match in form.findall(word))
        flags += [text for place in found for text in (flag, place)]
    flags += [text for each in given["env"] for text in ("--env", each["name"])]
    flags += ["--start-deadline", f"{settings.start_deadline:g}"]
    return {
        **{name: value for name, value in given.items() if name != "resources"},
        "command": ["python", "-m", "components.launch"],
        "args": [*flags, "--", *words],
        "env": [*given["env"], {"name": "TREFOIL_ON_HOST", "value": "1"}],
    }


def sharing(pod: Object, settings: KindSettings) -> Object:
    """What a pod asks of Kubernetes, and the claim whose folders outlive it."""
    claim = {
        "constant": settings.work_claim,
        "mountPath": WORK,
        "pvcNameParameter": {"runtimeValue": {"constant": settings.work_claim}},
    }
    return {**pod, "pvcMount": [*pod.get("pvcMount", []), claim]}


def require_alone(plan: Plan) -> None:
    """Refuse a loop of such steps: its Jobs would have one name. Raises UnsupportedError."""
    for step in plan.steps:
        if step.resources.nodes > 1 and sum(each.task == step.task for each in plan.steps) > 1:
            raise UnsupportedError(f"step {step.name} is in a loop, and runs on one node there")


def notes(step: Step, pod: Object) -> Iterator[str]:
    """What has no effect on the pods of a step on several nodes."""
    if without := sorted(pod.keys() - set(GIVEN)):
        yield f"step {step.name}: {', '.join(without)} of kubernetes has no effect on its nodes"
