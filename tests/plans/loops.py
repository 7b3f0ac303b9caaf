"""Loops over lists that are known before the run: raw, a parameter's, of structs, in each other."""

from kfp import dsl
from kfp.dsl import Input, Model, Output, OutputPath

TRAIN = "import sys; [open(p, 'w').write(sys.argv[1]) for p in sys.argv[2:]]"
COPY = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
PICK = (
    "import json, sys; scores, models = map(json.loads, sys.argv[1:3]); "
    "assert [float(open(model).read()) for model in models] == scores; "
    "open(sys.argv[3], 'w').write(json.dumps(scores))"
)


@dsl.container_component
def train(rate: float, model: Output[Model], score: OutputPath(float)):
    return dsl.ContainerSpec(
        image="i", command=["python", "-c", TRAIN], args=[rate, model.path, score]
    )


@dsl.container_component
def say(what: str, said: OutputPath(str)):
    return dsl.ContainerSpec(image="i", command=["python", "-c", TRAIN], args=[what, said])


@dsl.container_component
def use(model: Input[Model], said: OutputPath(str)):
    return dsl.ContainerSpec(image="i", command=["python", "-c", COPY], args=[model.path, said])


@dsl.container_component
def pick(scores: list, models: Input[list[Model]], found: OutputPath(list)):
    return dsl.ContainerSpec(
        image="i", command=["python", "-c", PICK], args=[scores, models, found]
    )


@dsl.pipeline(name="again")
def again(models: Input[list[Model]], scores: list[float], word: str) -> list:
    with dsl.ParallelFor(models) as model:
        use(model=model)
    with dsl.ParallelFor(scores) as score:
        made = train(rate=score)
        say(what=f"{word} {score}")
    collected = made.outputs
    return pick(
        scores=dsl.Collected(collected["score"]), models=dsl.Collected(collected["model"])
    ).outputs["found"]


@dsl.pipeline(name="loops")
def loops(
    rates: list[float] = [0.1, 0.2],  # noqa: B006  kfp's own way to give a default
    tables: list[dict[str, str]] = [{"title": "a"}, {"title": "b"}],  # noqa: B006
    word: str = "rate",
):
    with dsl.ParallelFor([0.5, 0.25, 1.5], parallelism=2) as rate:
        trained = train(rate=rate)
        with dsl.If(rate > 0.4):
            say(what=f"{word} {rate}")
        with dsl.If(trained.outputs["score"] < 0.4):
            use(model=trained.outputs["model"])
    again(
        models=dsl.Collected(trained.outputs["model"]),
        scores=dsl.Collected(trained.outputs["score"]),
        word=word,
    )
    with dsl.ParallelFor(tables) as table:
        say(what=table.title)
        with dsl.ParallelFor(rates) as inner:
            nested = train(rate=inner)
    pick(
        scores=dsl.Collected(nested.outputs["score"]), models=dsl.Collected(nested.outputs["model"])
    ).after(trained)
    with (
        dsl.ParallelFor([{"title": "c", "rates": [1, 2.5]}]) as struct,
        dsl.ParallelFor(struct.rates) as last,
    ):
        say(what=f"{struct.title} {last}")
