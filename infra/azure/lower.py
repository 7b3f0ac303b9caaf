"""Plan -> Request for Azure ML: documents of the CLI's version 2, one job for a plan of one step.

    pipeline       a pipelineJob        job    for a plan of one step: a commandJob
    environments   what they name       after  exit handlers' commandJobs
    files          what goes to storage before, by key

``az ml environment create -f`` and ``az ml job create -f`` take the documents as they are, once the
files are where they belong. Conditions are no public feature of Azure ML: each step of a branch
asks for itself whether it is to run, and says so if it does not; what takes its outputs does not
run either. There are no exit handlers: they are jobs that are started once all else has ended.
Their own name makes them once-only, whoever starts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from infra.azure import AzureSettings, costs, jobs, names
from infra.azure.jobs import Document, Place
from infra.azure.serving.requests import SERVER_IMAGE, SERVING, of
from infra.binding import bound
from infra.cloud.stepfile import CHANNEL, STATUS, Container, Left, StepFile, step_file
from infra.errors import SettingsError
from infra.images.catalogue import IMAGES
from infra.images.names import run_as
from infra.plan import Plan, Request, Step

Node: TypeAlias = dict[str, Any]

_CONTAINER = Container("azure", "azureml://", guards=True)
_ENVIRONMENT = "https://azuremlschemas.azureedge.net/latest/environment.schema.json"
_NEEDED = ("subscription", "resource_group", "ml_workspace", "region", "storage_account",
           "container", "datastore")  # fmt: skip


def lower(plan: Plan, settings: AzureSettings, run_id: str) -> Request:
    """The documents are what is sent, but for the status that exit handlers are told.

    Pure where every image is given; else git is asked for the revision of this code. Raises
    SettingsError, UnsupportedError, and InputError where git cannot tell.
    """
    require_settings(settings)
    images, commits = run_as([step.image for step in plan.steps], settings)
    place = Place(settings, run_id, plan.digest(), next(iter(commits.values()), ""))
    whole = bound(plan)
    lowered = _Lowered(whole, place, images, commits)
    first = [step for step in whole.steps if not step.always]
    alone = len(first) == 1 and not first[0].when
    started = {"job": lowered.job(first[0])} if alone else {"pipeline": lowered.pipeline(first)}
    body: Node = {
        "workspace": _workspace(settings),
        "storage": _storage(settings),
        "environments": lowered.environments(),
        **started,
        "nodes": {} if alone else {step.name: names.node(step.name) for step in first},
        "after": [lowered.job(step) for step in whole.steps if step.always],
        "files": lowered.files,
    }
    notes = [note for step in plan.steps for note in jobs.notes(step, settings)]
    notes += _branches(whole)
    return Request("azure", run_id, whole, body, (*notes, *costs.notes(plan, settings)))


def price(plan: Plan, settings: AzureSettings) -> float:
    """What the machines cost at most, in US dollars; NaN where a price is not known."""
    return costs.price(plan, settings)


def ground(settings: AzureSettings) -> dict[str, str]:
    """What endpoints stand on, for whoever looks after them."""
    return {SERVING: of(settings).text()}


def environment(settings: AzureSettings) -> dict[str, str]:
    """What the step deploy is told, for whoever deploys without a run. Raises as ``lower`` does."""
    require_settings(settings)
    return {**ground(settings), **_server(run_as(IMAGES, settings)[0])}


def require_settings(settings: AzureSettings) -> None:
    """Raise SettingsError where a setting lacks that every run needs."""
    missing = [name for name in _NEEDED if not getattr(settings, name)]
    if missing:
        variables = ", ".join(f"TREFOIL_{name.upper()}" for name in missing)
        raise SettingsError(
            f"azure needs the settings {', '.join(missing)}: set {variables}, or give --settings "
            "the file that `terraform output -json settings` writes"
        )


class _Lowered:
    """What each step became, and the files that it takes."""

    def __init__(
        self, plan: Plan, place: Place, images: Mapping[str, str], commits: Mapping[str, str]
    ) -> None:
        self._plan, self._place = plan, place
        self._images, self._commits = images, commits
        self.files: Node = {}

    def job(self, step: Step) -> Document:
        """One job by itself; what it takes of others has ended, and lies where it lies."""
        inputs = self._inputs(step, self._place.uri)
        return jobs.job(step, self._images[step.image], self._machine(step), inputs, self._place)

    def pipeline(self, steps: list[Step]) -> Document:
        """The pipeline of these steps."""
        nodes = {names.node(step.name): self._node(step) for step in steps}
        description = self._plan.description or self._plan.name
        return jobs.pipeline(self._place, description, nodes)

    def environments(self) -> list[Document]:
        """One for each image that a step runs."""
        images = dict.fromkeys(self._images[step.image] for step in self._plan.steps)
        return [_environment(image) for image in images]

    def _node(self, step: Step) -> Document:
        inputs = self._inputs(step, _parent)
        return jobs.node(step, self._images[step.image], self._machine(step), inputs, self._place)

    def _inputs(self, step: Step, where: Any) -> dict[str, str]:
        """What the step's channels bring, the launcher's own first."""
        file = self._file(step, lambda name: Left(where(name), apart=False))
        found = {CHANNEL: self._place.shared(file.key)}
        for channel in file.channels:
            uri = self._place.uri(step.name, STATUS) if channel.name == STATUS else channel.uri
            found[channel.name] = uri
        for name in step.needs():  # an order without data: Azure knows none
            if not step.always:
                found.setdefault(f"from-{name}", where(name))
        return found

    def _file(self, step: Step, where: Any) -> StepFile:
        file = step_file(
            self._plan, step, self._place.run_id, self._environment(step), where, _CONTAINER
        )
        for name, content in file.files.items():
            self.files[self._place.key(f"{file.key}/{name}")] = content
        return file

    def _machine(self, step: Step) -> str:
        return costs.machine(step, self._place.settings)

    def _environment(self, step: Step) -> Node:
        settings = self._place.settings
        found = {
            "TREFOIL_PROVIDER": "azure",
            "TREFOIL_RUN_ID": self._place.run_id,
            "TREFOIL_STEP": step.name,
            "TREFOIL_PLAN_DIGEST": self._place.digest,
            # a container of Azure ML has an MLflow of its own, which plain MLflow cannot speak to
            "MLFLOW_TRACKING_URI": "",
            "MLFLOW_TRACKING_TOKEN": "",
            "MLFLOW_RUN_ID": "",
            "MLFLOW_EXPERIMENT_ID": "",
        }
        if identity := jobs.identity(step, settings):
            found["AZURE_CLIENT_ID"] = identity  # which of its identities a container is to be
        found |= {**ground(settings), **_server(self._images)}
        if step.image in self._commits:
            found["TREFOIL_GIT_COMMIT"] = self._commits[step.image]
        if settings.tracking_uri != "none":
            found["MLFLOW_TRACKING_URI"] = settings.tracking_uri
            found["MLFLOW_EXPERIMENT_NAME"] = settings.experiment
        return {**found, **step.env}


def _parent(step: str) -> str:
    """What a step leaves, as another node of its pipeline says it."""
    return f"${{{{parent.jobs.{names.node(step)}.outputs.{jobs.LEFT}}}}}"


def _environment(image: str) -> Document:
    name, version = names.environment(image)
    return {"$schema": _ENVIRONMENT, "name": name, "version": version, "image": image}


def _server(images: Mapping[str, str]) -> dict[str, str]:
    return {SERVER_IMAGE: images["trefoil-server"]} if "trefoil-server" in images else {}


def _workspace(settings: AzureSettings) -> Node:
    return {
        "subscription": settings.subscription,
        "resource_group": settings.resource_group,
        "name": settings.ml_workspace,
        "region": settings.region,
    }


def _storage(settings: AzureSettings) -> Node:
    return {"account": settings.storage_account, "container": settings.container}


def _branches(plan: Plan) -> list[str]:
    """A skipped step has its machine for a moment: worth a word where that machine is dear."""
    return [
        f"step {step.name}: where its condition does not hold it takes its machine all the same, "
        "and ends at once: Azure ML has no conditions"
        for step in plan.steps
        if step.when and step.resources.accelerators
    ]
