"""The launcher runs any step in SageMaker's folders as KFP would have run it in its own."""

from __future__ import annotations

import ast
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.cloud import launcher
from infra.plan import (
    Argument,
    Collected,
    Constant,
    FinalStatus,
    Imported,
    Output,
    Plan,
    Resources,
    Retry,
    Source,
    Step,
    Template,
    Token,
)
from tests.infra.aws.containers import World
from tests.infra.aws.lowering import lowered

MODEL, DATA = "system.Model", "system.Dataset"


def word(*pieces: tuple[str, str] | str) -> Argument:
    """A word of a command: text, and pairs of kind and name."""
    return tuple(
        Token("text", piece) if isinstance(piece, str) else Token(*piece)  # type: ignore[arg-type]
        for piece in pieces
    )


def python(script: str, *words: Argument) -> tuple[Argument, ...]:
    """A command that runs a script; its words are a[0] and so on."""
    whole = f"import json, os, pathlib, sys, time\na = sys.argv[1:]\n{script}"
    return (word(sys.executable), word("-c"), word(whole), *words)


MAKE = Step(
    "make", "image:1",
    python("open(a[0], 'w').write('abc'); open(a[1], 'w').write('3'); print('made')",
           word(("output_path", "out")), word(("output_file", "size"))),
    parameters={"size": "NUMBER_INTEGER"}, artifacts={"out": DATA},
)  # fmt: skip


def plan(*steps: Step) -> Plan:
    """Steps, and one beside them, since a plan of one step is no pipeline."""
    return Plan("p", (*steps, MAKE._replace(name="beside")))


def world(folder: Path, *steps: Step) -> World:
    """Where the steps can be run."""
    return World(folder, lowered(plan(*steps)))


def values(found: World, step: str) -> Any:
    """The output parameters that a step left in S3."""
    file = found.at(f"s3://example-bucket/trefoil/runs/p-1/{step}/trefoil/values.json")
    return json.loads(file.read_text())


def left(found: World, step: str, output: str) -> str:
    """The text of an artefact in S3."""
    folder = f"s3://example-bucket/trefoil/runs/p-1/{step}/{output}"
    return found.at(f"{folder}/artifact").read_text()


def taking(inputs: Mapping[str, Source], *argv: Argument, **more: Any) -> Step:
    """A step that takes inputs and writes an artefact out."""
    return Step("take", "image:1", argv, inputs=inputs, artifacts={"out": DATA}, **more)


def test_it_needs_nothing_but_python() -> None:
    """It runs in images of other people: no module of ours, none that must be installed."""
    tree = ast.parse(Path(launcher.__file__).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names | {"__future__"}


def test_artefacts_values_and_texts_go_from_step_to_step(tmp_path: Path) -> None:
    take = taking(
        {
            "text": Output("make", "out"), "size": Output("make", "size"),
            "said": Template(word("size ", ("parameter", "size"))),
            "list": Constant(["x", {"y": 1}]), "quoted": Constant("it's \"so\"\n"),
        },
        *python("open(a[0], 'w').write('|'.join([open(a[1]).read(), *a[2:]]))",
                word(("output_path", "out")), word(("input_path", "text")),
                word("<", ("parameter", "size"), ">"), word(("parameter", "said")),
                word(("parameter", "list")), word(("parameter", "quoted")),
                word(("run", "pipeline_task_name"), "@", ("run", "pipeline_job_name"))),
    )  # fmt: skip
    found = world(tmp_path, MAKE, take)
    assert found.run("make").printed == "made\n"
    assert values(found, "make") == {"size": 3}
    ended = found.run("take")
    assert ended.code == 0, ended.printed
    assert left(found, "take", "out") == 'abc|<3>|size 3|["x", {"y": 1}]|it\'s "so"\n|take@p-1'


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder"])
def test_an_artefact_arrives_as_what_it_was(tmp_path: Path, kind: str) -> None:
    """S3 keeps no empty folders, and KFP's steps may write either."""
    script = {
        "file": "open(a[0], 'w').write('x')",
        "folder": "os.makedirs(a[0] + '/in'); open(a[0] + '/in/f', 'w').write('x')",
        "empty folder": "os.makedirs(a[0])",
    }[kind]
    make = Step(
        "make", "i:1", python(script, word(("output_path", "out"))), artifacts={"out": DATA}
    )
    look = (
        "p = pathlib.Path(a[0]); "
        "print(p.is_dir(), sorted(str(f.relative_to(p)) for f in p.rglob('*')))"
    )
    show = taking({"it": Output("make", "out")},
                  *python(f"{look}; open(a[1], 'w')", word(("input_path", "it")),
                          word(("output_path", "out"))))  # fmt: skip
    found = world(tmp_path, make, show)
    assert found.run("make").code == 0
    wanted = {"file": "False []", "folder": "True ['in', 'in/f']", "empty folder": "True []"}
    assert found.run("take").printed == f"{wanted[kind]}\n"


def test_a_training_job_hands_on_all_that_it_left(tmp_path: Path) -> None:
    train = Step(
        "train", "image:1",
        python("print(os.environ['TREFOIL_CHECKPOINTS']); open(a[1], 'w').write('weights'); "
               "open(a[2], 'w').write('0.5')", word(("input_path", "data")),
               word(("output_path", "model")), word(("output_file", "loss"))),
        inputs={"data": Output("make", "out")}, artifacts={"model": MODEL},
        parameters={"loss": "NUMBER_DOUBLE"},
    )  # fmt: skip
    take = taking({"model": Output("train", "model"), "loss": Output("train", "loss")},
                  *python("open(a[2], 'w').write(open(a[0]).read() + a[1])",
                          word(("input_path", "model")), word(("parameter", "loss")),
                          word(("output_path", "out"))))  # fmt: skip
    found = world(tmp_path, MAKE, train, take)
    found.run("make")
    assert found.run("train").printed.endswith("/opt/ml/checkpoints/step\n")
    assert found.run("take").code == 0
    assert left(found, "take", "out") == "weights0.5"


def test_lists_imports_and_the_end_of_the_others_reach_a_step(tmp_path: Path) -> None:
    other = MAKE._replace(name="other")
    sources: dict[str, Source] = {
        "sizes": Collected((Output("make", "size"), Output("other", "size"))),
        "texts": Collected((Output("make", "out"), Output("other", "out"))),
        "outside": Imported(Constant("s3://example-bucket/outside/c.txt")),
    }
    take = taking(sources, *python(
        "open(a[3], 'w').write(a[0] + ''.join(open(p).read() for p in json.loads(a[1])) "
        "+ open(a[2]).read())",
        word(("parameter", "sizes")), word(("input_path", "texts")),
        word(("input_path", "outside")), word(("output_path", "out")),
    ))  # fmt: skip
    found = world(tmp_path, MAKE, other, take)
    found.put("s3://example-bucket/outside/c.txt", "!")
    found.run("make")
    found.run("other")
    ended = found.run("take")
    assert ended.code == 0, ended.printed
    assert left(found, "take", "out") == "[3, 3]abcabc!"


def test_an_exit_handler_is_told_how_the_others_ended(tmp_path: Path) -> None:
    last = taking({"status": FinalStatus("handler", ("make",))},
                  *python("open(a[1], 'w').write(json.loads(a[0])['state'])",
                          word(("parameter", "status")), word(("output_path", "out"))),
                  always=True)  # fmt: skip
    request = lowered(plan(MAKE, last))
    found = World(tmp_path, request)
    body: Any = request.body
    given = body["after"][0]["request"]
    found.put("s3://example-bucket/trefoil/runs/p-1/take/trefoil-status/status.json",
              json.dumps({"state": "FAILED"}))  # fmt: skip
    assert found.job("Processing", "take", given).code == 0
    assert left(found, "take", "out") == "FAILED"


def test_a_lightweight_component_gets_kfps_executor_input(tmp_path: Path) -> None:
    """Its code reads names, places and metadata from that document, and writes back another."""
    script = (
        "told = json.loads(a[0]); "
        "out = told['outputs']['artifacts']['out']['artifacts'][0]; "
        "seen = told['inputs']['artifacts']['it']['artifacts'][0]; "
        "json.dump({'parameterValues': {'size': told['inputs']['parameterValues']['n'] + 1}, "
        "'artifacts': {'out': {'artifacts': [{**out, 'metadata': {'from': seen['metadata']}}]}}}, "
        "open(told['outputs']['outputFile'], 'w'))"
    )
    make = MAKE._replace(artifacts={"out": "system.Metrics"})
    light = Step("light", "i:1", python(script, word(("executor_input", ""))),
                 inputs={"it": Output("make", "out"), "n": Constant(4)},
                 artifacts={"out": "system.Metrics"}, parameters={"size": "NUMBER_INTEGER"},
                 )  # fmt: skip
    found = world(tmp_path, make, light)
    found.run("make")
    ended = found.run("light")
    assert ended.code == 0, ended.printed
    assert values(found, "light") == {"size": 5}
    assert json.loads(left(found, "light", "out")) == {"metrics": {"from": {}}}


def test_a_failure_leaves_its_last_lines_and_its_code(tmp_path: Path) -> None:
    fail = MAKE._replace(name="fail", argv=python("print('half'); sys.exit('no room')"))
    found = world(tmp_path, fail)
    ended = found.run("fail")
    assert ended.code == 1
    message = (ended.ml / "output" / "message").read_text()
    assert message == "half\nno room\nfail ended with code 1"
    assert not found.at("s3://example-bucket/trefoil/runs/p-1/fail").exists()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            "open(a[0], 'w'); open(a[1], 'w').write('many')",
            "its output size is 'many', which is no",
        ),
        ("open(a[0], 'w')", "fail did not write its output size"),
        ("open(a[1], 'w').write('3')", "fail did not write its output out"),
    ],
)
def test_what_a_step_promised_and_did_not_leave_is_told(
    tmp_path: Path, script: str, sentence: str
) -> None:
    words = (word(("output_path", "out")), word(("output_file", "size")))
    fail = MAKE._replace(name="fail", argv=python(script, *words))
    ended = world(tmp_path, fail).run("fail")
    assert (ended.code, sentence in ended.printed) == (2, True), ended.printed


def test_a_program_that_the_image_lacks_is_named(tmp_path: Path) -> None:
    lacks = MAKE._replace(name="lacks", argv=(word("no-such-program"),))
    ended = world(tmp_path, lacks).run("lacks")
    assert "the image cannot run no-such-program: No such file" in ended.printed


def test_a_step_is_tried_again_as_its_pipeline_says(tmp_path: Path) -> None:
    """SageMaker itself tries again only what is its own fault."""
    words = (word(("output_path", "out")), word(("output_file", "size")))
    script = (
        "n = os.environ['TREFOIL_ATTEMPT']; print('attempt', n); n < '3' and sys.exit(7); "
        "open(a[0], 'w'); open(a[1], 'w').write(n)"
    )
    again = MAKE._replace(name="again", argv=python(script, *words), retry=Retry(2, 0.01))
    found = world(tmp_path, again)
    assert found.run("again").code == 0
    assert values(found, "again") == {"size": 3}


def test_a_signal_reaches_the_step_and_its_code_is_the_containers(tmp_path: Path) -> None:
    """Spot machines are taken away by one: a step that never hears of it saves nothing."""
    script = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'saved\\n'), os._exit(143)))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    slow = MAKE._replace(name="slow", argv=python(script), retry=Retry(5))
    request = lowered(plan(slow))
    body: Any = request.body
    (given,) = (
        each["Arguments"]
        for each in body["pipeline"]["PipelineDefinition"]["Steps"]
        if each["Name"] == "slow"
    )
    process, _ = World(tmp_path, request).start("Processing", "slow", given)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 143, rest
    assert rest.startswith("saved\n")


def test_nodes_are_told_torchruns_words_and_the_first_alone_is_heard(tmp_path: Path) -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK", "MASTER_ADDR")
    script = f"print([os.environ[n] for n in {names}]); open(a[0], 'w').write(os.environ['RANK'])"
    many = Step("many", "i:1", python(script, word(("output_path", "out"))),
                artifacts={"out": DATA}, resources=Resources(nodes=2))  # fmt: skip
    found = world(tmp_path, many)
    first, second = (found.start("Training", "many", _arguments(many), at, 2) for at in (0, 1))
    printed = [each.communicate(timeout=60)[0] for each, _ in (first, second)]
    assert printed[0] == "['0', '2', '0', '0', 'algo-1']\n"
    assert printed[1] == "['1', '2', '0', '1', 'algo-1']\n"
    assert (first[1] / "model" / "out" / "artifact").read_text() == "0"
    assert not (second[1] / "model").exists()


def _arguments(step: Step) -> Any:
    body: Any = lowered(plan(step)).body
    return body["pipeline"]["PipelineDefinition"]["Steps"][0]["Arguments"]


def test_a_long_command_travels_where_sagemaker_takes_256_characters(tmp_path: Path) -> None:
    long = taking({"text": Constant("x" * 100_000)},
                  *python("open(a[1], 'w').write(str(len(a[0])))", word(("parameter", "text")),
                          word(("output_path", "out"))))  # fmt: skip
    found = world(tmp_path, long)
    assert found.run("take").code == 0
    assert left(found, "take", "out") == "100000"
    longer = taking({"text": Constant("x" * 200_000)}, *python("", word(("parameter", "text"))))
    ended = world(tmp_path / "longer", longer).run("take")
    assert "too long for Linux; pass it as an artefact" in ended.printed


def test_of_a_long_reason_the_end_is_told(tmp_path: Path) -> None:
    """SageMaker keeps the first 1024 bytes: what went wrong is in the last line."""
    code = "[print('x' * 200) for _ in range(30)]; sys.exit('the disk of the robot is full')"
    found = world(tmp_path, Step("fail", "image:1", python(code)), MAKE).run("fail")
    told = (found.ml / "output" / "message").read_text()
    assert len(told.encode()) <= 1024
    assert told.endswith("the disk of the robot is full\nfail ended with code 1")
