"""The launcher where its command tells it of folders: Azure ML and Vertex AI.

What it does of a step in any cloud is held by tests/infra/aws/test_launcher.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from infra.cloud.stepfile import Container, Left, command, step_file
from infra.errors import UnsupportedError
from infra.plan import (
    All,
    Argument,
    Compare,
    Condition,
    Constant,
    FirstOf,
    Not,
    Output,
    Plan,
    Resources,
    Step,
    Token,
)

DATA = "system.Dataset"
GUARDED = Container("azure", "azureml://", guards=True)
Kind = Literal["azureml", "vertex"]


def word(*pieces: tuple[str, str] | str) -> Argument:
    """A word of a command: text, and pairs of kind and name."""
    return tuple(
        Token("text", piece) if isinstance(piece, str) else Token(*piece)  # type: ignore[arg-type]
        for piece in pieces
    )


def python(script: str, *words: Argument) -> tuple[Argument, ...]:
    """A command that runs a script; its words are a[0] and so on."""
    return (word(sys.executable), word("-c"), word(f"import os, sys\na = sys.argv[1:]\n{script}"),
            *words)  # fmt: skip


OUT = word(("output_path", "out"))
JUDGE = Step(
    "judge", "i:1", python("open(a[0], 'w').write('yes'); open(a[1], 'w').write('true'); "
                           "open(a[2], 'w').write('0.5')", OUT, word(("output_file", "passed")),
                           word(("output_file", "score"))),
    parameters={"passed": "BOOLEAN", "score": "NUMBER_DOUBLE"}, artifacts={"out": DATA},
)  # fmt: skip
PASSED = Compare("==", Output("judge", "passed"), Constant(True))
USE = Step(
    "use", "i:1", python("open(a[1], 'w').write(open(a[0]).read() + '!')",
                         word(("input_path", "it")), OUT),
    inputs={"it": Output("judge", "out")}, artifacts={"out": DATA}, when=PASSED,
)  # fmt: skip


class Ended(NamedTuple):
    code: int
    printed: str
    outputs: Path


class World:
    """A bucket that is mounted, and containers that see it."""

    def __init__(self, folder: Path, *steps: Step, kind: Kind = "azureml") -> None:
        self._folder, self._plan, self._kind = folder, Plan("p", steps), kind

    def left(self, step: str) -> Path:
        """Where a step leaves its outputs."""
        return self._folder / "runs" / step

    def value(self, step: str, file: str) -> Any:
        return json.loads((self.left(step) / "trefoil" / file).read_text())

    def run(self, name: str, **environment: str) -> Ended:
        step, outputs = self._plan.step(name), self.left(name)
        file = step_file(
            self._plan, step, "r-1", {}, lambda each: Left(self.left(each), apart=False), GUARDED
        )
        launch = self._folder / file.key
        launch.mkdir(parents=True, exist_ok=True)
        for each, text in file.files.items():
            (launch / each).write_text(text, encoding="utf-8")
        inputs = {channel.name: str(channel.uri) for channel in file.channels}
        words = command(
            self._kind, str(launch), inputs, str(outputs), str(self._folder / "checkpoints" / name)
        )
        found = subprocess.run(
            [sys.executable, *words[1:]], check=False, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Ended(found.returncode, found.stdout, outputs)


def test_outputs_go_from_step_to_step(tmp_path: Path) -> None:
    """Values are put down last: who finds them finds all else."""
    found = World(tmp_path, JUDGE, USE)
    assert found.run("judge").code == 0
    assert found.value("judge", "values.json") == {"passed": True, "score": 0.5}
    ended = found.run("use")
    assert ended.code == 0, ended.printed
    assert (ended.outputs / "out" / "artifact").read_text() == "yes!"
    assert found.value("use", "skipped.json") == ""


def test_what_a_step_leaves_replaces_what_an_attempt_before_it_left(tmp_path: Path) -> None:
    """A file of a killed attempt within a folder of this one would be read as if it were whole."""
    found = World(tmp_path, JUDGE)
    stale = found.left("judge") / "out" / "half"
    stale.parent.mkdir(parents=True)
    stale.write_text("x")
    assert found.run("judge").code == 0
    assert not stale.exists()


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    fails = JUDGE._replace(argv=python("open(a[0], 'w').write('half'); sys.exit(3)", OUT))
    ended = World(tmp_path, fails).run("judge")
    assert (ended.code, ended.outputs.exists()) == (3, False)
    assert ended.printed.endswith("judge ended with code 3\n")


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        (PASSED, True),
        (Not(PASSED), False),
        (Compare("!=", Output("judge", "passed"), Constant(True)), False),
        (All((PASSED, Compare(">=", Output("judge", "score"), Constant(1)))), False),
        (All((PASSED, Compare("<", Output("judge", "score"), Constant(1)))), True),
    ],
)
def test_the_launcher_answers_conditions(tmp_path: Path, condition: Condition, runs: bool) -> None:
    """Azure ML knows none: a gate that let a bad model through would serve it."""
    found = World(tmp_path, JUDGE, USE._replace(when=condition))
    found.run("judge")
    ended = found.run("use")
    assert ended.code == 0, ended.printed
    assert (ended.outputs / "out" / "artifact").exists() == runs
    skipped = found.value("use", "skipped.json")
    assert skipped == ("" if runs else "its condition does not hold")


def test_what_takes_an_output_of_a_skipped_step_is_skipped_too(tmp_path: Path) -> None:
    """It would fail for want of a file, and a run that went as it should be told as failed."""
    after = USE._replace(name="after", when=None, inputs={"it": Output("use", "out")})
    gated = USE._replace(name="gated", when=Compare("==", Output("use", "n"), Constant(1)))
    use = USE._replace(when=Not(PASSED), parameters={"n": "NUMBER_INTEGER"})
    found = World(tmp_path, JUDGE, use, after, gated)
    for name in ("judge", "use", "after", "gated"):
        ended = found.run(name)
        assert ended.code == 0, ended.printed
    for name in ("after", "gated"):
        words = "it takes an output of use, which did not run"
        assert found.value(name, "skipped.json") == words


def test_of_branches_the_one_that_ran_is_taken(tmp_path: Path) -> None:
    no = USE._replace(name="no", when=Not(PASSED))
    join = USE._replace(
        name="join", when=None, inputs={"it": FirstOf((Output("no", "out"), Output("use", "out")))}
    )
    found = World(tmp_path, JUDGE, USE, no, join)
    for name in ("judge", "use", "no", "join"):
        assert found.run(name).code == 0
    assert (found.left("join") / "out" / "artifact").read_text() == "yes!!"


def test_a_condition_that_cannot_be_resolved_is_a_failure(tmp_path: Path) -> None:
    """To take it for false would skip the deployment and call the run a success."""
    condition = Compare("==", Output("judge", "passed"), Constant(1))
    found = World(tmp_path, JUDGE, USE._replace(when=condition))
    found.run("judge")
    ended = found.run("use")
    assert (ended.code, ended.outputs.exists()) == (1, False)
    assert "the condition True == 1 compares unlike things" in ended.printed


def test_checkpoints_outlive_a_machine(tmp_path: Path) -> None:
    script = (
        "import pathlib\nkept = pathlib.Path(os.environ['TREFOIL_CHECKPOINTS'])\n"
        "kept.mkdir(exist_ok=True); file = kept / 'n'\n"
        "if not file.exists(): file.write_text('1'); sys.exit(9)\n"
        "open(a[0], 'w').write(file.read_text())"
    )
    save = Step("save", "i:1", python(script, OUT), artifacts={"out": DATA})
    found = World(tmp_path, save)
    assert found.run("save").code == 9
    assert found.run("save").code == 0
    assert (found.left("save") / "out" / "artifact").read_text() == "1"


def cluster(pool: int, index: int) -> dict[str, str]:
    """Vertex AI's CLUSTER_SPEC of three replicas, as one of them is told."""
    told = {
        "cluster": {"workerpool0": ["one-0:2222"], "workerpool1": ["two-0:2222", "two-1:2222"]},
        "environment": "cloud",
        "task": {"type": f"workerpool{pool}", "index": index},
    }
    return {"CLUSTER_SPEC": json.dumps(told)}


def azure(rank: int) -> dict[str, str]:
    """What Azure ML tells each of three nodes that have one process."""
    return {"MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105", "WORLD_SIZE": "3",
            "NODE_RANK": str(rank), "RANK": str(rank), "LOCAL_RANK": "0"}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "environment", "told"),
    [
        ("vertex", cluster(0, 0), "0 3 one-0 2222"),
        ("vertex", cluster(1, 1), "2 3 one-0 2222"),
        ("vertex", {}, "alone"),
        ("azureml", azure(0), "0 3 10.0.0.4 6105"),
        ("azureml", azure(2), "2 3 10.0.0.4 6105"),
        ("azureml", {}, "alone"),
    ],
)
@pytest.mark.parametrize("gpus", [1, 4])
def test_nodes_find_each_other_and_the_first_alone_is_heard(
    tmp_path: Path, kind: Kind, environment: Mapping[str, str], told: str, gpus: int
) -> None:
    """Replicas that each wrote the outputs would leave a mixture of them."""
    names = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"]
    if gpus > 1:
        names = ["PET_NODE_RANK", "PET_NNODES", "PET_MASTER_ADDR", "PET_MASTER_PORT"]
    script = (
        f"print(' '.join(os.environ.get(n, 'alone') for n in {names}[:4 if 'alone' != "
        f"os.environ.get({names[0]!r}, 'alone') else 1])); open(a[0], 'w')"
    )
    many = Step("many", "i:1", python(script, OUT), artifacts={"out": DATA},
                resources=Resources(nodes=3, accelerators=gpus, accelerator="T4"))  # fmt: skip
    ended = World(tmp_path, many, kind=kind).run("many", **environment)
    if gpus > 1 and told == "alone":
        told = "0 1 localhost 29500"
    assert ended.printed == f"{told}\n"
    assert ended.code == 0
    first = told == "alone" or told.startswith("0")
    assert (ended.outputs / "out" / "artifact").exists() == first


def test_a_cloud_without_guards_refuses_what_waits_for_two_branches() -> None:
    join = USE._replace(inputs={"it": FirstOf((Output("a", "out"), Output("b", "out")))})
    with pytest.raises(UnsupportedError, match="whichever branch ran, and gcp runs no step"):
        step_file(
            Plan("p", (JUDGE, join)), join, "r-1", {}, lambda _: Left("x", apart=False),
            Container("gcp", "gs://"),
        )  # fmt: skip
