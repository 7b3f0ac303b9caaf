"""Pipelines in pipelines, groups in groups: what is easily bound to the wrong thing."""

from kfp import dsl
from kfp.dsl import OutputPath, PipelineTaskFinalStatus


@dsl.container_component
def say(what: str, said: OutputPath(str)):
    return dsl.ContainerSpec(image="i", command=["echo"], args=[what, said])


@dsl.container_component
def call_me(what: str):
    return dsl.ContainerSpec(image="i", command=["echo"], args=[what])


@dsl.container_component
def for_loop(score: OutputPath(float)):
    return dsl.ContainerSpec(image="i", command=["score"], args=[score])


@dsl.container_component
def ending(status: PipelineTaskFinalStatus):
    return dsl.ContainerSpec(image="i", command=["echo"], args=[status])


@dsl.pipeline(name="innermost")
def innermost(name: str):
    say(what=f"[{name}]")


@dsl.pipeline(name="inner")
def inner(name: str):
    say(what=f"<{name}>")
    innermost(name=f"{name}!")
    call_me(what=f"{dsl.PIPELINE_TASK_NAME_PLACEHOLDER} in {dsl.PIPELINE_JOB_NAME_PLACEHOLDER}")


@dsl.pipeline(name="scopes")
def scopes(
    n: int = -3, name: str = "bob", image: str = "own:1", memory: str = "2Gi", ratio: float = -0.5
):
    inner(name=f"{name}-x")
    made = say(what="made")
    inner(name=f"{made.outputs['said']}-y")
    say(what="bytes").set_memory_limit("1073741824").set_cpu_limit("2")
    say(what="requests").set_memory_request("1Gi").set_cpu_request("500m")
    say(what="own").set_container_image(image).set_memory_limit(memory).set_caching_options(False)
    with dsl.If(n == -3), dsl.If(ratio < -0.25), dsl.If(name != 'a "b" c'):
        say(what="deep").after(made)
    for_loop()
    with dsl.If(for_loop().outputs["score"] >= 1e-05):
        say(what="tiny")
    with dsl.ExitHandler(ending(), name="one"):
        say(what="first")
    with dsl.ExitHandler(say(what="bye"), name="two"):
        say(what="second")
