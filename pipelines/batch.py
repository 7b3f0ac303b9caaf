"""A registered version answers for a whole data set: python -m pipelines.run --pipeline THIS FILE

    --param model_name=digits-vae --param version=1 --param operation=score

It has machines only while it runs, so that a place needs no endpoint for it.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, valid-type, misc"
from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output

TRAINER = "trefoil-trainer"


def _step(name: str, *args: object) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(
        image=TRAINER, command=["python", "-m", f"components.{name}"], args=list(args)
    )


@dsl.container_component
def prepare(data: str, data_md5: str, data_pin: str, seed: int, dataset: Output[Dataset]):
    """Read, check and split the data; write it as Parquet with its schema and statistics."""
    return _step(
        "prepare", "--data", data, "--md5", data_md5, "--pin", data_pin, "--seed", seed,
        "--dataset", dataset.path,
    )  # fmt: skip


@dsl.container_component
def fetch(model_name: str, version: str, model: Output[Model]):
    """Write a registered version's model, verified."""
    return _step("fetch", "--model-name", model_name, "--version", version, "--model", model.path)


@dsl.container_component
def batch(
    dataset: Input[Dataset],
    model: Input[Model],
    operation: str,
    n: int,
    seed: int,
    answers: Output[Dataset],
):
    """Score or reconstruct the held-out rows, or draw samples."""
    return _step(
        "batch", "--dataset", dataset.path, "--model", model.path, "--operation", operation,
        "--n", n, "--seed", seed, "--answers", answers.path,
    )  # fmt: skip


@dsl.pipeline(name="batch", description="Have a registered version answer for a data set.")
def batch_pipeline(
    model_name: str,
    version: str,
    data: str = "digits",
    data_md5: str = "",
    data_pin: str = "",
    operation: str = "score",
    n: int = 64,
    seed: int = 0,
):
    """Answers come as ``answers.parquet`` of the step batch."""
    prepared = prepare(data=data, data_md5=data_md5, data_pin=data_pin, seed=seed)
    fetched = fetch(model_name=model_name, version=version)
    fetched.set_caching_options(False)  # a deleted version must not be answered for
    batch(
        dataset=prepared.outputs["dataset"],
        model=fetched.outputs["model"],
        operation=operation,
        n=n,
        seed=seed,
    )
