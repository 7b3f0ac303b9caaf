"""What a step tells of its work: parameters, numbers, pictures. Standard library only.

    with tracking.open() as track:
        track.params({"lr": 1e-3})
        track.metrics({"train/loss": loss}, step)
        track.artifact(picture, "pictures")

A call puts a few objects into a queue; once a second a thread appends them to a spool (see
``components.spool``). A process of its own, ``components.deliver``, sends the spool to MLflow: a
server that is slow or down costs the step nothing and loses nothing. Where the spool lies:

    TREFOIL_TRACKING is set       there; whoever runs the pipeline has started the sender
    MLFLOW_TRACKING_URI alone     with the step, as in a container: it starts its own sender
    neither                       nowhere: the same calls, without effect

Credentials are taken out of everything before it is written.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from components.spool import RUN, Lines, append, now, run_facts, say
from components.usage import Usage
from infra.redaction import redacted, texts

if TYPE_CHECKING:
    import subprocess

_FLUSH, _SAMPLE = 1.0, 5.0
_WAIT = 30.0
"""Seconds that a step waits, at its end, for a sender of its own."""
_LARGEST = 64 * 2**20
"""Bytes of an artefact beyond which it is left out: models are registered, not tracked."""
_started: list[subprocess.Popen[bytes]] = []


class Tracker:
    """Tells nobody: what ``open`` gives where nothing is tracked. The other has the same words."""

    def params(self, values: Mapping[str, object]) -> None:
        """What the step was told to do, by name; a name keeps its first value."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers, by name. Costs microseconds: call it from the training loop."""

    def tags(self, values: Mapping[str, object], *, run: bool = False) -> None:
        """What else is to be known of the step, or with ``run`` of the whole pipeline run."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A small file or directory, copied now: it may change or vanish afterwards."""

    def dataset(self, name: str, digest: str, source: str = "", context: str = "training") -> None:
        """The data that the step used; ``digest`` is its md5."""

    def flush(self) -> None:
        """Write what waits. Call it before a checkpoint: a resumed step does not tell it again."""

    def run_ended(self, state: str) -> None:
        """Say how the run ended, where nobody outside of its steps does."""

    def close(self, state: str = "succeeded") -> None:
        """Say how the step ended: succeeded, failed or cancelled. Nothing may follow."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
            return
        from components.contract import Terminated

        stopped = isinstance(error, Terminated | KeyboardInterrupt)
        self.close("cancelled" if stopped else "failed")


def open() -> Tracker:
    """The tracker of this step, as its environment asks."""
    if os.environ.get("RANK", "0") != "0":
        return Tracker()  # of the processes of a distributed step, the first one tells
    if place := os.environ.get("TREFOIL_TRACKING"):
        return _opened(Path(place))
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return Tracker()
    from importlib.util import find_spec

    if find_spec("mlflow") is None:
        say("MLFLOW_TRACKING_URI is set, but mlflow is not installed here: nothing is tracked")
        return Tracker()
    return _opened(_own_spool(), own=True)


def start_sender(
    spool: Path,
    environment: Mapping[str, str],
    parameters: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Start the process that sends ``spool``; it outlives this one. Returns its process id.

    ``environment`` is laid over this process's own. It names the server (MLFLOW_TRACKING_URI) and
    the run (TREFOIL_RUN_ID, else the spool's own name), whose ``parameters`` are sent too. A second
    sender of a spool ends at once.
    """
    found = {**os.environ, **environment}
    run_id = environment.get("TREFOIL_RUN_ID") or spool.name
    return _start(spool, found, run_facts(run_id, found, False, parameters))


def _start(spool: Path, found: Mapping[str, str], facts: dict[str, Any]) -> int:
    import subprocess

    spool.mkdir(parents=True, exist_ok=True)
    append(spool / f"{RUN}.jsonl", {"run": facts, "at": now()})
    paths = [str(Path(__file__).parents[1]), *filter(None, [found.get("PYTHONPATH")])]
    with (spool / "deliver.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "components.deliver",
                "--spool",
                str(spool.resolve()),
                "--parent",
                str(os.getpid()),
            ],
            env={**found, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(process)
    return process.pid


def finish(spool: Path, status: str) -> None:
    """Say that no step will tell more, and how the run ended; its sender ends with that."""
    with contextlib.suppress(FileNotFoundError):  # another process said so, and all is sent
        append(spool / f"{RUN}.jsonl", {"finish": status, "at": now()})


class _Spooling(Tracker):
    """Tells a spool."""

    def __init__(self, directory: Path, step: str, own: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._step, self._own = directory, step, own
        self._file = Lines(directory / f"{step}.jsonl")
        self._waiting: deque[dict[str, Any] | tuple[int, int, dict[str, float]]] = deque()
        self._draining = threading.Lock()
        self._closed = threading.Event()
        self._began = time.monotonic()
        self._usage = Usage()
        self._waiting.append(
            {
                "open": step,
                "of": _made_of(),
                "attempt": os.environ.get("TREFOIL_ATTEMPT", "1"),
                "at": now(),
            }
        )
        self.tags({"version.python": sys.version.partition(" ")[0], "platform": sys.platform})
        self.flush()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def params(self, values: Mapping[str, object]) -> None:
        self._waiting.append({"params": texts(values)})

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        numbers = {name: float(value) for name, value in values.items()}
        if numbers:
            self._waiting.append((now(), step, numbers))

    def tags(self, values: Mapping[str, object], *, run: bool = False) -> None:
        if values:
            self._waiting.append({"run_tags" if run else "tags": texts(values)})

    def artifact(self, path: Path, folder: str = "") -> None:
        import shutil

        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        size = sum(each.stat().st_size for each in files)
        if size > _LARGEST:
            say(f"{path} is not tracked: {size / 2**20:.0f} MiB is too much for a spool")
            return
        copy = Path("files", f"{self._step}-{time.time_ns():x}", path.name)
        target = self._directory / copy
        try:
            target.parent.mkdir(parents=True)
            if path.is_file():
                shutil.copyfile(path, target)
            else:
                shutil.copytree(path, target)
        except OSError as error:
            say(f"{path} is not tracked: {error}")
            return
        self._waiting.append({"artifact": copy.as_posix(), "to": folder})

    def dataset(self, name: str, digest: str, source: str = "", context: str = "training") -> None:
        found = {"name": name, "digest": digest, "source": redacted(source), "context": context}
        self._waiting.append({"dataset": found})

    def flush(self) -> None:
        with self._draining:
            self._file.write(list(self._lines()))

    def run_ended(self, state: str) -> None:
        if self._own:
            append(self._directory / f"{RUN}.jsonl", {"ended": state, "at": now()})

    def close(self, state: str = "succeeded") -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        self.tags(self._usage.versions())
        self.metrics(self._usage.total(), self._elapsed())
        self._waiting.append({"close": state, "at": now()})
        self.flush()
        self._file.close()
        if self._own:
            finish(self._directory, "")
            _await_sender(self._directory)

    def _work(self) -> None:
        sampled = self._began
        while not self._closed.wait(_FLUSH):
            if time.monotonic() - sampled >= _SAMPLE:
                sampled = time.monotonic()
                self.tags(self._usage.versions())
                self.metrics(self._usage.sample(), self._elapsed())
            self.flush()

    def _lines(self) -> Iterator[dict[str, Any]]:
        """What waits, in its order; numbers that follow each other share a line."""
        points: list[tuple[int, int, dict[str, float]]] = []
        for _ in range(len(self._waiting)):
            item = self._waiting.popleft()
            if isinstance(item, tuple):
                points.append(item)
                continue
            if points:
                yield {"metrics": points}
                points = []
            yield item
        if points:
            yield {"metrics": points}

    def _elapsed(self) -> int:
        return int(time.monotonic() - self._began)


def _opened(directory: Path, own: bool = False) -> Tracker:
    step = os.environ.get("TREFOIL_STEP") or _module()
    try:
        if own:
            run_id = os.environ.get("TREFOIL_RUN_ID") or f"{step}-{now():x}"
            _start(directory, os.environ, run_facts(run_id, os.environ, alone=True))
        return _Spooling(directory, step, own)
    except OSError as error:
        say(f"nothing is tracked: {directory} cannot be written ({error.strerror})")
        return Tracker()


def _module() -> str:
    """The step's name where nobody says it: components.train is train."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.rpartition(".")[2] if spec else "step"


def _made_of() -> str:
    """What stands for code, inputs and parameters: attempts that share checkpoints share these."""
    return Path(os.environ.get("TREFOIL_CHECKPOINTS", "")).name


def _own_spool() -> Path:
    """A new spool: where a later attempt finds it if anything outlives this one, else anywhere."""
    if kept := os.environ.get("TREFOIL_CHECKPOINTS"):
        return Path(kept, "tracking", f"{os.getpid()}-{time.time_ns():x}")
    import tempfile

    return Path(tempfile.mkdtemp(prefix="trefoil-tracking-"), "spool")


def _await_sender(spool: Path) -> None:
    import subprocess

    with contextlib.suppress(subprocess.TimeoutExpired):
        if _started[-1].wait(_WAIT) == 0:
            with contextlib.suppress(OSError):
                spool.parent.rmdir()  # where it was made for this alone
            return
    say(f"not everything could be sent to MLflow within {_WAIT:.0f} s; it is kept in {spool}")
