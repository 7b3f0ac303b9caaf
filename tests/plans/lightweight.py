"""Lightweight Python components: values, artefacts, metadata and metrics in and out."""

from typing import NamedTuple, Optional

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output, OutputPath, PipelineTaskFinalStatus


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def prepare(rows: int, data: Output[Dataset], note: OutputPath(str), extra: Optional[str] = None):
    with open(data.path, "w") as file:
        file.write("x" * rows)
    data.metadata["rows"] = rows
    with open(note, "w") as file:
        file.write(f"extra is {extra}")


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def fit(
    data: Input[Dataset],
    table: dict,
    model: Output[Model],
    metrics: Output[Metrics],
    start: Optional[Input[Model]] = None,
) -> NamedTuple("Outputs", [("score", float), ("words", list), ("fresh", bool)]):
    with open(data.path) as file, open(model.path, "w") as out:
        out.write(file.read().upper())
    metrics.log_metric("rows", data.metadata["rows"])
    score = table["scale"] * data.metadata["rows"] + float(table.get("more", 0))
    return (score, ["a", "b"], start is None)


@dsl.component(base_image="python:3.11")
def join(models: Input[list[Model]], scores: list, metrics: Input[Metrics]) -> str:
    texts = []
    for model in models:
        with open(model.path) as file:
            texts.append(file.read())
    return f"{texts} {scores} {metrics.metadata['rows']}"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def tell(status: PipelineTaskFinalStatus) -> str:
    return status.state


@dsl.pipeline(name="lightweight")
def lightweight(rows: int = 3):
    with dsl.ExitHandler(tell()):
        prepared = prepare(rows=rows)
        with dsl.ParallelFor([1, 2]) as scale:
            first = fit(data=prepared.outputs["data"], table={"scale": 1, "more": scale})
        second = fit(data=prepared.outputs["data"], table={"scale": 0.5})
        join(
            models=dsl.Collected(first.outputs["model"]),
            scores=dsl.Collected(first.outputs["score"]),
            metrics=second.outputs["metrics"],
        )
