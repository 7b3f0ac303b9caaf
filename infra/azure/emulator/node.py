"""One node of a job: the folders it has of storage, and what its container is started with."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from infra.azure.emulator.contract import Data, Spec
from infra.azure.emulator.machine import Work
from infra.azure.emulator.mounts import State, Unavailable, download, place_of, states, upload
from infra.azure.emulator.world import World
from infra.rehearsal.store import Record


class Node:
    """A node in one attempt at its job; ``at`` is its rank."""

    def __init__(self, world: World, spec: Spec, folder: Path, at: int) -> None:
        self._world, self._spec, self._at = world, spec, at
        self.folder = folder
        self._known: dict[str, State] = {}

    def prepare(self) -> None:
        """Mount what is read and what is written. Raises Unavailable."""
        (self.folder / "wd").mkdir(parents=True)
        for name, data in self._spec.inputs.items():
            if not download(
                self._world, place_of(data.uri, self._world), self.folder / "in" / name
            ):
                raise Unavailable(f"Data access failed: the input {name} has no data at {data.uri}")
        for name, data in self._spec.outputs.items():
            place = self.folder / "out" / name
            place.mkdir(parents=True)
            if data.mode == "ReadWriteMount":
                download(self._world, place_of(data.uri, self._world), place)
                self._known[name] = states(place)

    def sync(self) -> None:
        """What is mounted to be written is in storage as soon as it is written."""
        for name, data in self._spec.outputs.items():
            if data.mode == "ReadWriteMount":
                self._upload(name, data, self._known.setdefault(name, {}))

    def collect(self) -> None:
        """What is uploaded at the end, whatever that is: not where a machine was taken away."""
        for name, data in self._spec.outputs.items():
            if data.mode == "Upload":
                self._upload(name, data, {})

    def log(self) -> str:
        """What it printed; empty where it never began."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return ""

    def work(self, record: Record, port: int) -> Work:
        """What its container runs; several nodes meet at the ``port`` of the first."""
        spec, folder = self._spec, self.folder
        own = {**spec.environment, **_identity(self._world, record)}
        given = {name: value for name, value in self._world.environment.items() if name in own}
        if spec.processes:  # one process a node is what runs ask for; they start more themselves
            own |= {
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(self._at),
                "WORLD_SIZE": str(spec.nodes * spec.processes), "RANK": str(self._at),
                "LOCAL_RANK": "0",
            }  # fmt: skip
        places = {f"inputs.{name}": str(_seen(folder / "in" / name, each))
                  for name, each in spec.inputs.items()}  # fmt: skip
        places |= {f"outputs.{name}": str(folder / "out" / name) for name in spec.outputs}
        line = spec.line({name: shlex.quote(place) for name, place in places.items()})
        return Work(spec.image, line, {**own, **given}, folder, folder / "log")

    def _upload(self, name: str, data: Data, known: State) -> None:
        upload(self._world, self.folder / "out" / name, place_of(data.uri, self._world), known)


def _identity(world: World, record: Record) -> dict[str, str]:
    """Who the job is, and an address of MLflow's that plain MLflow cannot read."""
    scope, name = world.scope, record["name"]
    host = f"{scope.region}.api.azureml.ms"
    return {
        "AZUREML_RUN_ID": name,
        "AZUREML_ROOT_RUN_ID": record["parent"] or name,
        "AZUREML_EXPERIMENT_NAME": record["properties"].get("experimentName") or "",
        "AZUREML_ARM_SUBSCRIPTION": scope.subscription,
        "AZUREML_ARM_RESOURCEGROUP": scope.group,
        "AZUREML_ARM_WORKSPACE_NAME": scope.workspace,
        "AZUREML_SERVICE_ENDPOINT": f"https://{host}",
        "MLFLOW_TRACKING_URI": f"azureml://{host}/mlflow/v1.0",
        "MLFLOW_TRACKING_TOKEN": "made-up-for-a-rehearsal",
        "MLFLOW_RUN_ID": name,
        "MLFLOW_EXPERIMENT_ID": "0",
    }


def _seen(place: Path, data: Data) -> Path:
    """Where a job sees its input: a file is seen itself."""
    return place / data.uri.rpartition("/")[2] if data.file else place
