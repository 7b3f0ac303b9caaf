"""A version in Vertex AI's registry: its files, its upload, the aliases by which it is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from infra.errors import InputError, ProviderError
from infra.gcp.names import label
from infra.gcp.serving import operations, requests
from infra.gcp.serving.requests import DIGEST, MODEL, Found, Release, Version
from infra.gcp.serving.state import At
from infra.gcp.session import Gcp, required
from infra.storage import tree, tree_digest

PROMOTED = ("default", "champion")
"""Aliases of the version that gets all requests."""
_ATTEMPTS = 3


class Registered:
    """A version, and whether it was made just now."""

    def __init__(self, version: Version, made: bool) -> None:
        self.version, self.made = version, made


def put(at: At, model: Path) -> str:
    """The address of the model's files in the bucket; uploaded unless they are there.

    Their folder is called by what is in it, so that what is there is right. Raises TrefoilError.
    """
    serving = at.serving
    files = tree(model)
    key = f"{serving.prefix.strip('/')}/models/{tree_digest(files)}"
    store = at.gcp.store(serving.bucket)
    there = {each.key for each in store.list(f"{key}/")}
    for name in sorted(files):
        if f"{key}/{name}" not in there:
            store.put(f"{key}/{name}", (model / name).read_bytes())
    return f"gs://{serving.bucket}/{key}/"


def register(at: At, release: Release, image: str, data: str) -> Registered:
    """The version that serves a release, uploaded unless it is there. Raises TrefoilError.

    Two deployers at once may both upload it; both then take the first.
    """
    gcp, serving = at.gcp, at.serving
    name = requests.model_id(release.model_name)
    resource = f"{serving.parent()}/models/{name}"
    doing = f"upload version {release.version} of {release.model_name}"
    for attempt in range(_ATTEMPTS):
        operations.quiet(gcp, resource, at.deadline)
        there = _require_ours(gcp, resource, release)
        asked = requests.upload(release, image, data, serving, there)
        digest = asked["model"]["labels"][DIGEST]
        if there and (found := _numbers(gcp, resource, digest)):
            return Registered(Version(name, found[0]), attempt > 0)
        operations.done(
            gcp, "models.upload", doing, at.deadline, (409,), parent=serving.parent(), body=asked
        )
    raise ProviderError(f"Vertex AI did not {doing}, and does not say why; give the command again")


def promote(at: At, version: Version) -> None:
    """Let a version be the one that is meant where none is named."""
    doing = f"promote {version.model} {version.number}"
    name = version.name(at.serving)
    found = at.gcp.ask("models.get", doing, name=name)
    if not {*PROMOTED} <= {*found.get("versionAliases", ())}:
        body = {"versionAliases": list(PROMOTED)}
        at.gcp.ask("models.mergeVersionAliases", doing, body, name=name)


def forget(at: At, version: Version) -> None:
    """Delete a version that serves nowhere, and the model with its last one."""
    resource = f"{at.serving.parent()}/models/{version.model}"
    doing = f"delete version {version.number} of {version.model}"
    found = at.gcp.find("models.get", doing, name=version.name(at.serving))
    if found is None or found.get("deployedModels"):
        return
    if len([*_versions(at.gcp, resource)]) == 1:
        operations.done(at.gcp, "models.delete", doing, at.deadline, (404,), name=resource)
        return
    if "default" in found.get("versionAliases", ()):
        return  # there must be one that is
    name = version.name(at.serving)
    operations.done(at.gcp, "models.deleteVersion", doing, at.deadline, (404,), name=name)


def _require_ours(gcp: Gcp, resource: str, release: Release) -> bool:
    """Whether there is the model. Raises InputError where it is another's."""
    found = gcp.find("models.get", f"look for the model {release.model_name}", name=resource)
    if found and found.get("labels", {}).get(MODEL) != label(release.model_name):
        raise InputError(
            f"there is a model {resource.rpartition('/')[2]} in this project that Trefoil did not "
            "make; choose another name"
        )
    return found is not None


def _numbers(gcp: Gcp, resource: str, digest: str) -> list[str]:
    """The versions with that in them, the first first."""
    found = (
        str(required(each, "versionId", f"a version of {resource.rpartition('/')[2]}"))
        for each in _versions(gcp, resource)
        if each.get("labels", {}).get(DIGEST) == digest
    )
    return sorted(found, key=int)


def _versions(gcp: Gcp, resource: str) -> Iterator[Found]:
    doing = f"list the versions of {resource.rpartition('/')[2]}"
    return gcp.pages("models.listVersions", "models", doing, name=resource)
