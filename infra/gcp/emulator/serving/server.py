"""One server of what is deployed, by Vertex AI's contract: AIP_HTTP_PORT and its kin.

Facts are of "Custom container requirements for prediction". It stands for all machines of what is
deployed, and fetches its files by itself from AIP_STORAGE_URI.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from infra.errors import TrefoilError
from infra.gcp.emulator.machine import Processes, Work
from infra.gcp.emulator.operations import Halted
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.world import Record, World
from infra.rehearsal.machine import Machine, name_of
from infra.rehearsal.served import LOST, Reply, Server, free_port

_LOOPBACK = ("--host", "127.0.0.1")
_COMMANDS = {"trefoil-server": ("python", "-m", "components.serve", *_LOOPBACK)}
"""What images of ours do by themselves, which only Docker would know."""
_STARTUP = "1800s"
"""How long a server has to be healthy, unless its model says otherwise."""
_POLL = 0.1
"""Seconds between two looks at its health."""


class Place(NamedTuple):
    """Who a server is: what is deployed, where, or a job; ``words`` name it in errors."""

    endpoint: str
    deployed: str
    machine: Mapping[str, Any]


class Started(Server):
    """A server that runs."""

    def __init__(self, machine: Machine, port: int, folder: Path, spec: Mapping[str, Any]) -> None:
        super().__init__(machine, port, folder, spec["healthRoute"])
        self._base, self._spec = f"http://127.0.0.1:{port}", spec

    def predict(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """One request to the predict route. Raises Refused where there is no answer."""
        try:
            return self.ask("POST", self._spec["predictRoute"], body, headers, seconds)
        except LOST as error:
            words = f"The model server did not answer: {error}."
            raise Refused("UNAVAILABLE", words) from None

    def addresses(self) -> dict[str, str]:
        """Where a network of its own reaches it."""
        return {
            "predictHttpUri": f"{self._base}{self._spec['predictRoute']}",
            "healthHttpUri": f"{self._base}{self._spec['healthRoute']}",
        }


def started(
    world: World, folder: Path, version: Record, place: Place, halt: threading.Event
) -> Started:
    """A server that is healthy. Raises Refused, and Halted where ``halt`` was set meanwhile."""
    spec = _routed(version["body"].get("containerSpec", {}), place)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {
        **{each["name"]: each.get("value", "") for each in spec.get("env", ())},
        **_contract(world, version, spec, place, port),
    }
    words, arguments = _words(world, spec)
    work = Work(spec["imageUri"], words, environment, world.objects.root, folder, arguments)
    try:
        server = Started(world.machines.start(work), port, folder, spec)
    except TrefoilError as error:
        raise _failed(world, f"Model server could not be started: {error}") from None
    longest = float(str(spec.get("deploymentTimeout", _STARTUP)).rstrip("s"))
    deadline = time.monotonic() + world.scenario.get("startup", longest)
    while not server.healthy():
        if halt.wait(_POLL):
            server.stop()
            raise Halted
        if server.gone() or time.monotonic() > deadline:
            gone = server.gone()
            server.stop()
            raise _failed(world, _EXITED if gone else _NEVER)
    return server


_EXITED = "Model server exited unexpectedly."
_NEVER = (
    "Model server never became ready. Please validate that your model file or container "
    "configuration are valid."
)


def _failed(world: World, words: str) -> Refused:
    """In the words that those quote whom it happened to."""
    resource = quote("aiplatform.googleapis.com/Endpoint", safe="")
    query = f"project={world.number}&resource={resource}"
    where = f"https://console.cloud.google.com/logs/viewer?{query}"
    return Refused("FAILED_PRECONDITION", f"{words} Model server logs can be found at {where}.")


def _routed(spec: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The specification, with the routes that Vertex AI takes where it names none."""
    route = f"/v1/endpoints/{place.endpoint}/deployedModels/{place.deployed}"
    return {"healthRoute": route, "predictRoute": f"{route}:predict", **spec}


def _contract(
    world: World, version: Record, spec: Mapping[str, Any], place: Place, port: int
) -> dict[str, str]:
    """What a container is told of itself. As a process it is given a port that is free."""
    machine = place.machine
    accelerator = machine.get("acceleratorType", "")
    return {
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_PROJECT_NUMBER": world.number,
        "AIP_MODEL_NAME": version["model"],
        "AIP_ENDPOINT_ID": place.endpoint,
        "AIP_DEPLOYED_MODEL_ID": place.deployed,
        "AIP_MACHINE_TYPE": machine.get("machineType", ""),
        **({"AIP_ACCELERATOR_TYPE": accelerator} if accelerator else {}),
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": spec["healthRoute"],
        "AIP_PREDICT_ROUTE": spec["predictRoute"],
        "AIP_STORAGE_URI": version["files"],
    }


def _words(world: World, spec: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The command, and the arguments of the image's own where there is none.

    Where a process is to be an image, it is what that does by itself. Ours listens on loopback: a
    container is on the host's network here.
    """
    command, arguments = list(spec.get("command", ())), list(spec.get("args", ()))
    if command:
        return [*command, *arguments], []
    name = name_of(spec["imageUri"])
    if not isinstance(world.machines, Processes):
        return [], [*arguments, *(_LOOPBACK if name in _COMMANDS else ())]
    known: Mapping[str, Sequence[str]] = {**_COMMANDS, **world.scenario.get("commands", {})}
    return [*known.get(name, ()), *arguments], []
