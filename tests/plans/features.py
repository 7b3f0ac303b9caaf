"""One pipeline with most of what KFP's DSL can say; compiled by the tests that read it."""

from kfp import dsl
from kfp.dsl import Input, Model, Output, OutputPath, PipelineTaskFinalStatus

IMAGE = "python:3.11-slim"


@dsl.container_component
def make(x: int, text: str, score: OutputPath(float), model: Output[Model], tail: str = "end"):
    return dsl.ContainerSpec(
        image=IMAGE, command=["python", "-c"], args=[f"--x={x}", text, score, model.path, tail]
    )


@dsl.container_component
def use(model: Input[Model], word: OutputPath(str)):
    return dsl.ContainerSpec(image=IMAGE, command=["use"], args=[model.path, word])


@dsl.container_component
def say(what: str):
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=[what])


@dsl.container_component
def count(numbers: list, table: dict, ratio: float, flag: bool):
    return dsl.ContainerSpec(image=IMAGE, command=["count"], args=[numbers, table, ratio, flag])


@dsl.container_component
def last(status: PipelineTaskFinalStatus):
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=[status])


@dsl.pipeline(name="inner")
def inner(z: int) -> str:
    made = make(x=z, text="inner")
    return use(model=made.outputs["model"]).outputs["word"]


@dsl.pipeline(name="features", description="Most of the DSL.")
def features(n: int = 3, name: str = "bob", ratio: float = 0.5, flag: bool = False):
    ending = last()
    with dsl.ExitHandler(ending, name="guarded"):
        made = make(x=n, text=f"{name}-gen")
        made.set_cpu_limit("1500m").set_memory_limit("2Gi").set_env_variable("A", "b")
        made.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
        made.set_retry(3, backoff_duration="5s", backoff_factor=1.5, backoff_max_duration="60s")
        count(numbers=[1, 2], table={"k": 3, "n": {"q": 1.5}}, ratio=ratio, flag=True)
        with dsl.If(made.outputs["score"] > 0.5):
            said = say(what=inner(z=n).output)
            with dsl.If(name == "bob"):
                say(what="bob").after(said)
        with dsl.Elif(n > 2):
            say(what="elif")
        with dsl.Else():
            say(what=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
        with dsl.If(flag == True):  # noqa: E712
            say(what="flag").ignore_upstream_failure()
    with dsl.If(n == 3):
        one = use(model=make(x=1, text="left").outputs["model"])
    with dsl.Else():
        two = use(model=make(x=2, text="right").outputs["model"])
    say(what=dsl.OneOf(one.outputs["word"], two.outputs["word"])).set_caching_options(False)
