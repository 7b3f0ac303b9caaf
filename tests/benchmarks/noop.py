"""Five steps, each reading a file of 1 KB and writing one: what running a pipeline costs by itself.

``noop.yaml`` is this, compiled: ``kfp dsl compile --py noop.py --output noop.yaml``.
"""

from kfp import dsl
from kfp.dsl import Artifact, Input, Output

FIRST = "import sys; open(sys.argv[1], 'w').write('x' * 1024)"
NEXT = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"


@dsl.container_component
def first(out: Output[Artifact]):
    """Write a file."""
    return dsl.ContainerSpec(image="python:3.11-slim", command=["python", "-c", FIRST, out.path])


@dsl.container_component
def step(number: int, source: Input[Artifact], out: Output[Artifact]):
    """Read a file and write it again; ``number`` keeps the five apart in the cache."""
    return dsl.ContainerSpec(
        image="python:3.11-slim", command=["python", "-c", NEXT, source.path, out.path, number]
    )


@dsl.pipeline(name="noop")
def noop():
    """Run one after the other."""
    task = first()
    for number in range(4):
        task = step(number=number, source=task.outputs["out"])
