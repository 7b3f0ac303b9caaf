"""Takes one job through its states, on its hosts, to its end."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.aws.emulator.contract import Contract, Processing, Unavailable
from infra.aws.emulator.machine import Work
from infra.aws.emulator.world import World
from infra.errors import TrefoilError, told
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.machine import Machine, hosts
from infra.rehearsal.store import Record

FINAL = frozenset({"Completed", "Failed", "Stopped"})
_GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL, as SageMaker has it."""
_HALT = 10.0
"""The same where the stand-in itself ends."""
_POLL, _SYNC = 0.02, 0.5
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Spot interruption; the job is restarted when capacity is available",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds",
}


class Drive:
    """One job under way."""

    def __init__(
        self, world: World, kind: str, record: Record, contract: Contract, count: int
    ) -> None:
        self._world, self._kind, self._record, self._contract = world, kind, record, contract
        self._count = count
        self._request: Mapping[str, Any] = record["request"]
        self._stop, self._halt, self._over = (threading.Event() for _ in range(3))
        self._wake = threading.Event()
        if record["status"] == "Stopping":
            self._stop.set()
        self._folder = world.folder / "jobs" / kind / record["name"]

    def stop(self) -> None:
        """End it for good."""
        with self._world.store.lock:
            if self._record["status"] == "InProgress":
                self._record["status"] = "Stopping"
                self._enter("Stopping")
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
            for host in self._folder.glob("*/*/alive"):
                end_orphan(StepDirectory(host.parent), _HALT)
            with self._world.slots:
                while self._once():
                    pass
        except Unavailable as reason:
            self._end("Failed", str(reason))
        except TrefoilError as error:
            self._end("Failed", f"ClientError: {error}")
        except OSError as error:
            self._end("Failed", f"InternalServerError: {told(error)}")
        except Exception as error:  # ours, not the job's: a thread that died would hang the run
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")
            raise
        finally:
            self._over.set()

    def _once(self) -> bool:
        """One attempt on the machines; True where another has to follow."""
        self._enter("Starting")
        if self._wait_for_machines():
            return False
        attempt = len(self._record["attempts"]) + 1
        names = hosts(self._count, alone="algo-1")
        folders = [self._folder / str(attempt) / f"algo-{at + 1}" for at in range(self._count)]
        self._enter("Downloading")
        for at, folder in enumerate(folders):
            shutil.rmtree(folder, ignore_errors=True)
            self._contract.prepare(folder / "ml", at, names)
        if self._ended_early():
            return False
        self._note_attempt(folders)
        self._enter("Training")
        began = time.monotonic()
        codes, why = self._execute(folders)
        self._record["seconds"] += time.monotonic() - began
        return self._conclude(folders, codes, why)

    def _conclude(self, folders: list[Path], codes: list[int], why: str) -> bool:
        first = folders[0] / "ml"
        if why in ("interrupted", "halted"):
            self._contract.sync(first)
            if why == "halted":
                return False
            self._enter("Interrupted")
            return True
        bad = [at for at, code in enumerate(codes) if code]
        self._enter("Uploading")
        self._contract.collect(first, well=not bad and not why)
        if isinstance(self._contract, Processing):
            self._record["message"] = self._contract.message(first)
        if why:
            self._end("Stopped", "", secondary=why)
        elif bad:
            ml = folders[bad[0]] / "ml"
            self._end("Failed", self._contract.reason(ml, codes[bad[0]]))
        else:
            self._end("Completed", "")
        return False

    def _execute(self, folders: list[Path]) -> tuple[list[int], str]:
        """Run the containers; their codes, and why they were ended where they were."""
        machines = [self._start(folder) for folder in folders]
        codes = [0] * len(machines)
        left = threading.Semaphore(0)

        def wait(at: int) -> None:
            codes[at] = machines[at].wait()
            if codes[at]:  # a job of which one host fails has failed
                for each in machines:
                    each.kill()
            left.release()

        threads = [threading.Thread(target=wait, args=(at,)) for at in range(len(machines))]
        for thread in threads:
            thread.start()
        why = self._watch(machines, threads, folders[0])
        for thread in threads:
            thread.join()
        return codes, why

    def _watch(self, machines: list[Machine], threads: list[threading.Thread], folder: Path) -> str:
        """Look on until they end, or have to; why they were ended."""
        began = synced = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            if why := self._why(time.monotonic() - began, folder):
                for machine in machines:
                    machine.terminate()
                grace = _HALT if why == "halted" else self._world.scenario.get("grace", _GRACE)
                self._until(threads, grace)
                for machine in machines:
                    machine.kill()
                return why
            if time.monotonic() - synced > _SYNC:
                self._contract.sync(folder / "ml")
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
            return "Stopped"
        longest = self._request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        if longest and self._record["seconds"] + seconds > longest:
            return "MaxRuntimeExceeded"
        return "interrupted" if self._interrupted(seconds, folder) else ""

    def _interrupted(self, seconds: float, folder: Path) -> bool:
        """Whether the scenario takes the spot machine away now."""
        if not self._request.get("EnableManagedSpotTraining"):
            return False
        attempt = len(self._record["attempts"])
        for each in self._world.scenario.get("interruptions", ()):
            if not re.search(each.get("step", ""), self._record["step"]):
                continue
            if attempt > each.get("times", 1) or seconds < each.get("after", 0.0):
                continue
            if "says" not in each or re.search(each["says"], _log(folder)):
                return True
        return False

    def _start(self, folder: Path) -> Machine:
        own = self._contract.environment()
        given = {name: value for name, value in self._world.environment.items() if name in own}
        environment = {**own, **given, "AWS_REGION": self._world.region}
        image = (
            self._request["AlgorithmSpecification"].get("TrainingImage", "")
            if self._kind == "Training"
            else self._request["AppSpecification"]["ImageUri"]
        )
        words = self._contract.words()
        work = Work(image, words, environment, folder / "ml", folder / "log")
        return self._world.machines.start(work)

    def _wait_for_machines(self) -> bool:
        """Wait as a cloud makes one wait; True where the job ended meanwhile."""
        spot = self._request.get("EnableManagedSpotTraining", False)
        start: float = self._world.scenario.get("start", 0.0)
        self._world.clock.wait(start, self._wake)
        for each in self._world.scenario.get("no_capacity", ()):
            while (
                re.search(each.get("step", ""), self._record["step"])
                and self._hindered() < each.get("times", 1)
                and not self._ended_early()
            ):
                self._record["hindered"] += 1
                if not spot:
                    self._end(
                        "Failed",
                        "CapacityError: Unable to provision requested ML compute capacity. "
                        "Please retry using a different ML instance type.",
                    )
                    return True
                self._world.clock.wait(each.get("wait", 600.0), self._wake)
                if self._waited_too_long(each.get("wait", 600.0)):
                    self._end("Stopped", "", secondary="MaxWaitTimeExceeded")
                    return True
        return self._ended_early()

    def _waited_too_long(self, seconds: float) -> bool:
        longest = self._request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
        return bool(longest) and self._record["hindered"] * seconds > longest

    def _hindered(self) -> int:
        """How often the scenario has kept machines from this step, whatever its jobs."""
        jobs = self._world.store.of(self._kind)
        return sum(job["hindered"] for job in jobs if job["step"] == self._record["step"])

    def _ended_early(self) -> bool:
        if self._stop.is_set():
            self._end("Stopped", "")
        return self._stop.is_set() or self._halt.is_set()

    def _note_attempt(self, folders: list[Path]) -> None:
        before = self._record["attempts"][-1]["epoch"] if self._record["attempts"] else 0
        epoch = max(round(time.time()), before + 1)
        logs = [str((folder / "log").relative_to(self._world.folder)) for folder in folders]
        self._record["attempts"].append({"epoch": epoch, "logs": logs})
        self._record["started"] = self._record["started"] or round(time.time(), 3)

    def _enter(self, secondary: str) -> None:
        with self._world.store.lock:
            now = round(time.time(), 3)
            transitions = self._record["transitions"]
            if transitions and transitions[-1]["Status"] == secondary:
                return
            if transitions:
                transitions[-1]["EndTime"] = now
            words = {"StatusMessage": _MESSAGES[secondary]}
            transitions.append({"Status": secondary, "StartTime": now, **words})
            self._record["secondary"] = secondary
            self._world.store.save(self._kind, self._record)

    def _end(self, status: str, reason: str, secondary: str = "") -> None:
        with self._world.store.lock, contextlib.suppress(OSError):
            self._record["reason"] = reason
            self._record["ended"] = round(time.time(), 3)
            self._record["status"] = status
            self._enter(secondary or status)


def _log(folder: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (folder / "log").read_text(encoding="utf-8", errors="replace")
    return ""
