"""Takes one job through its states, on its nodes, to its end."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import threading
import time
from pathlib import Path

from infra.azure.emulator.contract import Data, Spec
from infra.azure.emulator.machine import Work
from infra.azure.emulator.mounts import State, Unavailable, download, place_of, states, upload
from infra.azure.emulator.world import World, now
from infra.errors import TrefoilError, told
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.machine import Machine
from infra.rehearsal.served import free_port
from infra.rehearsal.store import Record

FINAL = frozenset({"Completed", "Failed", "Canceled"})
_GRACE = 30.0
"""Seconds that a job which is cancelled has between SIGTERM and SIGKILL."""
_HALT = 10.0
"""The same where the stand-in itself ends."""
_POLL, _SYNC = 0.05, 0.5


class Drive:
    """One job under way."""

    def __init__(self, world: World, record: Record, spec: Spec) -> None:
        self._world, self._record, self._spec = world, record, spec
        self._stop, self._halt, self._over = (threading.Event() for _ in range(3))
        self._wake = threading.Event()
        self._known: dict[str, State] = {}
        if record["status"] == "CancelRequested":
            self._stop.set()
        self._folder = (world.folder / "work" / record["name"]).resolve()

    def stop(self) -> None:
        """End it for good."""
        with self._world.store.lock:
            if self._record["status"] not in FINAL:
                self._enter("CancelRequested")
        self._stop.set()
        self._wake.set()

    def halt(self) -> None:
        """Leave it where it stands, to go on later."""
        self._halt.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until it has ended, or is halted."""
        self._over.wait()

    def run(self) -> None:
        """All of it; never raises."""
        try:
            for node in self._folder.glob("*/*/alive"):
                end_orphan(StepDirectory(node.parent), _HALT)
            with self._world.slots:
                while self._once():
                    pass
        except Unavailable as reason:
            self._end("Failed", "UserError", str(reason))
        except TrefoilError as error:
            self._end("Failed", "UserError", str(error))
        except OSError as error:
            self._end("Failed", "ServiceError", told(error))
        except Exception as error:  # ours, not the job's: a thread that died would hang the run
            self._end("Failed", "ServiceError", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._over.set()

    def _once(self) -> bool:
        """One attempt on the machines; True where another has to follow."""
        self._enter("Queued" if self._record["attempts"] else "Starting")
        if self._wait_for_machines():
            return False
        self._enter("Preparing")
        self._require_image()
        attempt = len(self._record["attempts"]) + 1
        folders = [self._folder / str(attempt) / f"node-{at}" for at in range(self._spec.nodes)]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            self._prepare(folder)
        if self._ended_early():
            return False
        self._note_attempt(folders)
        self._enter("Running")
        began = time.monotonic()
        codes, why = self._execute(folders)
        self._record["seconds"] += time.monotonic() - began
        return self._conclude(folders, codes, why)

    def _conclude(self, folders: list[Path], codes: list[int], why: str) -> bool:
        if why == "halted":
            self._sync(folders[0])
            return False
        if why == "interrupted":
            return True
        self._enter("Finalizing")
        self._sync(folders[0])
        bad = [at for at, code in enumerate(codes) if code]
        if why == "timeout":
            words = f"The job exceeded its timeout of {self._spec.timeout:g} seconds"
            self._end("Canceled", "JobTimeout", words)
        elif why:
            self._end("Canceled")
        elif bad:
            self._collect(folders[0])
            log = self._log(folders[bad[0]]).strip().splitlines()
            words = (
                f"Execution failed. User process '/bin/bash' exited with status code "
                f"{codes[bad[0]]}. Please check log file 'user_logs/std_log.txt' for error "
                f"details. Error: {log[-1] if log else ''}"
            )
            self._end("Failed", "UserError", words)
        else:
            self._collect(folders[0])
            self._end("Completed")
        return False

    # --- its folders

    def _prepare(self, folder: Path) -> None:
        """Mount what is read and what is written. Raises Unavailable."""
        (folder / "wd").mkdir(parents=True)
        for name, data in self._spec.inputs.items():
            if not download(self._world, place_of(data.uri, self._world), folder / "in" / name):
                raise Unavailable(f"Data access failed: the input {name} has no data at {data.uri}")
        for name, data in self._spec.outputs.items():
            place = folder / "out" / name
            place.mkdir(parents=True)
            if data.mode == "ReadWriteMount":
                download(self._world, place_of(data.uri, self._world), place)
                self._known[name] = states(place)

    def _sync(self, folder: Path) -> None:
        """What is mounted to be written is in storage as soon as it is written."""
        for name, data in self._spec.outputs.items():
            if data.mode == "ReadWriteMount":
                self._upload(folder, name, data, self._known.setdefault(name, {}))

    def _collect(self, folder: Path) -> None:
        """What is uploaded at the end, whatever that is: not where a machine was taken away."""
        for name, data in self._spec.outputs.items():
            if data.mode == "Upload":
                self._upload(folder, name, data, {})

    def _upload(self, folder: Path, name: str, data: Data, known: State) -> None:
        upload(self._world, folder / "out" / name, place_of(data.uri, self._world), known)

    # --- its containers

    def _execute(self, folders: list[Path]) -> tuple[list[int], str]:
        """Run the containers; their codes, and why they were ended where they were."""
        port = free_port()
        machines = [self._start(folder, at, port) for at, folder in enumerate(folders)]
        codes = [0] * len(machines)

        def wait(at: int) -> None:
            codes[at] = machines[at].wait()
            if codes[at]:  # a job of which one node fails has failed
                for each in machines:
                    each.kill()

        threads = [threading.Thread(target=wait, args=(at,)) for at in range(len(machines))]
        for thread in threads:
            thread.start()
        why = self._watch(machines, threads, folders[0])
        for thread in threads:
            thread.join()
        return codes, why

    def _start(self, folder: Path, at: int, port: int) -> Machine:
        spec = self._spec
        own = {**spec.environment, **self._identity()}
        given = {name: value for name, value in self._world.environment.items() if name in own}
        if spec.processes:  # one process a node is what runs ask for; they start more themselves
            own |= {
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(at),
                "WORLD_SIZE": str(spec.nodes * spec.processes), "RANK": str(at),
                "LOCAL_RANK": "0",
            }  # fmt: skip
        places = {f"inputs.{name}": str(_seen(folder / "in" / name, each))
                  for name, each in spec.inputs.items()}  # fmt: skip
        places |= {f"outputs.{name}": str(folder / "out" / name) for name in spec.outputs}
        line = spec.line({name: shlex.quote(place) for name, place in places.items()})
        return self._world.machines.start(
            Work(spec.image, line, {**own, **given}, folder, folder / "log")
        )

    def _identity(self) -> dict[str, str]:
        """Who the job is, and an address of MLflow's that plain MLflow cannot read."""
        scope, name = self._world.scope, self._record["name"]
        host = f"{scope.region}.api.azureml.ms"
        return {
            "AZUREML_RUN_ID": name,
            "AZUREML_ROOT_RUN_ID": self._record["parent"] or name,
            "AZUREML_EXPERIMENT_NAME": self._record["properties"].get("experimentName") or "",
            "AZUREML_ARM_SUBSCRIPTION": scope.subscription,
            "AZUREML_ARM_RESOURCEGROUP": scope.group,
            "AZUREML_ARM_WORKSPACE_NAME": scope.workspace,
            "AZUREML_SERVICE_ENDPOINT": f"https://{host}",
            "MLFLOW_TRACKING_URI": f"azureml://{host}/mlflow/v1.0",
            "MLFLOW_TRACKING_TOKEN": "made-up-for-a-rehearsal",
            "MLFLOW_RUN_ID": name,
            "MLFLOW_EXPERIMENT_ID": "0",
        }

    def _watch(self, machines: list[Machine], threads: list[threading.Thread], folder: Path) -> str:
        """Look on until they end, or have to; why they were ended."""
        began = synced = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            if why := self._why(time.monotonic() - began, folder):
                if why != "interrupted":  # a machine that is taken away gives no sign
                    for machine in machines:
                        machine.terminate()
                    grace = _HALT if why == "halted" else self._world.scenario.get("grace", _GRACE)
                    self._until(threads, grace)
                for machine in machines:
                    machine.kill()
                return why
            if time.monotonic() - synced > _SYNC:
                self._sync(folder)
                synced = time.monotonic()
            self._wake.wait(_POLL)
        return ""

    def _until(self, threads: list[threading.Thread], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _why(self, seconds: float, folder: Path) -> str:
        if self._halt.is_set():
            return "halted"
        if self._stop.is_set():
            return "stopped"
        longest = self._spec.timeout
        if longest and self._record["seconds"] + seconds > longest:
            return "timeout"
        return "interrupted" if self._interrupted(seconds, folder) else ""

    def _interrupted(self, seconds: float, folder: Path) -> bool:
        """Whether the scenario takes the spot machine away now."""
        if not self._spec.spot:
            return False
        attempt = len(self._record["attempts"])
        for each in self._world.scenario.get("interruptions", ()):
            if not re.search(each.get("step", ""), self._spec.step):
                continue
            if attempt > each.get("times", 1) or seconds < each.get("after", 0.0):
                continue
            if "says" not in each or re.search(each["says"], self._log(folder)):
                return True
        return False

    # --- its machines

    def _wait_for_machines(self) -> bool:
        """Wait as a cloud makes one wait; True where the job ended meanwhile."""
        start: float = self._world.scenario.get("start", 0.0)
        self._world.clock.wait(start, self._wake)
        for each in self._world.scenario.get("no_capacity", ()):
            if not re.search(each.get("step", ""), self._spec.step):
                continue
            if self._hindered() < each.get("times", 1) and not self._ended_early():
                self._record["hindered"] += 1
                self._end(
                    "Failed", "ClusterCapacityError",
                    "Allocation failed. We do not have sufficient capacity for the requested VM "
                    f"size {self._spec.machine} in this region.",
                )  # fmt: skip
                return True
        return self._ended_early() or self._beyond_quota()

    def _beyond_quota(self) -> bool:
        """Whether the scenario gives the account too few machines of this type."""
        limits = self._world.scenario.get("limits", {})
        limit = limits.get(self._spec.machine, limits.get("*"))
        if limit is None or self._spec.nodes <= limit:
            return False
        self._end(
            "Failed", "ClusterCoreQuotaReached",
            f"The specified subscription has a quota of {limit} machines of "
            f"{self._spec.machine}, and {self._spec.nodes} were requested.",
        )  # fmt: skip
        return True

    def _hindered(self) -> int:
        """How often the scenario has kept machines from this step, whatever its jobs."""
        jobs = self._world.store.of("jobs")
        return sum(job["hindered"] for job in jobs if job["step"] == self._record["step"])

    def _require_image(self) -> None:
        missing = self._world.scenario.get("missing_images")
        if missing and re.search(missing, self._spec.image):
            raise Unavailable(
                f"Failed to pull Docker image {self._spec.image}: manifest unknown. This error may "
                "occur because the compute could not authenticate with the Docker registry, or the "
                "image does not exist."
            )

    def _ended_early(self) -> bool:
        if self._stop.is_set():
            self._end("Canceled")
        return self._stop.is_set() or self._halt.is_set()

    def _note_attempt(self, folders: list[Path]) -> None:
        logs = [str((folder / "log").relative_to(self._world.folder.resolve()))
                for folder in folders]  # fmt: skip
        self._record["attempts"].append(logs)
        self._record["started"] = self._record["started"] or now()

    def _enter(self, status: str) -> None:
        with self._world.store.lock:
            if self._record["status"] == "CancelRequested" and status not in FINAL:
                return
            self._record["status"] = status
            self._world.store.save("jobs", self._record)

    def _end(self, status: str, code: str = "", words: str = "") -> None:
        with self._world.store.lock, contextlib.suppress(OSError):
            self._record["error"] = {"code": code, "message": words} if code else None
            self._record["ended"] = now()
            self._enter(status)

    def _log(self, folder: Path) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (folder / "log").read_text(encoding="utf-8", errors="replace")
        return ""


def _seen(place: Path, data: Data) -> Path:
    """Where a job sees its input: a file is seen itself."""
    return place / data.uri.rpartition("/")[2] if data.file else place
