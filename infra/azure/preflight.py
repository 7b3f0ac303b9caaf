"""What must be right before a run is sent: each thing that is looked at is one named line.

What these credentials may not look at is passed over. ``--provider azure doctor`` prints the lines,
a run keeps to those that are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infra.azure import AzureSettings
from infra.azure.jobs import SERVERLESS
from infra.azure.lower import require_settings
from infra.azure.session import Azure, connected
from infra.errors import CredentialsError, InputError, ProviderError

_PULLED = (".azurecr.io/", "mcr.microsoft.com/")


class Check(NamedTuple):
    """One thing that was looked at; where ``needed`` and not ``well``, nothing is sent."""

    name: str
    well: bool
    words: str
    needed: bool = True


class Wanted(NamedTuple):
    """What a run needs: clusters, each with whether it is for spot steps, and images."""

    clusters: Mapping[str, bool]
    images: tuple[str, ...] = ()


def require(azure: Azure, body: Mapping[str, Any], settings: AzureSettings) -> None:
    """Raise InputError or CredentialsError at the first thing that a run cannot do without."""
    for check in _run_checks(azure, settings, wanted(body, settings)):
        if check.needed and not check.well:
            raise InputError(f"{check.name}: {check.words}; nothing was sent")


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
    """The clusters and images of everything that the body would start."""
    main = body.get("pipeline") or body["job"]
    nodes = [*main.get("jobs", {"": main}).values(), *body["after"]]
    named = {str(node.get("compute", SERVERLESS)).removeprefix("azureml:") for node in nodes}
    clusters = {name: name == settings.spot_compute for name in named - {"serverless"}}
    return Wanted(clusters, tuple(each["image"] for each in body["environments"]))


def _run_checks(azure: Azure, settings: AzureSettings, run: Wanted) -> Iterator[Check]:
    yield _workspace(azure, settings)
    yield _storage(azure, settings)
    yield _datastore(azure, settings)
    for name, spot in run.clusters.items():
        yield _cluster(azure, name, spot)
    for image in run.images:
        known = any(each in image for each in _PULLED)
        words = image if known else f"{image} is in no registry of Azure's; the identity of the " \
            "jobs must be able to pull it all the same"  # fmt: skip
        yield Check("image", known, words, needed=False)


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
