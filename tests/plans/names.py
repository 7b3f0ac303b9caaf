"""Components called as kfp calls its own groups, used again, and in loops."""

from kfp import dsl
from kfp.dsl import OutputPath


@dsl.container_component
def condition(said: OutputPath(str), what: str = "x"):
    return dsl.ContainerSpec(image="i", command=["echo"], args=[what, said])


@dsl.pipeline(name="for-loop")
def for_loop(what: str) -> str:
    return condition(what=what).outputs["said"]


@dsl.pipeline(name="names")
def names(word: str = "x"):
    first = condition()
    condition(what=first.outputs["said"])
    for_loop(what="p")
    for_loop(what="q")
    with dsl.If(word == "x"):
        condition(what="in")
    with dsl.ParallelFor(["a", "b"]) as item:
        condition(what=item)
        for_loop(what=item)
