"""The plans that every place is held to, in the KFP DSL; one idea each.

``python -m tests.conformance.plans FOLDER`` compiles them all. Their steps need Python alone, so
that they run in any small image.
"""

import sys
from pathlib import Path

from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Output, OutputPath, PipelineTaskFinalStatus

IMAGE = "trefoil-conformance:1"
"""Any image with Python in it; the tests make one."""


def _python(script: str, *words: object) -> dsl.ContainerSpec:
    script = f"import os, sys, time\na = sys.argv[1:]\n{script}"
    return dsl.ContainerSpec(image=IMAGE, command=["python3", "-c", script], args=list(words))


@dsl.container_component
def make(text: str, out: Output[Artifact], size: OutputPath(int)):
    """Write text and its size."""
    return _python(
        "print('made', a[0]); open(a[1], 'w').write(a[0]); open(a[2], 'w').write(str(len(a[0])))",
        text, out.path, size,
    )  # fmt: skip


@dsl.container_component
def append(source: Input[Artifact], text: str, out: Output[Artifact]):
    """Copy a text and put more behind it."""
    return _python("open(a[2], 'w').write(open(a[0]).read() + a[1])", source.path, text, out.path)


@dsl.container_component
def join(left: Input[Artifact], right: Input[Artifact], out: Output[Artifact]):
    """Put two texts together."""
    return _python(
        "open(a[2], 'w').write(open(a[0]).read() + open(a[1]).read())",
        left.path, right.path, out.path,
    )  # fmt: skip


@dsl.container_component
def judge(value: int, least: int, passed: OutputPath(bool)):
    """Say whether a number is large enough."""
    return _python(
        "open(a[2], 'w').write(str(int(a[0]) >= int(a[1])).lower())", value, least, passed
    )


@dsl.container_component
def unsteady(out: Output[Artifact]):
    """Fail the first time, and know it the second by the place's word, or by what was kept."""
    return _python(
        "tried, kept = map(os.environ.get, ('TREFOIL_ATTEMPT', 'TREFOIL_CHECKPOINTS'))\n"
        "if tried == '1' or not (tried or os.path.exists(kept)):\n"
        "    tried or os.makedirs(kept)\n"
        "    sys.exit('not yet')\n"
        "open(a[0], 'w').write('at last')",
        out.path,
    )


@dsl.container_component
def fail(out: Output[Artifact]):
    """Fail always, with a last line that people must see."""
    return _python("print('halfway'); sys.exit('the disk of the robot is full')", out.path)


@dsl.container_component
def last(status: PipelineTaskFinalStatus, out: Output[Artifact]):
    """Write how the others ended."""
    return _python(
        "import json; open(a[1], 'w').write(json.loads(a[0])['state'])", status, out.path
    )


@dsl.container_component
def measure(text: str, size: OutputPath(int)):
    """Write the length of a text, without the text."""
    return _python("open(a[1], 'w').write(str(len(a[0])))", text, size)


@dsl.container_component
def greet(out: Output[Artifact], name: str = "nobody"):
    """Greet somebody, or nobody."""
    return _python("open(a[1], 'w').write('hello ' + a[0])", name, out.path)


@dsl.container_component
def rank(out: Output[Artifact]):
    """Write how many there are, by the first of them."""
    return _python(
        "open(a[0], 'w').write(os.environ.get('WORLD_SIZE', '1')) "
        "if os.environ.get('RANK', '0') == '0' else None",
        out.path,
    )


@dsl.container_component
def wait(out: Output[Artifact]):
    """Go on until it is ended."""
    return _python("print('waiting', flush=True); time.sleep(600)", out.path)


@dsl.pipeline(name="linear")
def linear(text: str = "a"):
    """One after the other."""
    made = make(text=text)
    more = append(source=made.outputs["out"], text="b")
    append(source=more.outputs["out"], text="c").set_display_name("third")


@dsl.pipeline(name="diamond")
def diamond():
    """Two at once, then one that takes both."""
    made = make(text="a")
    left = append(source=made.outputs["out"], text="l")
    right = append(source=made.outputs["out"], text="r")
    join(left=left.outputs["out"], right=right.outputs["out"])


@dsl.pipeline(name="gate")
def gate(least: int = 2):
    """A step that runs only if another says so."""
    made = make(text="abc")
    judged = judge(value=made.outputs["size"], least=least)
    with dsl.If(judged.outputs["passed"] == True):  # noqa: E712
        append(source=made.outputs["out"], text="!")


@dsl.pipeline(name="retry")
def retry():
    """A step that fails once."""
    tried = unsteady()
    tried.set_retry(num_retries=2, backoff_duration="0s")
    append(source=tried.outputs["out"], text="!")


@dsl.pipeline(name="failing")
def failing():
    """A step that fails, one behind it and one beside it."""
    failed = fail()
    append(source=failed.outputs["out"], text="never")
    make(text="beside")


@dsl.pipeline(name="handler")
def handler():
    """An exit handler that is told of a failure."""
    ending = last()
    ending.set_caching_options(False)
    with dsl.ExitHandler(ending):
        fail()


@dsl.pipeline(name="loop")
def loop():
    """The same step for each item of a list."""
    with dsl.ParallelFor(items=["x", "y", "z"]) as item:
        make(text=item)


@dsl.pipeline(name="importer")
def importer(uri: str):
    """An artefact that no step made."""
    found = dsl.importer(artifact_uri=uri, artifact_class=Artifact, reimport=False)
    append(source=found.output, text="!")


@dsl.pipeline(name="nodes")
def nodes():
    """A step for several machines."""
    rank()


@dsl.pipeline(name="accelerator")
def accelerator():
    """A step that asks for a GPU."""
    greet(name="gpu").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)


@dsl.pipeline(name="optional")
def optional():
    """An input with a default, given once."""
    greet()
    greet(name="you")


@dsl.pipeline(name="big")
def big(text: str):
    """A parameter that no command line could hold twice."""
    measure(text=text)


@dsl.pipeline(name="slow")
def slow():
    """A step that has to be ended."""
    wait()


PIPELINES = (
    linear, diamond, gate, retry, failing, handler, loop, importer, nodes, accelerator, optional,
    big, slow,
)  # fmt: skip


def main(folder: Path) -> None:
    """Compile every plan into FOLDER/NAME.yaml."""
    for pipeline in PIPELINES:
        compiler.Compiler().compile(pipeline, str(folder / f"{pipeline.name}.yaml"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
