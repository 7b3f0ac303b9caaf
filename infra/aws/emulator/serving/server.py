"""One server of an endpoint, by SageMaker's contract: /ping and /invocations on port 8080.

Facts are of the developer guide: "Custom inference code with hosting services". It stands for all
the machines of its variant.
"""

from __future__ import annotations

import shutil
import tarfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.aws.emulator.machine import Work
from infra.aws.emulator.serving.models import data
from infra.aws.emulator.world import World
from infra.errors import TrefoilError
from infra.rehearsal.served import Server, free_port

_HEALTHY = 480
"""Seconds in which a server must answer /ping, unless the configuration says otherwise."""
_POLL = 0.1
"""Seconds between two looks at its health."""


class Unhealthy(Exception):
    """It did not come to serve; the reason, as an endpoint has it."""


class Halted(Exception):
    """The stand-in ends."""


def started(
    world: World, folder: Path, variant: Mapping[str, Any], halt: threading.Event
) -> Server:
    """A server that is healthy. Raises Unhealthy, and Halted where ``halt`` was set meanwhile."""
    name, container = variant["name"], variant["container"]
    _fetch(world, container, folder / "ml/model", name)
    port = free_port()
    environment = {**container.get("Environment", {}), "AWS_REGION": world.region}
    work = Work(container["Image"], [], environment, folder / "ml", folder / "log", port)
    try:
        server = Server(world.machines.start(work), port, folder, "/ping")
    except TrefoilError as error:
        raise Unhealthy(
            f"The container for production variant {name} did not start: {error}"
        ) from None
    longest = variant["asked"].get("ContainerStartupHealthCheckTimeoutInSeconds", _HEALTHY)
    deadline = time.monotonic() + world.scenario.get("startup", longest)
    while not server.healthy():
        if halt.wait(_POLL):
            server.stop()
            raise Halted
        if server.gone() or time.monotonic() > deadline:
            server.stop()
            raise Unhealthy(
                f"The primary container for production variant {name} did not pass the ping health "
                "check. Please check CloudWatch logs for this endpoint."
            )
    return server


def _fetch(world: World, container: Mapping[str, Any], folder: Path, name: str) -> None:
    """The model's files, unpacked where they are packed. Raises Unhealthy."""
    folder.mkdir(parents=True)
    uri, source = data(container), container.get("ModelDataSource", {}).get("S3DataSource", {})
    if not uri:
        return
    if source.get("CompressionType") == "None":
        found = world.objects.download(uri, folder)
    else:
        packed = folder.with_name("packed")
        found = world.objects.download(uri, packed)
        try:
            for archive in packed.iterdir() if found else ():
                with tarfile.open(archive) as opened:
                    opened.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError):
            raise Unhealthy(
                f'Failed to extract model data archive from URL "{uri}" for the container of '
                f"production variant {name}. Please ensure that the object located at the URL is "
                "a valid tar.gz archive."
            ) from None
        shutil.rmtree(packed, ignore_errors=True)
    if not found:
        raise Unhealthy(f"Failed to download model data for production variant {name} from {uri}.")
