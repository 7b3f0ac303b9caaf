"""Tries a step until it ends well, its retries are used up, or the run is ended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from infra.cache import OUTPUTS
from infra.errors import StepFailed, TrefoilError, told
from infra.local.command import WRITTEN_BACK, Command
from infra.local.ending import Ending
from infra.local.rundir import RunDirectory
from infra.local.runner import Attempt, Job, Runner
from infra.local.values import Results
from infra.plan import Event, Json, State, Step
from infra.provider import Context
from infra.storage import remove
from infra.values import typed

FAILED, BAD_INPUT, TERMINATED = 1, 2, 143
_ROOM = 1 << 16
"""Bytes free without which a disk is called full: a log and a few small files."""
_TAIL = 15
"""How many of its last lines a failed step shows."""


class Rules(NamedTuple):
    """What a place does of itself with a step's attempts; these are this machine's.

    A step that ends by itself with code 143, as on a spot machine, is started again ``restarts``
    times beside its retries. Where a step is ``told``, it finds its name, its attempt and a folder
    for checkpoints in its environment, and a file to say why it failed: another attempt is not
    made where that would not help. Else it finds of these what its own environment names.
    """

    restarts: int = 20
    told: bool = True


HERE = Rules()


class Outcome(NamedTuple):
    """How a step ended, all attempts told. A ``final`` one would end like that again."""

    state: State
    message: str = ""
    code: int = 0
    attempt: int = 1
    ending: Ending = Ending()
    values: Mapping[str, Json] = MappingProxyType({})
    final: bool = False


class _Stopped(Exception):
    """The run was ended before this attempt began."""


class Attempts:
    """Runs the steps of one run. ``tell`` hears, in any thread, of each retry."""

    def __init__(
        self,
        run_id: str,
        runner: Runner,
        grace: float,
        directory: RunDirectory,
        context: Context,
        tell: Callable[[Event], None],
        rules: Rules,
    ) -> None:
        self._run_id, self._runner, self._grace, self._rules = run_id, runner, grace, rules
        self._directory = directory
        self._context, self._tell = context, tell
        self._stopping, self._over = threading.Event(), threading.Event()
        self._lock = threading.RLock()  # a second signal may come while the first is handled
        self._running: dict[str, tuple[Job, Attempt]] = {}
        self._stopped: set[str] = set()

    def prepare(self, step: Step, results: Results, key: str) -> Callable[[], Outcome]:
        """Fill in the command; what comes back runs the step and never raises."""
        place = self._directory.step(step.name)
        view = self._runner.view(step, place)
        own = {
            "TREFOIL_STEP": step.name,
            "TREFOIL_CHECKPOINTS": f"{view.root}/checkpoints/{key[:16]}",
            "TREFOIL_FAILURE": f"{view.root}/{place.failure.name}",
        }
        env = {**self._context(), **step.env, "TREFOIL_RUN_ID": self._run_id}
        env |= {name: own[name] for name in own if self._rules.told or name in env}
        command = Command(step, results, view)
        job = Job(step, place, command.argv(), env, command.reads)
        return lambda: self._run(job)

    def stop(self) -> None:
        """Ask the running steps to end, and kill those that do not within the grace.

        Those that always run (exit handlers) go on, and may still begin.
        """
        self._stopping.set()
        for job, attempt in self._now_running():
            if not job.step.always:
                self._stopped.add(job.step.name)
                attempt.terminate()
                _after(self._grace, attempt.kill)

    def kill(self) -> None:
        """End every running step at once; none begins any more."""
        self._stopping.set()
        self._over.set()
        for job, attempt in self._now_running():
            self._stopped.add(job.step.name)
            attempt.kill()

    def _now_running(self) -> list[tuple[Job, Attempt]]:
        with self._lock:
            return list(self._running.values())

    def _run(self, job: Job) -> Outcome:
        try:
            return self._until_done(job)
        except _Stopped:
            return Outcome("cancelled", "ended on request", FAILED)
        except TrefoilError as error:
            return Outcome("failed", f"{job.step.name}: {error}", error.exit_code)
        except OSError as error:
            return Outcome("failed", f"{job.step.name}: {told(error)}", FAILED)
        except Exception as error:  # ours, not the step's: a thread that died would hang the run
            import traceback

            traceback.print_exc()
            return Outcome("failed", f"{job.step.name}: {type(error).__name__}: {error}", FAILED)

    def _until_done(self, job: Job) -> Outcome:
        self._runner.end_orphan(job.place, self._grace)
        retry, failures, restarts = job.step.retry, 0, 0
        wait = retry.backoff
        while True:
            number = (job.place.attempts() or [0])[-1] + 1
            ending = self._once(job, number)
            outcome = self._judge(job, ending, number)
            if outcome.state in ("succeeded", "cancelled") or outcome.final:
                return outcome
            if ending.code == TERMINATED and restarts < self._rules.restarts:
                restarts += 1
            elif failures >= retry.limit:
                return outcome
            else:
                failures += 1
                if self._stopping.wait(min(wait, retry.longest)):
                    return outcome
                wait *= retry.factor
            again = f"trying again, for {outcome.message.partition(chr(10))[0]}"
            self._tell(Event(job.step.name, "running", message=again, attempt=number + 1))

    def _once(self, job: Job, number: int) -> Ending:
        remove(job.place.work)
        (job.place.work / OUTPUTS).mkdir(parents=True)
        job.place.failure.unlink(missing_ok=True)
        env = {**job.env, "TREFOIL_ATTEMPT": str(number)} if self._rules.told else job.env
        with self._lock:
            if self._over.is_set() or (self._stopping.is_set() and not job.step.always):
                raise _Stopped
            attempt = self._runner.start(job._replace(env=env), number)
            self._running[job.step.name] = (job, attempt)
        try:
            return _within(job.step.timeout, attempt)
        finally:
            with self._lock:
                del self._running[job.step.name]

    def _judge(self, job: Job, ending: Ending, number: int) -> Outcome:
        if job.step.name in self._stopped and ending.code != 0:
            return Outcome("cancelled", "ended on request", FAILED, number, ending)
        if ending.code != 0:
            return _failure(job, ending, number)
        try:
            return Outcome("succeeded", "", 0, number, ending, _collect(job))
        except TrefoilError as error:
            return Outcome("failed", str(error), FAILED, number, ending)


def _within(timeout: float | None, attempt: Attempt) -> Ending:
    """Wait for an attempt; past ``timeout`` seconds it is killed."""
    if not timeout:
        return attempt.wait()
    late = threading.Event()

    def end() -> None:
        late.set()
        attempt.kill()

    timer = _after(timeout, end)
    try:
        return attempt.wait()._replace(timed_out=late.is_set())
    finally:
        timer.cancel()


def _after(seconds: float, act: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    return timer


def _collect(job: Job) -> dict[str, Json]:
    """Read the output parameters, and see that every output is there. Raises StepFailed."""
    values: dict[str, Json] = {}
    if (job.place.work / WRITTEN_BACK).exists():
        from infra.local.lightweight import executor_output

        values = executor_output(job.step, job.place.work)
    for name, kind in job.step.parameters.items():
        try:
            text = (job.place.work / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise _left_out(job, name) from None
        values[name] = typed(text if kind == "STRING" else text.strip(), kind, name)
    for name in job.step.artifacts:
        if not (job.place.work / OUTPUTS / name).exists():
            raise _left_out(job, name)
    return values


def _left_out(job: Job, name: str) -> StepFailed:
    return StepFailed(f"{job.step.name} ended well but did not write its output {name}")


def _failure(job: Job, ending: Ending, number: int) -> Outcome:
    """Why an attempt failed, for a person, and whether another may end better."""
    name, reason = job.step.name, _reason(job.place.failure)
    if reason.get("kind") in ("input", "full") and not ending.timed_out:
        code = BAD_INPUT if reason["kind"] == "input" else FAILED
        message = f"{name}: {reason['message']}"
        return Outcome("failed", message, code, number, ending, final=True)
    if ending.timed_out:
        words = f"{name} was ended after its timeout of {job.step.timeout:g} s"
    elif ending.reason:
        words = f"{name} {ending.reason}"
    elif reason:
        words = f"{name}: {reason['message']}"
    elif ending.code < 0:
        words = f"{name} was killed by signal {-ending.code}{_hint(-ending.code)}"
    else:
        words = f"{name} ended with exit code {ending.code}"
    if not reason and _full(job.place.root):  # so it could not even write why
        words += f"; {told(OSError(errno.ENOSPC, ''))}"
    return Outcome("failed", words + _tail(job.place.log(number)), FAILED, number, ending)


def _full(place: Path) -> bool:
    """Whether the disk has so little room left that a step can write nothing."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize < _ROOM


def _hint(number: int) -> str:
    return ", perhaps for want of memory" if number == 9 else ""


def _reason(file: Path) -> dict[str, str]:
    """What the step itself says of its failure, where it keeps to the contract."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and "message" in found:
            return found
    return {}


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16384))
        lines = file.read().decode(errors="replace").splitlines()
    last = "".join(f"\n    {line}" for line in lines[-_TAIL:])
    return f"\n  its last lines ({log}):{last}" if last else ""
