"""Takes one CustomJob through its states, on its replicas, to its end."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import TrefoilError, told
from infra.gcp.emulator.machine import Work
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.replicas import Replica, environment, replicas
from infra.gcp.emulator.world import Record, World
from infra.gcp.names import STEP
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.machine import Machine

KIND = "CustomJob"
FINAL = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"})
STOCKOUT = (
    "Resources are insufficient in region: {}. Please try a different region or use a different "
    "accelerator."
)
_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL, as third parties report it of spot machines."""
_HALT = 10.0
"""The same where the stand-in itself ends."""
_POLL = 0.05


class Drive:
    """One job under way."""

    def __init__(self, world: World, record: Record) -> None:
        self._world, self._record = world, record
        self._spec: Mapping[str, Any] = record["body"]["jobSpec"]
        self._replicas = replicas(self._spec)
        self._stop, self._halt, self._over = (threading.Event() for _ in range(3))
        self._wake = threading.Event()
        self._first: int | None = None
        """Which replica failed before all others."""
        if record["state"] == "JOB_STATE_CANCELLING":
            self._stop.set()
        self._folder = world.folder / "jobs" / record["name"]

    def stop(self) -> None:
        """End it for good."""
        with self._world.store.lock:
            if self._record["state"] not in FINAL:
                self._enter("JOB_STATE_CANCELLING")
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
        except Refused as refused:
            self._fail(refused)
        except TrefoilError as error:
            self._fail(Refused("INVALID_ARGUMENT", str(error)))
        except OSError as error:
            self._fail(Refused("INTERNAL", told(error)))
        except Exception as error:  # ours, not the job's: a thread that died would hang the run
            self._fail(Refused("INTERNAL", f"{type(error).__name__}: {error}"))
            raise
        finally:
            self._over.set()

    def _once(self) -> bool:
        """One attempt on the machines; True where another has to follow."""
        self._enter("JOB_STATE_PENDING")
        if self._wait_for_machines():
            return False
        attempt = len(self._record["attempts"]) + 1
        folders = [self._folder / str(attempt) / each.log for each in self._replicas]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        if self._ended_early():
            return False
        self._note_attempt(folders)
        self._enter("JOB_STATE_RUNNING")
        began = time.monotonic()
        codes, why = self._execute(folders)
        self._record["seconds"] += time.monotonic() - began
        return self._conclude(codes, why)

    def _conclude(self, codes: list[int], why: str) -> bool:
        if why == "halted":
            return False
        if why == "interrupted":
            return True
        if why == "cancelled":
            self._end("JOB_STATE_CANCELLED", Refused("CANCELLED", "CANCELED"))
        elif why:
            self._fail(Refused("DEADLINE_EXCEEDED", why))
        elif any(codes):
            at = self._first if self._first is not None else 0
            name = self._replicas[at].log
            words = (
                f"The replica {name} exited with a non-zero status of {codes[at]}. To find out "
                "more about why your job exited please check the logs."
            )
            self._fail(Refused("INVALID_ARGUMENT", words))
        else:
            self._end("JOB_STATE_SUCCEEDED", None)
        return False

    def _execute(self, folders: list[Path]) -> tuple[list[int], str]:
        """Run the containers; their codes, and why they were ended where they were."""
        hosts = self._world.machines.hosts(len(folders))
        machines = [
            self._start(replica, folder, hosts)
            for replica, folder in zip(self._replicas, folders, strict=True)
        ]
        codes = [0] * len(machines)
        self._first = None

        def wait(at: int) -> None:
            codes[at] = machines[at].wait()
            if codes[at] and self._first is None:  # a job of which one replica fails has failed
                self._first = at
                for each in machines:
                    each.kill()

        threads = [threading.Thread(target=wait, args=(at,)) for at in range(len(machines))]
        for thread in threads:
            thread.start()
        why = self._watch(machines, threads, folders[0])
        for thread in threads:
            thread.join()
        return codes, why

    def _watch(self, machines: list[Machine], threads: list[threading.Thread], folder: Path) -> str:
        """Look on until they end, or have to; why they were ended."""
        began = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            if why := self._why(time.monotonic() - began, folder):
                for machine in machines:
                    machine.terminate()
                grace = _HALT if why == "halted" else self._world.scenario.get("grace", _GRACE)
                deadline = time.monotonic() + grace
                for thread in threads:
                    thread.join(max(0.0, deadline - time.monotonic()))
                for machine in machines:
                    machine.kill()
                return why
            self._wake.wait(_POLL)
        return ""

    def _why(self, seconds: float, folder: Path) -> str:
        if self._halt.is_set():
            return "halted"
        if self._stop.is_set():
            return "cancelled"
        timeout = str((self._spec.get("scheduling") or {}).get("timeout", "")).removesuffix("s")
        if timeout and self._record["seconds"] + seconds > float(timeout):
            return f"The job has exceeded its timeout of {timeout}s."
        return "interrupted" if self._interrupted(seconds, folder) else ""

    def _interrupted(self, seconds: float, folder: Path) -> bool:
        """Whether the scenario takes the spot machine away now."""
        if not self._on_spot():
            return False
        attempt = len(self._record["attempts"])
        for each in self._world.scenario.get("interruptions", ()):
            if not re.search(each.get("step", ""), self._step()):
                continue
            if attempt > each.get("times", 1) or seconds < each.get("after", 0.0):
                continue
            if "says" not in each or re.search(each["says"], _log(folder)):
                return True
        return False

    def _on_spot(self) -> bool:
        return (self._spec.get("scheduling") or {}).get("strategy") in ("SPOT", 5)

    def _step(self) -> str:
        body = self._record["body"]
        return str(body.get("labels", {}).get(STEP, body["displayName"]))

    def _start(self, replica: Replica, folder: Path, hosts: list[str]) -> Machine:
        container = self._spec["workerPoolSpecs"][replica.pool]["containerSpec"]
        own = environment(self._spec, self._record["arn"], replica, hosts)
        given = {name: value for name, value in self._world.environment.items() if name in own}
        words = [*container.get("command", []), *container.get("args", [])]
        work = Work(
            container["imageUri"], words, {**own, **given}, self._world.objects.root, folder
        )
        return self._world.machines.start(work)

    def _wait_for_machines(self) -> bool:
        """Wait as a cloud makes one wait; True where the job ended meanwhile."""
        self._world.clock.wait(self._world.scenario.get("start", 0.0), self._wake)
        for each in self._world.scenario.get("no_capacity", ()):
            while (
                re.search(each.get("step", ""), self._step())
                and self._world.hindered(self._step()) < each.get("times", 1)
                and not self._ended_early()
            ):
                self._world.hinder(self._step())
                if not self._on_spot():
                    words = STOCKOUT.format(self._world.region)
                    self._fail(Refused("RESOURCE_EXHAUSTED", words))
                    return True
                self._world.clock.wait(each.get("wait", 600.0), self._wake)
        return self._ended_early()

    def _ended_early(self) -> bool:
        if self._stop.is_set():
            self._end("JOB_STATE_CANCELLED", Refused("CANCELLED", "CANCELED"))
        return self._stop.is_set() or self._halt.is_set()

    def _note_attempt(self, folders: list[Path]) -> None:
        now = round(time.time(), 3)
        logs = [str(folder.relative_to(self._world.folder) / "log") for folder in folders]
        self._record["attempts"].append({"began": now, "logs": logs})
        self._record["started"] = self._record["started"] or now

    def _enter(self, state: str) -> None:
        with self._world.store.lock:
            if state != "JOB_STATE_CANCELLING" and self._stop.is_set() and state not in FINAL:
                return
            self._record["state"] = state
            self._world.store.save(KIND, self._record)

    def _fail(self, refused: Refused) -> None:
        self._end("JOB_STATE_FAILED", refused)

    def _end(self, state: str, refused: Refused | None) -> None:
        with self._world.store.lock, contextlib.suppress(OSError):
            self._record["error"] = refused.rpc() if refused else {}
            self._record["ended"] = round(time.time(), 3)
            self._enter(state)


def _log(folder: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (folder / "log").read_text(encoding="utf-8", errors="replace")
    return ""
