"""Takes endpoints and deployments from the state that they change in to the next that stays.

A deployment that is created ends Succeeded or Failed. One that is updated serves by what it was
until the new server is ready, and goes on so where that never is.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.azure.emulator.mounts import Unavailable, download, place_of
from infra.azure.emulator.serving.machine import Serving, ServingMachines
from infra.azure.emulator.serving.rented import RENTED, instance
from infra.azure.emulator.serving.server import Halted, Unready, started
from infra.azure.emulator.world import World
from infra.errors import TrefoilError, told
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.served import ENDED, Server
from infra.rehearsal.store import Record
from infra.storage import write_whole

CHANGING = frozenset({"Creating", "Updating", "Scaling", "Deleting"})
KINDS = ("onlineEndpoints", "deployments")
_HALT = 10.0
"""Seconds that a server of a rehearsal that was killed has to end."""
_TROUBLE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"


class Changes:
    """What changes, each in a thread, and the servers of the deployments that are up."""

    def __init__(self, world: World, machines: ServingMachines) -> None:
        self._world, self._machines = world, machines
        self._servers: dict[str, Server] = {}
        self._threads: list[threading.Thread] = []
        self._halt = threading.Event()
        self._raising = threading.Lock()

    def begin(self, kind: str, record: Record) -> None:
        """Go on with one from the state that it is in."""
        if self._halt.is_set():
            return
        thread = threading.Thread(target=self._change, args=(kind, record), daemon=True)
        self._threads.append(thread)
        thread.start()

    def resume(self) -> None:
        """End what a rehearsal that was killed left running, and go on with what was changing."""
        for alive in (self._world.folder / "endpoints").glob("*/*/*/alive"):
            if end_orphan(StepDirectory(alive.parent), _HALT):
                (alive.parent / ENDED).touch()
        for kind in KINDS:
            for record in self._world.store.of(kind):
                if record["error"]:
                    self._world.operations.end(record["operation"], record["error"])
                if record["status"] in CHANGING:
                    self.begin(kind, record)

    def close(self) -> None:
        """Halt what changes, and end the servers."""
        self._halt.set()
        for thread in self._threads:
            thread.join()
        ending = [threading.Thread(target=each.stop) for each in self._servers.values()]
        for each in ending:
            each.start()
        for each in ending:
            each.join()

    def server(self, record: Record) -> Server:
        """That of a deployment which succeeded; started where an earlier rehearsal ended it.

        Raises Unready, Halted.
        """
        with self._raising:
            if record["name"] not in self._servers:
                self._servers[record["name"]] = self._raised(record)
            return self._servers[record["name"]]

    def _change(self, kind: str, record: Record) -> None:
        """All of it; never raises. What was halted goes on when the stand-in is started again."""
        world = self._world
        if world.clock.wait(world.scenario.get("start", 0.0), self._halt):
            return
        error: dict[str, str] | None = None
        try:
            if record["status"] == "Deleting":
                self._remove(kind, record)
                world.operations.end(record["operation"])
                return
            if kind == "deployments":
                self._renew(record)
        except Halted:
            return
        except Unready as reason:
            error = {"code": reason.code, "message": str(reason)}
        except TrefoilError as reason:
            error = {"code": "BadArgument", "message": str(reason)}
        except OSError as reason:
            error = {"code": "InternalServerError", "message": told(reason)}
        with world.store.lock:
            record.update(status="Failed" if error else "Succeeded", error=error)
            world.store.save(kind, record)
        world.operations.end(record["operation"], error)

    def _renew(self, record: Record) -> None:
        new = self._raised(record)
        old = self._servers.get(record["name"])
        self._servers[record["name"]] = new
        if old:
            old.stop()

    def _remove(self, kind: str, record: Record) -> None:
        gone = [record] if kind == "deployments" else [
            each for each in self._world.store.of("deployments")
            if each["endpoint"] == record["name"]
        ]  # fmt: skip
        for each in gone:
            if server := self._servers.pop(each["name"], None):
                server.stop()
            self._world.store.remove("deployments", each["name"])
        if kind != "deployments":
            self._world.store.remove(kind, record["name"])

    def _raised(self, record: Record) -> Server:
        """A server that is ready. Raises Unready, Halted."""
        request, made_of = record["request"], record["made_of"]
        self._require_image(made_of["image"])
        machine = place(self._world, record) / instance()
        machine.mkdir(parents=True)
        write_whole(machine / RENTED, json.dumps(_rented(record)))
        environment = dict(request["properties"].get("environmentVariables") or {})
        mount = request["properties"].get("modelMountPath") or "/var/azureml-app"
        root = machine / "model"
        files = root / "azureml-models" / made_of["model_name"].replace("~", "/")
        self._initialise(record, made_of, files)
        environment["AZUREML_MODEL_DIR"] = f"{mount}/{files.relative_to(root)}"
        work = Serving(
            made_of["image"], environment, root, mount, machine / "log",
            made_of["routes"]["scoringRoute"]["port"],
        )  # fmt: skip
        shutil.rmtree(place(self._world, record) / "last", ignore_errors=True)
        write_whole(place(self._world, record) / "last", str(machine))
        return started(self._world, self._machines, work, made_of["routes"], request, self._halt)

    def _require_image(self, image: str) -> None:
        """Raise Unready where the scenario has no such image."""
        missing = self._world.scenario.get("missing_images")
        if missing and re.search(missing, image):
            raise Unready(
                "ImagePullFailure",
                f"Failed to pull the image {image}: it does not exist, or the identity of the "
                "endpoint may not pull it.",
            )

    def _initialise(self, record: Record, made_of: Mapping[str, Any], files: Path) -> None:
        """Fetch the model, and print how that went. Raises Unready."""
        lines = [f"Downloading model from {made_of['model']}"]
        try:
            found = place_of(made_of["model"], self._world)
            count = download(
                self._world, found, files / found.prefix.rstrip("/").rpartition("/")[2]
            )
            if not count:
                raise Unavailable(f"nothing lies at {made_of['model']}")
            lines.append(f"Downloaded {count} files")
        except Unavailable as error:
            lines.append(f"Failed to download the model: {error}")
            raise Unready(
                "ResourceNotReady",
                f"The storage initializer failed to download the model. {_TROUBLE}resourcenotready",
            ) from None
        finally:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            folder = place(self._world, record)
            write_whole(folder / "initializer", "".join(f"{stamp} {each}\n" for each in lines))


def place(world: World, record: Record) -> Path:
    """Where the folders of a deployment's machines lie."""
    endpoint, _, name = record["name"].partition(".")
    folder: Path = world.folder / "endpoints" / endpoint / name
    return folder


def logs(world: World, record: Record) -> dict[str, Path]:
    """By container, what the newest machine of a deployment printed."""
    folder = place(world, record)
    last = folder / "last"
    machine = Path(last.read_text(encoding="utf-8")) if last.exists() else folder
    return {"InferenceServer": machine / "log", "StorageInitializer": folder / "initializer"}


def _rented(record: Record) -> dict[str, Any]:
    request = record["request"]
    return {
        "endpoint": record["endpoint"], "deployment": record["name"].partition(".")[2],
        "machine": request["properties"].get("instanceType", ""),
        "machines": int((request.get("sku") or {}).get("capacity") or 1),
    }  # fmt: skip
