"""Runs one step of a plan in a SageMaker container, whatever image that is.

SageMaker gives a container folders, and its command at most 256 characters a word. So this file and
``step.json`` beside it, which says what lower knows of the step, come as one input channel; it is
the entrypoint. It needs Python 3.8 and its standard library alone, and none of our code.

    /opt/ml/input/data/trefoil/      here in a training job, beside the other channels
    /opt/ml/processing/input/trefoil/   here in a processing job, beside the other inputs

What the step leaves goes to /opt/ml/model or /opt/ml/processing/output: each artefact as
NAME/artifact with NAME/artifact.json, its output parameters as trefoil/values.json, which
conditions read and later steps get.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = 1
PORT = 29500
HERE = Path(__file__).resolve().parent
INPUTS = HERE.parent
TRAINING = INPUTS.name == "data"
ML = INPUTS.parents[1]
OUTPUTS = ML / "model" if TRAINING else ML / "processing" / "output"
LAST_LINES = 20
TOLD = 1000
"""Bytes of a reason: SageMaker tells no more than the first 1024, and the last ones say why."""
LONGEST = 131071
"""Bytes that Linux lets one word of a command have."""


class Wrong(Exception):
    """What ends the job, in words for a person."""


class Inputs:
    """What the step takes: values, and where its artefacts lie."""

    def __init__(self, step: dict[str, Any], work: Path) -> None:
        self.step, self.work = step, work

    def value(self, name: str) -> Any:
        """The value of an input parameter."""
        return self._value(self.step["inputs"][name])

    def paths(self, name: str) -> list[Path]:
        """The places of an input artefact, or of each of a list."""
        return [self._path(one) for one in self._each(name)]

    def is_artifact(self, name: str) -> bool:
        """Whether an input is an artefact, or a list of them."""
        return any("artifact" in one for one in self._each(name))

    def metadata(self, name: str) -> list[dict[str, Any]]:
        """What is known of an input artefact, or of each of a list."""
        return [self._about(one) for one in self._each(name)]

    def text(self, words: list[list[str]], as_json: bool = False) -> str:
        """A word of the command put together."""
        return "".join(self._piece(kind, text, as_json) for kind, text in words)

    def _each(self, name: str) -> list[dict[str, Any]]:
        source = self.step["inputs"][name]
        each: list[dict[str, Any]] = source.get("list", [source])
        return each

    def _piece(self, kind: str, text: str, as_json: bool) -> str:
        pieces: dict[str, Callable[[], Any]] = {
            "text": lambda: text,
            "parameter": lambda: _text(self.value(text)),
            "input_path": lambda: self._seen(text),
            "output_path": lambda: str(self.work / text / "artifact"),
            "output_file": lambda: str(self.work / "trefoil" / text),
            "run": lambda: self.step["step" if text.startswith("pipeline_task") else "run"],
            "executor_input": lambda: json.dumps(executor_input(self), ensure_ascii=False),
        }
        found: str = pieces[kind]()
        return json.dumps(found)[1:-1] if as_json and kind == "parameter" else found

    def _seen(self, name: str) -> str:
        paths = [str(path) for path in self.paths(name)]
        return json.dumps(paths) if "list" in self.step["inputs"][name] else paths[0]

    def _value(self, source: dict[str, Any]) -> Any:
        if "value" in source:
            return source["value"]
        if "list" in source:
            return [self._value(each) for each in source["list"]]
        if "template" in source:
            text = self.text(source["template"], source["json"])
            return json.loads(text) if source["json"] else text
        if "status" in source:
            return _read(INPUTS / source["status"] / "status.json")
        channel, name = source["parameter"]
        values = _read(INPUTS / channel / "values.json")
        if name not in values:
            raise Wrong(f"{channel} brings no value {name}")
        return values[name]

    def _path(self, source: dict[str, Any]) -> Path:
        folder = INPUTS / source["artifact"]
        if source.get("imported"):
            file: Path = folder / source["imported"]
            return file if file.exists() else folder
        found: Path = folder / "artifact"
        if self._about(source).get("empty"):  # S3 keeps no folder without files
            found.mkdir(exist_ok=True)
        if not found.exists():
            raise Wrong(f"the input {source['artifact']} is not there: {found}")
        return found

    def _about(self, source: dict[str, Any]) -> dict[str, Any]:
        file = INPUTS / source["artifact"] / "artifact.json"
        told = _read(file) if file.is_file() else {}
        return {"schema": source["schema"], "metadata": source.get("metadata", {}), **told}


def executor_input(inputs: Inputs) -> dict[str, Any]:
    """KFP's ExecutorInput, for lightweight components (pipeline_spec.proto)."""
    step = inputs.step
    values: dict[str, Any] = {}
    artifacts: dict[str, Any] = {}
    for name in step["inputs"]:
        if inputs.is_artifact(name):
            pairs = zip(inputs.paths(name), inputs.metadata(name))  # noqa: B905  Python 3.8
            listed = [_artifact(name, path, one["schema"], one["metadata"]) for path, one in pairs]
            artifacts[name] = {"artifacts": listed}
        else:
            values[name] = inputs.value(name)
    made = {
        name: {"artifacts": [_artifact(name, inputs.work / name / "artifact", schema, {})]}
        for name, schema in step["artifacts"].items()
    }
    own = inputs.work / "trefoil"
    files = {name: {"outputFile": str(own / name)} for name in step["parameters"]}
    return {
        "inputs": {"parameterValues": values, "artifacts": artifacts},
        "outputs": {
            "parameters": files,
            "artifacts": made,
            "outputFile": str(own / "executor_output.json"),
        },
    }


def _artifact(name: str, path: Path, schema: str, metadata: Any) -> dict[str, Any]:
    kind = {"schemaTitle": schema, "schemaVersion": "0.0.1"}
    return {"name": name, "type": kind, "uri": str(path), "metadata": metadata}


# --- the run of the command


class Runner:
    """Runs the command, again where the plan says so; a signal to this process reaches it."""

    def __init__(self, step: dict[str, Any]) -> None:
        self.step, self.ended = step, False
        self.child: subprocess.Popen[bytes] | None = None
        self.last: list[str] = []
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._forward)

    def run(self, argv: list[str], env: dict[str, str]) -> int:
        """The exit code of the last attempt."""
        retry = self.step["retry"]
        pause, attempt = retry["backoff"], 1
        while True:
            code = self._once(argv, {**env, "TREFOIL_ATTEMPT": str(attempt)})
            if code == 0 or self.ended or attempt > retry["limit"]:
                return code
            _say(f"attempt {attempt} ended with code {code}; again in {pause:g} s")
            self._wait(pause)
            pause, attempt = min(pause * retry["factor"], retry["longest"]), attempt + 1

    def _once(self, argv: list[str], env: dict[str, str]) -> int:
        self.last = []
        try:
            self.child = subprocess.Popen(
                argv,
                env={"PYTHONUNBUFFERED": "1", **os.environ, **env},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Wrong(f"the image cannot run {argv[0]}: {error.strerror}") from None
        if self.ended:
            self._end()
        for line in self.child.stdout or ():
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            self.last = [*self.last, line.decode(errors="replace").rstrip()][-LAST_LINES:]
        code = self.child.wait()
        return 128 - code if code < 0 else code

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.ended and time.monotonic() < until:
            time.sleep(0.1)

    def _forward(self, *_: object) -> None:
        self.ended = True
        self._end()

    def _end(self) -> None:
        if self.child and self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGTERM)


def node() -> tuple[int, list[str]]:
    """Which node of how many this is, and the address of the first."""
    file = ML / "input" / "config" / "resourceconfig.json"
    if not TRAINING or not file.is_file():
        return 0, ["localhost"]
    told = _read(file)
    hosts = sorted(told["hosts"])
    return hosts.index(told["current_host"]), hosts


def checkpoints() -> Path:
    """A folder that outlives an attempt; SageMaker keeps a training job's in S3."""
    if not TRAINING:
        return Path(tempfile.mkdtemp()) / "step"
    (ML / "checkpoints").mkdir(exist_ok=True)
    return ML / "checkpoints" / "step"


def rendezvous(processes: int) -> dict[str, str]:
    """The words of torchrun: for itself where it is to start processes, else for this process."""
    at, hosts = node()
    if len(hosts) == 1 and processes == 1:
        return {}
    if processes > 1:
        return {
            "PET_NNODES": str(len(hosts)), "PET_NODE_RANK": str(at),
            "PET_NPROC_PER_NODE": str(processes), "PET_MASTER_ADDR": hosts[0],
            "PET_MASTER_PORT": str(PORT),
        }  # fmt: skip
    return {
        "RANK": str(at), "WORLD_SIZE": str(len(hosts)), "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": str(at), "MASTER_ADDR": hosts[0],
        "MASTER_PORT": str(PORT),
    }  # fmt: skip


# --- what it leaves


def collect(step: dict[str, Any], work: Path) -> None:
    """Put down what the step left, as later steps read it. Raises Wrong where something lacks."""
    own = work / "trefoil"
    told = _written_back(step, own)
    values = {}
    for name, kind in step["parameters"].items():
        file = own / name
        if not file.is_file():
            raise Wrong(f"{step['step']} did not write its output {name}")
        values[name] = _parsed(name, file.read_text(encoding="utf-8"), kind)
    for name, schema in step["artifacts"].items():
        place = work / name / "artifact"
        if not place.exists():
            raise Wrong(f"{step['step']} did not write its output {name}")
        empty = place.is_dir() and not any(each.is_file() for each in place.rglob("*"))
        about = {"schema": schema, "metadata": told.get(name, {}), "empty": empty}
        _write(work / name / "artifact.json", about)
    for file in own.iterdir():
        file.unlink()
    _write(own / "values.json", values)


def _written_back(step: dict[str, Any], own: Path) -> dict[str, Any]:
    """What a lightweight component says of its outputs; its values become files like others'."""
    file = own / "executor_output.json"
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        for name, value in told.get("parameterValues", {}).items():
            if name in step["parameters"] and not (own / name).exists():
                (own / name).write_text(_text(value), encoding="utf-8")
        found = {}
        for name, listed in told.get("artifacts", {}).items():
            if name not in step["artifacts"] or not listed["artifacts"]:
                continue
            found[name] = listed["artifacts"][0].get("metadata", {})
            place = own.parent / name / "artifact"
            if not place.exists():  # metrics have no file of their own
                metrics = "Metrics" in step["artifacts"][name]
                _write(place, {"metrics": found[name]} if metrics else found[name])
        return found
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Wrong(f"{step['step']} wrote executor_output.json not as KFP has it") from None


def _parsed(name: str, text: str, kind: str) -> Any:
    try:
        if kind == "STRING":
            return text
        if kind == "BOOLEAN":
            return {"true": True, "false": False}[text.strip().lower()]
        return {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}.get(kind, json.loads)(text)
    except (ValueError, KeyError):
        raise Wrong(f"its output {name} is {text[:60]!r}, which is no {kind}") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, sort_keys=True, ensure_ascii=False), encoding="utf-8")


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def fail(words: str, code: int) -> NoReturn:
    """Leave the reason where SageMaker looks for it, and end; its last line is news to the log."""
    _say(words.splitlines()[-1])
    place = ML / "output" / ("failure" if TRAINING else "message")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(words.encode()[-TOLD:])
    sys.exit(code)


def main() -> None:
    """Run the step of ``step.json``."""
    step = _read(HERE / "step.json")
    if step["schema"] != SCHEMA:
        fail(f"step.json is of schema {step['schema']}, not {SCHEMA}", 2)
    first = node()[0] == 0
    work = OUTPUTS if first else Path(tempfile.mkdtemp())  # the first node alone is heard
    for name in (*step["artifacts"], "trefoil"):
        (work / name).mkdir(parents=True, exist_ok=True)
    inputs, runner = Inputs(step, work), Runner(step)
    try:
        argv = [inputs.text(words) for words in step["argv"]]
        long = max(argv, key=lambda word: len(word.encode()))
        if len(long.encode()) > LONGEST:
            raise Wrong("a word of the command is too long for Linux; pass it as an artefact")
        kept = {"TREFOIL_CHECKPOINTS": str(checkpoints())}
        code = runner.run(argv, {**kept, **step["env"], **rendezvous(step["processes"])})
        if code:
            fail("\n".join([*runner.last, f"{step['step']} ended with code {code}"]), code)
        if first:
            collect(step, work)
    except Wrong as error:
        fail(str(error), 2)


if __name__ == "__main__":
    main()
