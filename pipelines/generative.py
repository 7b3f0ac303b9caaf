"""The pipeline: prepare -> train -> evaluate -> (gate) register -> deploy, and a report always.

Written once in the KFP DSL with container components, the one form that every place can run.
Only ``pipelines.compiling`` imports this file; everything else reads the compiled IR.
"""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output, OutputPath, PipelineTaskFinalStatus

TRAINER = "trefoil-trainer"
"""Image of every step; a provider puts its registry and digest in front."""


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
def champion(model_name: str, champion: Output[Model]):
    """Fetch the registered champion, if there is one, for evaluate to compare with."""
    return _step("champion", "--model-name", model_name, "--champion", champion.path)


@dsl.container_component
def train(dataset: Input[Dataset], recipe: str, config: str, seed: int, model: Output[Model]):
    """Fit the recipe; checkpoints on a timer and on SIGTERM, resumes where it stopped."""
    return _step(
        "train", "--dataset", dataset.path, "--recipe", recipe, "--config", config,
        "--seed", seed, "--model", model.path,
    )  # fmt: skip


@dsl.container_component
def evaluate(
    dataset: Input[Dataset],
    model: Input[Model],
    champion: Input[Model],
    gate: str,
    seed: int,
    evaluation: Output[Metrics],
    passed: OutputPath(bool),
):
    """Judge the model on held-out data beside its anchors and the champion; decide the gate."""
    return _step(
        "evaluate", "--dataset", dataset.path, "--model", model.path, "--champion", champion.path,
        "--gate", gate, "--seed", seed, "--evaluation", evaluation.path, "--passed", passed,
    )  # fmt: skip


@dsl.container_component
def register(
    dataset: Input[Dataset],
    model: Input[Model],
    evaluation: Input[Metrics],
    model_name: str,
    promote: str,
    version: OutputPath(str),
    promoted: OutputPath(bool),
):
    """Make a model version in the registry, alias it challenger, promote it by rule."""
    return _step(
        "register", "--dataset", dataset.path, "--model", model.path,
        "--evaluation", evaluation.path, "--model-name", model_name, "--promote", promote,
        "--version", version, "--promoted", promoted,
    )  # fmt: skip


@dsl.container_component
def deploy(
    model: Input[Model],
    model_name: str,
    version: str,
    promoted: bool,
    endpoint: str,
    canary: int,
    url: OutputPath(str),
):
    """Serve the version if it is champion, else as a canary; traffic moves once it is healthy."""
    return _step(
        "deploy", "--model", model.path, "--model-name", model_name, "--version", version,
        "--promoted", promoted, "--endpoint", endpoint, "--canary", canary, "--url", url,
    )  # fmt: skip


@dsl.container_component
def report(status: PipelineTaskFinalStatus):
    """Say how the run ended; runs whatever happened."""
    return _step("report", "--status", status)


@dsl.pipeline(name="generative", description="Train, judge, register and serve a generative model.")
def generative(
    data: str = "digits",
    data_md5: str = "",
    data_pin: str = "",
    recipe: str = "vae",
    config: str = "{}",
    gate: str = "{}",
    seed: int = 0,
    model_name: str = "digits-vae",
    promote: str = "when-better",
    endpoint: str = "digits-vae",
    canary: int = 0,
):
    """Run the whole pipeline. ``config`` and ``gate`` are JSON objects (kfp floats nested ints).

    ``data_md5`` is what the data must be, ``data_pin`` the file of DVC's that says so, if one does.

    A ``canary`` of 10 lets the new version answer one request in ten, beside the last one.
    """
    finish = report()
    finish.set_caching_options(False)
    with dsl.ExitHandler(finish, name="always-report"):
        prepared = prepare(data=data, data_md5=data_md5, data_pin=data_pin, seed=seed)
        incumbent = champion(model_name=model_name)
        incumbent.set_caching_options(False)  # the registry may have changed
        trained = train(
            dataset=prepared.outputs["dataset"], recipe=recipe, config=config, seed=seed
        )
        trained.set_retry(num_retries=2, backoff_duration="1s", backoff_factor=2)
        trained.set_cpu_limit("2").set_memory_limit("4G")
        judged = evaluate(
            dataset=prepared.outputs["dataset"],
            model=trained.outputs["model"],
            champion=incumbent.outputs["champion"],
            gate=gate,
            seed=seed,
        )
        with dsl.If(judged.outputs["passed"] == True, name="gate"):  # noqa: E712
            registered = register(
                dataset=prepared.outputs["dataset"],
                model=trained.outputs["model"],
                evaluation=judged.outputs["evaluation"],
                model_name=model_name,
                promote=promote,
            )
            registered.set_caching_options(False)
            deployed = deploy(
                model=trained.outputs["model"],
                model_name=model_name,
                version=registered.outputs["version"],
                promoted=registered.outputs["promoted"],
                endpoint=endpoint,
                canary=canary,
            )
            deployed.set_caching_options(False)
            deployed.set_env_variable("TREFOIL_ON_HOST", "1")  # on one machine: outlives the run
