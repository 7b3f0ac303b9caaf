"""What was posted, as this machine executes it: Google's launcher and /gcs have stand-ins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from infra.gcp.emulator.objects import Objects
from infra.gcp.jobs import LAUNCHER, POOLS, payload_of
from infra.local import ON_HOST
from infra.plan import Constant, Imported, Parameter, Plan, Source

Node = dict[str, Any]
_ESCAPED, _WHOLE = "{{$.json_escape[1]}}", "{{$}}"
_MODULE = "infra.gcp.emulator.launch"


def executable(
    spec: Mapping[str, Any], address: str, parent: str,
    mapped: Callable[[str], str], image: Callable[[str], str],
) -> Node:  # fmt: skip
    """A pipeline's IR with the launchers replaced.

    ``mapped`` changes /gcs in variables, ``image`` is what an image is called here.
    """
    found: Node = json.loads(json.dumps(spec))  # a copy, all through
    for label, executor in found["deploymentSpec"]["executors"].items():
        container = executor.get("container")
        if container is None:
            continue
        if container.get("image") == LAUNCHER:
            pools = _taken(found, label)
            executor["container"] = _launch(container, pools, address, parent)
        else:
            container["image"] = image(container["image"])
        for variable in executor["container"].get("env", []):
            variable["value"] = mapped(variable.get("value", ""))
    return found


def imported_here(plan: Plan, objects: Objects) -> Plan:
    """The plan, what it imports from Cloud Storage as paths of this machine. Raises Refused."""

    def here(source: Source) -> Source:
        if not isinstance(source, Imported):
            return source
        uri = source.uri
        value = plan.parameters.get(uri.name) if isinstance(uri, Parameter) else uri
        text = str(value.value if isinstance(value, Constant) else value)
        if not text.startswith("gs://"):
            return source
        return source._replace(uri=Constant(str(objects.path(text).resolve())))

    steps = (
        step._replace(inputs={name: here(each) for name, each in step.inputs.items()})
        for step in plan.steps
    )
    return plan._replace(steps=tuple(steps))


def is_launch(argv: list[str]) -> bool:
    """Whether a command is that of the stand-in for Google's launcher."""
    return _MODULE in argv[:4]


def _taken(spec: Node, label: str) -> list[Node]:
    """The containers that a launcher's component gives it; it need not give them any more."""
    pools: list[Node] = []
    for component in spec["components"].values():
        if component.get("executorLabel") == label:
            given = component["inputDefinitions"]["parameters"].pop(POOLS, {})
            pools = given.get("defaultValue", pools)
    return pools


def _launch(container: Node, pools: list[Node], address: str, parent: str) -> Node:
    """The stand-in for the launcher, the words of the step's container as words of its own."""
    own = pools[0]["container_spec"]
    words = [*own.get("command", []), *own.get("args", [])]
    bare = [
        {**pool, "container_spec": {
            **{n: v for n, v in pool["container_spec"].items() if n not in ("command", "args")},
            "words": len(own.get("command", [])),
        }}
        for pool in pools
    ]  # fmt: skip
    body = json.dumps(payload_of(container, bare))
    resources = container["args"][container["args"].index("--gcp_resources") + 1]
    return {
        "image": own["image_uri"],
        "command": [sys.executable, "-m", _MODULE],
        "args": [
            address, parent, body, resources, "--",
            *[word.replace(_ESCAPED, _WHOLE) for word in words],
        ],
        "env": [{"name": ON_HOST, "value": "1"}],
    }  # fmt: skip
