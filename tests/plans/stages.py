"""A small pipeline that can end in every way: what places that execute are tried with."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Output, OutputPath, PipelineTaskFinalStatus

IMAGE = "python:3.11-slim"
MAKE = """
import sys
text, out, size = sys.argv[1:]
print("made", text)
open(out, "w").write(text)
open(size, "w").write(str(len(text)))
"""
JUDGE = "import sys; open(sys.argv[2], 'w').write(sys.argv[1].lower())"
UNSTEADY = """
import os, sys
attempt, kept = os.environ.get("TREFOIL_ATTEMPT"), os.environ.get("TREFOIL_CHECKPOINTS")
if attempt == "1" or not (attempt or os.path.exists(kept)):
    attempt or os.makedirs(kept)
    sys.exit("not yet")
print("at last")
"""
END = """
import sys, time
how = sys.argv[1]
if how == "wait":
    print("waiting", flush=True)
    time.sleep(60)
if how:
    print("the robot's disk is full", file=sys.stderr)
    sys.exit({"fail": 3, "input": 2}[how])
"""
USE = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read() + '!')"
LAST = "import json, sys; print('ended', json.loads(sys.argv[1])['state'])"


def _python(code: str, *words: object) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image=IMAGE, command=["python", "-c", code], args=list(words))


@dsl.container_component
def make(text: str, out: Output[Artifact], size: OutputPath(int)):
    return _python(MAKE, text, out.path, size)


@dsl.container_component
def judge(passed: bool, verdict: OutputPath(bool)):
    return _python(JUDGE, passed, verdict)


@dsl.container_component
def unsteady():
    return _python(UNSTEADY)


@dsl.container_component
def end(how: str):
    return _python(END, how)


@dsl.container_component
def use(source: Input[Artifact], out: Output[Artifact]):
    return _python(USE, source.path, out.path)


@dsl.container_component
def last(status: PipelineTaskFinalStatus):
    return _python(LAST, status)


@dsl.pipeline(name="stages", description="Every way to end.")
def stages(text: str = "abc", passed: bool = True, how: str = ""):
    finish = last()
    finish.set_caching_options(False)
    with dsl.ExitHandler(finish, name="always"):
        made = make(text=text)
        judged = judge(passed=passed)
        tried = unsteady()
        tried.set_retry(2, backoff_duration="0s")
        end(how=how).after(tried).set_caching_options(False)
        with dsl.If(judged.outputs["verdict"] == True, name="gate"):  # noqa: E712
            use(source=made.outputs["out"])
