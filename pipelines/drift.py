"""Have recent data drifted from the reference? python -m pipelines.run --pipeline THIS FILE

    --param reference=digits --param recent=ADDRESS

``recent`` is where the data lie: a path of this machine, or an address in the bucket of the place.
The step's outputs say whether they drifted, and what to dispatch to retrain; see
docs/retraining.md.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, valid-type, misc"
from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output, OutputPath

TRAINER = "trefoil-trainer"


def _step(name: str, *args: object) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(
        image=TRAINER, command=["python", "-m", f"components.{name}"], args=list(args)
    )


@dsl.container_component
def prepare_reference(data: str, seed: int, dataset: Output[Dataset]):
    """Prepare what the model learnt."""
    return _step("prepare", "--data", data, "--seed", seed, "--dataset", dataset.path)


@dsl.container_component
def prepare_recent(data: Input[Dataset], dataset: Output[Dataset]):
    """Prepare what came since."""
    return _step("prepare", "--data", data.path, "--dataset", dataset.path)


@dsl.container_component
def drift(
    reference: Input[Dataset],
    recent: Input[Dataset],
    significance: float,
    seed: int,
    repository: str,
    report: Output[Artifact],
    drifted: OutputPath(bool),
    dispatch: OutputPath(str),
):
    """Compare the two, feature by feature and as a whole."""
    return _step(
        "drift", "--reference", reference.path, "--recent", recent.path,
        "--significance", significance, "--seed", seed, "--repository", repository,
        "--report", report.path, "--drifted", drifted, "--dispatch", dispatch,
    )  # fmt: skip


@dsl.pipeline(name="drift", description="Say whether recent data have drifted.")
def drift_pipeline(
    recent: str,
    reference: str = "digits",
    significance: float = 0.01,
    seed: int = 0,
    repository: str = "local/trefoil",
):
    """``reference`` is a name or a path; ``seed`` also decides what of it is held out."""
    found = dsl.importer(artifact_uri=recent, artifact_class=Dataset, reimport=True)
    learnt = prepare_reference(data=reference, seed=seed)
    came = prepare_recent(data=found.output)
    for each in (learnt, came):
        each.set_caching_options(False)  # the same place may hold other data by now
    drift(
        reference=learnt.outputs["dataset"],
        recent=came.outputs["dataset"],
        significance=significance,
        seed=seed,
        repository=repository,
    )
