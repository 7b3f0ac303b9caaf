"""What must be right before a run is sent: each thing that is looked at is one named line.

What these credentials may not look at is passed over. ``--provider azure doctor`` prints the lines,
a run keeps to those that are needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infra.azure import AzureSettings, registries
from infra.azure.arm import Arm
from infra.azure.jobs import SERVERLESS
from infra.azure.lower import require_settings
from infra.azure.session import Azure, connected
from infra.errors import CredentialsError, InputError, ProviderError, QuotaError
from infra.machines import table

_VERSION = "2024-04-01"
"""Of the interface in which quotas and machines are asked for."""
_PUBLIC = "mcr.microsoft.com/"
_SPOT = "Total Cluster LowPriority Regional vCPUs"
_NONE: Mapping[tuple[str, bool], int] = {}


class Check(NamedTuple):
    """One thing that was looked at; where ``needed`` and not ``well``, nothing is sent."""

    name: str
    well: bool
    words: str
    needed: bool = True


class Wanted(NamedTuple):
    """What a run needs: clusters, each with whether it is for spot steps, images, machines.

    ``machines`` are the serverless ones, at most so many at once of a type, spot ones apart.
    """

    clusters: Mapping[str, bool]
    images: tuple[str, ...] = ()
    machines: Mapping[tuple[str, bool], int] = _NONE


def require(azure: Azure, body: Mapping[str, Any], settings: AzureSettings) -> None:
    """Raise InputError, QuotaError or CredentialsError at the first thing that a run must have."""
    for check in _run_checks(azure, settings, wanted(body, settings)):
        if check.needed and not check.well:
            wrong = QuotaError if check.name == "quota" else InputError
            raise wrong(f"{check.name}: {check.words}; nothing was sent")


def checks(settings: AzureSettings) -> Iterator[Check]:
    """Look at everything in turn that does not depend on a run; for ``doctor``."""
    clusters = {settings.compute: False, settings.spot_compute: True}
    try:
        require_settings(settings)
        given = {name: spot for name, spot in clusters.items() if name}
        yield from _run_checks(connected(settings), settings, Wanted(given))
    except (CredentialsError, InputError, ProviderError) as error:
        yield Check("azure", False, str(error))


def wanted(body: Mapping[str, Any], settings: AzureSettings) -> Wanted:
    """The clusters, images and machines of everything that the body would start."""
    main = body.get("pipeline") or body["job"]
    nodes = [*main.get("jobs", {"": main}).values(), *body["after"]]
    named = {str(node.get("compute", SERVERLESS)).removeprefix("azureml:") for node in nodes}
    clusters = {name: name == settings.spot_compute for name in named - {"serverless"}}
    machines: dict[tuple[str, bool], int] = {}
    for node in nodes:
        asked = {**node.get("component", {}).get("resources", {}), **node.get("resources", {})}
        tier = str(node.get("queue_settings", {}).get("job_tier", "")).lower()
        if "instance_type" in asked:
            kind = (str(asked["instance_type"]), tier == "spot")
            machines[kind] = max(machines.get(kind, 0), int(asked.get("instance_count", 1)))
    return Wanted(clusters, tuple(each["image"] for each in body["environments"]), machines)


def _run_checks(azure: Azure, settings: AzureSettings, run: Wanted) -> Iterator[Check]:
    yield _workspace(azure, settings)
    yield _storage(azure, settings)
    yield _datastore(azure, settings)
    for name, spot in run.clusters.items():
        yield _cluster(azure, name, spot)
    for image in run.images:
        yield _image(azure, image)
    gpus = {each.name for each in table("azure").machines if each.accelerators}
    if rare := {kind: count for kind, count in run.machines.items() if kind[0] in gpus}:
        yield from _quotas(azure, settings.region, rare)


def _workspace(azure: Azure, settings: AzureSettings) -> Check:
    """Raises CredentialsError; InputError where there is none."""
    found = azure.workspace()
    region = str(found.get("location", "")).replace(" ", "").lower()
    if region and region != settings.region.replace(" ", "").lower():
        words = f"{settings.ml_workspace} is in {region}, and the setting region is "
        return Check("workspace", False, f"{words}{settings.region}")
    return Check("workspace", True, f"{settings.ml_workspace} in {region}")


def _storage(azure: Azure, settings: AzureSettings) -> Check:
    what = f"{settings.storage_account}/{settings.container}"
    found = azure.find(f"look at the container {what}", azure.blobs.get_container_properties)
    if found is None:
        words = f"there is no container {settings.container} in {settings.storage_account}"
        return Check("storage", False, f"{words}; see the setting container")
    return Check("storage", True, what)


def _datastore(azure: Azure, settings: AzureSettings) -> Check:
    found = azure.find(
        f"look at the datastore {settings.datastore}", azure.ml.datastores.get, settings.datastore
    )
    if found is None:
        words = f"the workspace has no datastore {settings.datastore}; see the setting datastore"
        return Check("datastore", False, words)
    there = (getattr(found, "account_name", ""), getattr(found, "container_name", ""))
    if there != (settings.storage_account, settings.container):
        words = f"{settings.datastore} is of {'/'.join(there)}, and the settings name "
        return Check("datastore", False, f"{words}{settings.storage_account}/{settings.container}")
    return Check("datastore", True, settings.datastore)


def _cluster(azure: Azure, name: str, spot: bool) -> Check:
    found = azure.find(f"look at the cluster {name}", azure.ml.compute.get, name)
    if found is None:
        words = f"the workspace has no cluster {name}; see the settings compute and spot_compute"
        return Check("cluster", False, words)
    low = str(getattr(found, "tier", "")).lower().replace("_", "") == "lowpriority"
    if spot and not low:
        words = f"{name} has no machines of low priority, and the setting spot_compute names it"
        return Check("cluster", False, words)
    return Check("cluster", True, f"{name}, {getattr(found, 'size', '')}")


def _image(azure: Azure, image: str) -> Check:
    if image.startswith(_PUBLIC):
        return Check("image", True, image, needed=False)
    if not registries.has(image):
        words = (
            f"{image} is in no registry of Azure's; the identity of the jobs must be able to pull "
            "it all the same"
        )
        return Check("image", False, words, needed=False)
    try:
        digest = registries.digest(azure, image)
    except (CredentialsError, ProviderError):
        return Check("image", True, f"{image}, which we may not look at", needed=False)
    if digest is None:
        where = f"see: python -m pipelines image push --registry {image.partition('/')[0]}"
        return Check("image", False, f"{image} is not there; {where}")
    return Check("image", True, f"{image} ({digest[:19]})")


def _quotas(azure: Azure, region: str, asked: Mapping[tuple[str, bool], int]) -> Iterator[Check]:
    """Of machines with GPUs, of which a subscription has none until it asks for them."""
    try:
        sizes = {each.get("name"): each for each in _listed(azure, region, "vmSizes")}
        limits = {
            _plain((each.get("name") or {}).get("value", "")): int(each.get("limit", -1))
            for each in _listed(azure, region, "usages")
            if "/workspaces/" not in each.get("id", "")
        }
    except (CredentialsError, ProviderError):
        yield Check("quota", True, "which we may not look at", needed=False)
        return
    for (machine, spot), count in asked.items():
        size = sizes.get(machine, {})
        name = _SPOT if spot else f"{size.get('family', '')} Cluster Dedicated vCPUs"
        limit, needs = limits.get(_plain(name), -1), count * int(size.get("vCPUs", 0))
        if limit < 0 or not needs:
            yield Check("quota", True, f"{machine}: not listed", needed=False)
            continue
        more = "" if limit >= needs else (
            f", and {count} x {machine} need {needs}; ask for more under Usage + quotas of the "
            "workspace"
        )  # fmt: skip
        yield Check("quota", limit >= needs, f"{name}: {limit}{more}")


def _listed(azure: Azure, region: str, what: str) -> list[dict[str, Any]]:
    where = azure.where
    front = f"/subscriptions/{where.subscription}/providers/Microsoft.MachineLearningServices"
    path = f"{front}/locations/{region}/{what}"
    return list(Arm(where).pages(path, f"list the {what} of {region}", _VERSION))


def _plain(name: str) -> str:
    """A family of machines is written standardDSv2Family, and Standard DSv2 Family."""
    return re.sub("[^a-z0-9]", "", name.lower())
