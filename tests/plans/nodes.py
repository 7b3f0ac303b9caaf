"""A step that says which of how many processes it is."""

from kfp import dsl
from kfp.dsl import Artifact, Output

CODE = """
import os, sys
rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
if rank == "0":
    open(sys.argv[1], "w").write(f"{rank} of {size}")
"""


@dsl.container_component
def rank(out: Output[Artifact]):
    """Write it, by the first of them."""
    return dsl.ContainerSpec(image="i:1", command=["python", "-c", CODE], args=[out.path])


@dsl.pipeline(name="nodes")
def nodes():
    """One step."""
    rank()
