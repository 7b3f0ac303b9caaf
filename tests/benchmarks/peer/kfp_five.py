"""Five lightweight components in kfp.local's SubprocessRunner: it refuses container components."""

import sys

from kfp import dsl, local
from kfp.dsl import Artifact, Input, Output

local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])


@dsl.component(install_kfp_package=False)
def first(out: Output[Artifact]):
    with open(out.path, "w") as file:
        file.write("x" * 1024)


@dsl.component(install_kfp_package=False)
def step(source: Input[Artifact], out: Output[Artifact]):
    with open(source.path) as read, open(out.path, "w") as file:
        file.write(read.read())


@dsl.pipeline(name="five")
def five():
    task = first()
    for _ in range(4):
        task = step(source=task.outputs["out"])


five()
