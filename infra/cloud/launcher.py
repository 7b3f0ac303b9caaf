"""Runs one step of a plan in a cloud's container, whatever image that is.

A cloud gives a container folders, and takes few or short words for its command. So this file and
``step.json`` beside it, which says what lower knows of the step, come as one input; it is the
entrypoint. It needs Python 3.8 and its standard library alone, and none of our code: that is why
all of it is one file. Which container it is, and where folders lie, is told by its own command:

    launcher.py       SageMaker: by the place of this file, each input beside it
                      (/opt/ml/input/data/trefoil, or /opt/ml/processing/input/trefoil)
    launcher.py azureml|vertex --input=NAME=FOLDER... --outputs=FOLDER --checkpoints=FOLDER

What the step leaves goes to the outputs: each artefact as NAME/artifact with NAME/artifact.json,
its output parameters as trefoil/values.json, which conditions read and later steps get. Where this
file itself answers conditions, trefoil/skipped.json says why the step did not run, or is empty.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import operator
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = 1
PORT = 29500
HERE = Path(__file__).resolve().parent
VALUES = "trefoil"
"""The folder of the outputs that has the values."""
LAST_LINES = 20
TOLD = 1000
"""Bytes of a reason: SageMaker tells no more than the first 1024, and the last ones say why."""
LONGEST = 131071
"""Bytes that Linux lets one word of a command have."""
COMPARE = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Wrong(Exception):
    """What ends the job, in words for a person, with an exit code."""

    code = 2


class Unresolvable(Wrong):
    """A condition that is neither true nor false."""

    code = 1


class Skipped(Exception):
    """Why the step does not run."""


# --- where things lie


class Folders(NamedTuple):
    """``inputs`` by their names; any other lies in ``beside``. ``reason`` takes a failure's words.

    What is written to ``outputs`` is seen by others at once where they are not ``local``.
    """

    container: str
    inputs: dict[str, Path]
    beside: Path
    outputs: Path
    checkpoints: Path | None
    reason: Path | None
    local: bool

    def input(self, name: str) -> Path:
        """The folder of an input, or one within it: NAME/WITHIN."""
        first, _, within = name.partition("/")
        return self.inputs.get(first, self.beside / first) / within


def of_sagemaker() -> Folders:
    """By SageMaker's contract, for either kind of job; training alone keeps checkpoints."""
    beside = HERE.parent
    ml = beside.parents[1]
    if beside.name == "data":
        model, reason = ml / "model", ml / "output" / "failure"
        return Folders("sagemaker", {}, beside, model, ml / "checkpoints", reason, True)
    outputs, reason = ml / "processing" / "output", ml / "output" / "message"
    return Folders("sagemaker", {}, beside, outputs, None, reason, True)


def of_command(argv: list[str]) -> Folders:
    """By the words of the command."""
    parser = argparse.ArgumentParser("launcher.py")
    parser.add_argument("container", choices=("azureml", "vertex"))
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--outputs", required=True, type=Path)
    parser.add_argument("--checkpoints", type=Path)
    given = parser.parse_args(argv)
    pairs = (word.partition("=") for word in given.input)
    inputs = {name: Path(folder) for name, _, folder in pairs}
    return Folders(
        given.container, inputs, HERE.parent, given.outputs, given.checkpoints, None, False
    )


class Nodes(NamedTuple):
    """Which node of how many this is, and where the first one listens."""

    at: int = 0
    many: int = 1
    first: str = "localhost"
    port: int = PORT


def nodes(folders: Folders) -> Nodes:
    """As the cloud tells a container of the others."""
    if folders.container == "vertex":
        return _of_cluster_spec()
    if folders.container == "azureml":
        return _of_environment()
    return _of_resources(folders.beside.parent / "config" / "resourceconfig.json")


def _of_resources(file: Path) -> Nodes:
    """A training job of SageMaker's; a processing job has one node."""
    if not file.is_file():
        return Nodes()
    told = _read(file)
    hosts = sorted(told["hosts"])
    return Nodes(hosts.index(told["current_host"]), len(hosts), hosts[0])


def _of_cluster_spec() -> Nodes:
    """Vertex: the first replica is worker pool 0, all the others are worker pool 1."""
    told = json.loads(os.environ.get("CLUSTER_SPEC") or "{}")
    pools = told.get("cluster", {})
    all_of = [(pool, at) for pool in sorted(pools) for at in range(len(pools[pool]))]
    if len(all_of) < 2:
        return Nodes()
    host, _, port = pools[all_of[0][0]][0].partition(":")
    task = (told["task"]["type"], int(told["task"]["index"]))
    return Nodes(all_of.index(task), len(all_of), host, int(port or PORT))


def _of_environment() -> Nodes:
    """Azure ML with one process a node: it says the words of torch.distributed."""
    env = os.environ
    count = int(env.get("WORLD_SIZE") or 1)
    if count < 2:
        return Nodes()
    at = int(env.get("NODE_RANK") or env["RANK"])
    return Nodes(at, count, env["MASTER_ADDR"], int(env.get("MASTER_PORT") or PORT))


# --- what the step takes


class Inputs:
    """What the step takes: values, and where its artefacts lie. Each raises Skipped, Wrong."""

    def __init__(self, step: dict[str, Any], folders: Folders, work: Path) -> None:
        self.step, self.folders, self.work = step, folders, work

    def require(self) -> None:
        """Raise Skipped where the step is not to run: a condition, or an input that is not made."""
        guard = self.step.get("guard")
        if guard and not self._holds(guard):
            raise Skipped("its condition does not hold")
        for source in self.step["inputs"].values():
            self._reach(source)

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
        source = self._reach(self.step["inputs"][name])
        each: list[dict[str, Any]] = source.get("list", [source])
        return each

    def _reach(self, source: dict[str, Any]) -> dict[str, Any]:
        """A source whose step ran; of several branches, the one that did."""
        for each in source.get("list", ()):
            self._reach(each)
        for each in source.get("first", ()):
            with contextlib.suppress(Skipped):
                return self._reach(each)
        if "first" in source:
            raise Skipped("it takes an output of a branch, and none ran")
        if "of" in source and self._skipped(source["of"]):
            raise Skipped(f"it takes an output of {source['of']}, which did not run")
        return source

    def _skipped(self, step: str) -> bool:
        marker = self.folders.input(f"from-{step}/{VALUES}/skipped.json")
        return marker.is_file() and bool(_read(marker))

    def _holds(self, condition: dict[str, Any]) -> bool:
        if "not" in condition:
            return not self._holds(condition["not"])
        if "all" in condition:
            return all(self._holds(each) for each in condition["all"])
        left, right = self._value(condition["left"]), self._value(condition["right"])
        if _kind(left) is not _kind(right):
            words = f"{left!r} {condition['compare']} {right!r}"
            raise Unresolvable(f"the condition {words} compares unlike things")
        return bool(COMPARE[condition["compare"]](left, right))

    def _piece(self, kind: str, text: str, as_json: bool) -> str:
        pieces: dict[str, Callable[[], Any]] = {
            "text": lambda: text,
            "parameter": lambda: _text(self.value(text)),
            "input_path": lambda: self._seen(text),
            "output_path": lambda: str(self.work / text / "artifact"),
            "output_file": lambda: str(self.work / VALUES / text),
            "run": lambda: self.step["step" if text.startswith("pipeline_task") else "run"],
            "executor_input": lambda: json.dumps(executor_input(self), ensure_ascii=False),
        }
        found: str = pieces[kind]()
        return json.dumps(found)[1:-1] if as_json and kind == "parameter" else found

    def _seen(self, name: str) -> str:
        paths = [str(path) for path in self.paths(name)]
        return json.dumps(paths) if "list" in self.step["inputs"][name] else paths[0]

    def _value(self, source: dict[str, Any]) -> Any:
        source = self._reach(source)
        if "value" in source:
            return source["value"]
        if "list" in source:
            return [self._value(each) for each in source["list"]]
        if "template" in source:
            text = self.text(source["template"], source["json"])
            return json.loads(text) if source["json"] else text
        if "status" in source:
            return _read(self.folders.input(source["status"]) / "status.json")
        channel, name = source["parameter"]
        values = _read(self.folders.input(channel) / "values.json")
        if name not in values:
            raise Wrong(f"{channel} brings no value {name}")
        return values[name]

    def _path(self, source: dict[str, Any]) -> Path:
        folder = self.folders.input(source["artifact"])
        if source.get("imported"):
            file: Path = folder / source["imported"]
            return file if file.exists() else folder
        found: Path = folder / "artifact"
        if self._about(source).get("empty"):  # a bucket keeps no folder without files
            found = self._empty(found)
        if not found.exists():
            raise Wrong(f"the input {source['artifact']} is not there: {found}")
        return found

    def _about(self, source: dict[str, Any]) -> dict[str, Any]:
        file = self.folders.input(source["artifact"]) / "artifact.json"
        told = _read(file) if file.is_file() else {}
        return {"schema": source["schema"], "metadata": source.get("metadata", {}), **told}

    def _empty(self, place: Path) -> Path:
        """A folder without files: where it should be, or elsewhere if that cannot be written."""
        try:
            place.mkdir(exist_ok=True)
        except OSError:
            return Path(tempfile.mkdtemp())
        return place


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
    own = inputs.work / VALUES
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


def kept(folders: Folders) -> Path:
    """A folder that outlives an attempt, and the machine where the cloud keeps it."""
    if folders.checkpoints is None:
        return Path(tempfile.mkdtemp()) / "step"
    folders.checkpoints.mkdir(parents=True, exist_ok=True)
    return folders.checkpoints / "step"


def rendezvous(found: Nodes, processes: int) -> dict[str, str]:
    """The words of torchrun: for itself where it is to start processes, else for this process."""
    if found.many == 1 and processes == 1:
        return {}
    if processes > 1:
        return {
            "PET_NNODES": str(found.many), "PET_NODE_RANK": str(found.at),
            "PET_NPROC_PER_NODE": str(processes), "PET_MASTER_ADDR": found.first,
            "PET_MASTER_PORT": str(found.port),
        }  # fmt: skip
    return {
        "RANK": str(found.at), "WORLD_SIZE": str(found.many), "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": str(found.at), "MASTER_ADDR": found.first,
        "MASTER_PORT": str(found.port),
    }  # fmt: skip


# --- what it leaves


def collect(step: dict[str, Any], work: Path) -> None:
    """Put down what the step left, as later steps read it. Raises Wrong where something lacks."""
    own = work / VALUES
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


def publish(step: dict[str, Any], work: Path, outputs: Path) -> None:
    """Put what was left where others read it, the values last; a mounted bucket renames nothing."""
    for name in (*step["artifacts"], VALUES):
        target = outputs / name
        shutil.rmtree(target, ignore_errors=True)  # of an attempt before
        for file in sorted((work / name).rglob("*")):
            if file.is_file():
                place = target / file.relative_to(work / name)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)


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


def _kind(value: Any) -> type:
    """Numbers are alike; a boolean is none, whatever Python says."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


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


def fail(folders: Folders, words: str, code: int) -> NoReturn:
    """Leave the reason where the cloud looks for it, and end; its last line is news to the log."""
    _say(words.splitlines()[-1])
    if folders.reason:
        folders.reason.parent.mkdir(parents=True, exist_ok=True)
        folders.reason.write_bytes(words.encode()[-TOLD:])
    sys.exit(code)


def command(inputs: Inputs) -> list[str]:
    """The words to run. Raises Skipped, Wrong."""
    inputs.require()
    argv = [inputs.text(words) for words in inputs.step["argv"]]
    if any(len(word.encode()) > LONGEST for word in argv):
        raise Wrong("a word of the command is too long for Linux; pass it as an artefact")
    return argv


def main() -> None:
    """Run the step of ``step.json``."""
    step = _read(HERE / "step.json")
    folders = of_command(sys.argv[1:]) if sys.argv[1:] else of_sagemaker()
    if step["schema"] != SCHEMA:
        fail(folders, f"step.json is of schema {step['schema']}, not {SCHEMA}", 2)
    found = nodes(folders)
    first = found.at == 0  # it alone is heard
    work = folders.outputs if first and folders.local else Path(tempfile.mkdtemp())
    for name in (*step["artifacts"], VALUES):
        (work / name).mkdir(parents=True, exist_ok=True)
    inputs, runner = Inputs(step, folders, work), Runner(step)
    skipped = ""
    try:
        argv = command(inputs)
        own = {"TREFOIL_CHECKPOINTS": str(kept(folders))}
        code = runner.run(argv, {**own, **step["env"], **rendezvous(found, step["processes"])})
        if code:
            lines = [*runner.last, f"{step['step']} ended with code {code}"]
            fail(folders, "\n".join(lines), code)
        if first:
            collect(step, work)
    except Skipped as reason:
        skipped = str(reason)
        _say(f"{step['step']} is skipped: {skipped}")
    except Wrong as error:
        fail(folders, str(error), error.code)
    if "guard" in step:
        _write(work / VALUES / "skipped.json", skipped)
    if first and not folders.local:
        publish(step, work, folders.outputs)


if __name__ == "__main__":
    main()
