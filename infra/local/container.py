"""Each step in a container of its image, by digest, never pulled.

The step sees its own directory at /trefoil/step, writable, and each input at /trefoil/inputs/NAME,
read-only. Folders that a run shares (the tracking spool, MLflow's database where it is a file of
the workspace) and the data that --data names are mounted where they lie; nothing else is.

A step that acts on this machine itself says so by TREFOIL_ON_HOST in its environment, as our
deploy does: a server it starts would end with its container. It runs as a process.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from infra import docker, images
from infra.errors import InputError, ProviderError
from infra.images.names import require_this_code
from infra.local import ON_HOST, LocalSettings
from infra.local.confinement import INPUTS, STEP, confinement, csv, of_client, variables
from infra.local.ending import Ending
from infra.local.process import Process
from infra.local.rundir import StepDirectory
from infra.local.runner import Attempt, Job, Processes, View
from infra.plan import Plan, Step

_LABEL = "trefoil.step"
_NOT_STARTED, _NOT_RUNNABLE, _NOT_FOUND, _KILLED = 125, 126, 127, 137
_POLL = 0.1
_NOTHING: Mapping[str, Path] = {}


class Containers:
    """Runs the steps of one plan in containers."""

    def __init__(
        self, settings: LocalSettings, plan: Plan, beside: Mapping[str, Path] = _NOTHING
    ) -> None:
        """See that every image is here. Raises InputError, and ProviderError without a daemon.

        ``beside`` are folders of this machine that every step sees, too, by where it does.
        """
        self._beside = [
            f"type=bind,{csv('source', str(folder.resolve()))},{csv('target', seen)}"
            for seen, folder in beside.items()
        ]
        self._settings = settings
        self._processes = Processes()
        self._images = _images(plan, Path(settings.workspace))
        self._leaving: list[subprocess.Popen[bytes]] = []

    def image(self, step: Step) -> str:
        """The ID of the step's image; empty for a step that acts on this machine."""
        return "" if ON_HOST in step.env else self._images[step.image]

    def view(self, step: Step, place: StepDirectory) -> View:
        """Everything where it is mounted."""
        return View(STEP, INPUTS) if self.image(step) else self._processes.view(step, place)

    def start(self, job: Job, number: int) -> Attempt:
        """Start the container. Raises ProviderError without docker."""
        image = self.image(job.step)
        if not image:
            return self._processes.start(job, number)
        name = f"{_stem(job.place)}-{number}"
        told = ["--name", name, "--label", _label(job.place), *docker.labels()]
        options = [*told, *confinement(job, self._settings), *variables(job.env)]
        options += [word for mount in self._beside for word in ("--mount", mount)]
        argv = [docker.program(), "run", *options, image, *job.argv]
        client = Process(argv, of_client(job.env), job.place, job.place.log(number))
        return Container(client, name, job, number, self._leaving)

    def end_orphan(self, place: StepDirectory, grace: float) -> bool:
        """End a client that outlived its run, then a container that outlived its client."""
        if not place.attempts():
            return False
        ended = self._processes.end_orphan(place, grace)
        left = docker.ask("ps", "--all", "--quiet", "--filter", f"label={_label(place)}")
        if names := left.split():
            with contextlib.suppress(ProviderError):  # it has ended already
                docker.ask("stop", "--time", f"{grace:.0f}", *names)
            docker.ask("rm", "--force", *names)
        return ended or bool(names)

    def close(self) -> None:
        """Wait until the last containers are removed."""
        for each in self._leaving:
            each.wait()


class Container:
    """A running attempt: the docker client that is attached to it, and its name."""

    def __init__(
        self,
        client: Process,
        name: str,
        job: Job,
        number: int,
        leaving: list[subprocess.Popen[bytes]],
    ) -> None:
        self._client, self._name, self._job = client, name, job
        self._log, self._leaving = job.place.log(number), leaving
        self._over = threading.Event()

    def wait(self) -> Ending:
        """Wait for its end, say what docker knows of it, and have it removed meanwhile."""
        ending = self._client.wait()
        self._over.set()
        reason = self._reason(ending.code)
        self._leaving.append(
            subprocess.Popen(
                [docker.program(), "rm", "--force", self._name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )  # what the client used is not what the step used
        return ending._replace(reason=reason, cpu_seconds=None, peak_mb=None)

    def terminate(self) -> None:
        """Send SIGTERM, in a thread: until the container has begun, nobody is there to take it."""
        threading.Thread(target=self._terminate, daemon=True).start()

    def _terminate(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(ProviderError):
                if docker.attempt("kill", "--signal", "TERM", self._name).returncode == 0:
                    return
            self._over.wait(_POLL)

    def kill(self) -> None:
        """End the container at once; the client ends with it."""
        with contextlib.suppress(ProviderError):  # not begun, or over: the client ends either way
            if docker.attempt("kill", self._name).returncode == 0:
                return
        self._client.kill()

    def _reason(self, code: int) -> str:
        if code in (_NOT_STARTED, _NOT_RUNNABLE, _NOT_FOUND):
            return _refused(code, _last_line(self._log), self._job)
        if code == _KILLED and docker.state(self._name).get("OOMKilled"):
            limit = self._job.step.resources.memory_gb
            had = f"its limit of {limit:g} GB" if limit else "what this machine has"
            return f"ran out of memory (exit code 137): it needed more than {had}"
        return ""


def _images(plan: Plan, workspace: Path) -> dict[str, str]:
    """The ID of each image that steps name: of ours the one built last, of others as tagged.

    Raises InputError where one is not here, or is ours and of other code.
    """
    named = dict.fromkeys(step.image for step in plan.steps if ON_HOST not in step.env)
    built = {name: images.find(workspace, name) for name in named}
    for each in filter(None, built.values()):
        require_this_code(each)
    known = {name: found.id if found else name for name, found in built.items()}
    ids = docker.identities(known.values())
    if missing := [name for name in named if known[name] not in ids]:
        raise InputError(
            f"the image {', '.join(missing)} is not here, and none is pulled; build ours with "
            "`python -m pipelines image build`, fetch others with `docker pull`"
        )
    return {name: ids[known[name]] for name in named}


def _label(place: StepDirectory) -> str:
    """By it a step's containers are found, whoever started them."""
    return f"{_LABEL}={place.root.resolve()}"


def _stem(place: StepDirectory) -> str:
    """Begins the names of a step's containers."""
    return f"trefoil-{hashlib.sha256(str(place.root.resolve()).encode()).hexdigest()[:16]}"


def _refused(code: int, line: str, job: Job) -> str:
    """Why docker did not start it; empty where the code is the step's own."""
    if not line:
        return ""
    reason = docker.said(line)
    if "no space left on device" in reason:
        return (
            f"was not started: Docker's disk is full ({reason}); `docker system prune` makes room"
        )
    if "could not select device driver" in reason:
        return "was not started: Docker has no GPU to give; install the NVIDIA Container Toolkit"
    if code == _NOT_FOUND:
        return f"was not started: the image {job.step.image} has no program {job.argv[0]}"
    return f"was not started: {reason}"


def _last_line(log: Path) -> str:
    """What docker, or the init process that it puts before the step, said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    own = (line for line in reversed(lines) if line.startswith(("docker:", "[FATAL tini")))
    return next(own, "")
