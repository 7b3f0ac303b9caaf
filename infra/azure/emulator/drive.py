"""Takes one job through its states, on its nodes, to its end."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time

from infra.azure.emulator import hindered
from infra.azure.emulator.contract import Spec
from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.node import Node
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
        hindered.require_image(self._world, self._spec)
        nodes = self._nodes()
        if self._ended_early():
            return False
        self._note_attempt(nodes)
        self._enter("Running")
        began = time.monotonic()
        codes, why = self._execute(nodes)
        self._record["seconds"] += time.monotonic() - began
        return self._conclude(nodes, codes, why)

    def _nodes(self) -> list[Node]:
        """Those of the next attempt, their folders as the job finds them. Raises Unavailable."""
        attempt = self._folder / str(len(self._record["attempts"]) + 1)
        nodes = [Node(self._world, self._spec, attempt / f"node-{at}", at)
                 for at in range(self._spec.nodes)]  # fmt: skip
        for node in nodes:
            shutil.rmtree(node.folder, ignore_errors=True)
            node.prepare()
        return nodes

    def _conclude(self, nodes: list[Node], codes: list[int], why: str) -> bool:
        if why == "halted":
            nodes[0].sync()
            return False
        if why == "interrupted":
            return True
        self._enter("Finalizing")
        nodes[0].sync()
        bad = [at for at, code in enumerate(codes) if code]
        if why == "timeout":
            words = f"The job exceeded its timeout of {self._spec.timeout:g} seconds"
            self._end("Canceled", "JobTimeout", words)
        elif why:
            self._end("Canceled")
        elif bad:
            nodes[0].collect()
            log = nodes[bad[0]].log().strip().splitlines()
            words = (
                f"Execution failed. User process '/bin/bash' exited with status code "
                f"{codes[bad[0]]}. Please check log file 'user_logs/std_log.txt' for error "
                f"details. Error: {log[-1] if log else ''}"
            )
            self._end("Failed", "UserError", words)
        else:
            nodes[0].collect()
            self._end("Completed")
        return False

    # --- its containers

    def _execute(self, nodes: list[Node]) -> tuple[list[int], str]:
        """Run the containers; their codes, and why they were ended where they were."""
        port = free_port()
        machines = [self._world.machines.start(n.work(self._record, port)) for n in nodes]
        codes = [0] * len(machines)

        def wait(at: int) -> None:
            codes[at] = machines[at].wait()
            if codes[at]:  # a job of which one node fails has failed
                for each in machines:
                    each.kill()

        threads = [threading.Thread(target=wait, args=(at,)) for at in range(len(machines))]
        for thread in threads:
            thread.start()
        why = self._watch(machines, threads, nodes[0])
        for thread in threads:
            thread.join()
        return codes, why

    def _watch(self, machines: list[Machine], threads: list[threading.Thread], first: Node) -> str:
        """Look on until they end, or have to; why they were ended."""
        began = synced = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            if why := self._why(time.monotonic() - began, first):
                if why != "interrupted":  # a machine that is taken away gives no sign
                    for machine in machines:
                        machine.terminate()
                    grace = _HALT if why == "halted" else self._world.scenario.get("grace", _GRACE)
                    _until(threads, grace)
                for machine in machines:
                    machine.kill()
                return why
            if time.monotonic() - synced > _SYNC:
                first.sync()
                synced = time.monotonic()
            self._wake.wait(_POLL)
        return ""

    def _why(self, seconds: float, first: Node) -> str:
        if self._halt.is_set():
            return "halted"
        if self._stop.is_set():
            return "stopped"
        longest = self._spec.timeout
        if longest and self._record["seconds"] + seconds > longest:
            return "timeout"
        attempt = len(self._record["attempts"])
        gone = hindered.interrupted(self._world, self._spec, attempt, seconds, first.log)
        return "interrupted" if gone else ""

    # --- its machines

    def _wait_for_machines(self) -> bool:
        """Wait as a cloud makes one wait; True where the job ended meanwhile."""
        start: float = self._world.scenario.get("start", 0.0)
        self._world.clock.wait(start, self._wake)
        if self._ended_early():
            return True
        if hindered.without_machine(self._world, self._record["step"], self._spec):
            self._record["hindered"] += 1
            self._end(
                "Failed", "ClusterCapacityError",
                "Allocation failed. We do not have sufficient capacity for the requested VM "
                f"size {self._spec.machine} in this region.",
            )  # fmt: skip
            return True
        if words := hindered.beyond_quota(self._world, self._spec):
            self._end("Failed", "ClusterCoreQuotaReached", words)
        return bool(words)

    def _ended_early(self) -> bool:
        if self._stop.is_set():
            self._end("Canceled")
        return self._stop.is_set() or self._halt.is_set()

    # --- what is kept of it

    def _note_attempt(self, nodes: list[Node]) -> None:
        logs = [str((node.folder / "log").relative_to(self._world.folder.resolve()))
                for node in nodes]  # fmt: skip
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


def _until(threads: list[threading.Thread], seconds: float) -> None:
    """Wait for all of them, so many seconds at most."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
