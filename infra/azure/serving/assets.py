"""A model as Azure ML fetches it: files in the container, called by what is in them, and a version
in the registry that names them; and the environment of its server.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.azure.arm import VERSION
from infra.azure.serving import requests
from infra.azure.serving.requests import Found, Release
from infra.azure.serving.state import At
from infra.azure.session import reached
from infra.azure.store import Blobs
from infra.errors import ProviderError
from infra.storage import tree, tree_digest

_ABOUT = {
    "trefoil.run": "TREFOIL_RUN_ID",
    "trefoil.plan": "TREFOIL_PLAN_DIGEST",
    "trefoil.commit": "TREFOIL_GIT_COMMIT",
}
_MODELS = "2023-08-01-preview"
"""The version of the interface in which azure-ai-ml registers models."""


def register(at: At, release: Release, files: Path, told: Mapping[str, str]) -> Release:
    """The release with its model in the registry, made where it is not there."""
    digest = put(at, files)
    version = requests.model_version(release, digest)
    about = {name: told[key] for name, key in _ABOUT.items() if told.get(key)}
    body = requests.model(release, at.serving, digest, about)
    address = at.serving.address("models", release.model_name, "versions", version)
    doing = f"register {release.model_name} {version}"
    _once(at, "models", address, body, doing, _MODELS)
    return release._replace(model=address)


def environment(at: At, release: Release, image: str) -> Release:
    """The release with the environment of its server, made where it is not there."""
    body = requests.environment(image, at.serving)
    version = requests.environment_version(body)
    address = at.serving.address("environments", requests.ENVIRONMENT, "versions", version)
    doing = f"make the environment {requests.ENVIRONMENT}:{version}"
    _once(at, "environments", address, body, doing)
    return release._replace(environment=address)


def put(at: At, model: Path) -> str:
    """Upload what is not there yet; returns the digest of all files, which nothing names before."""
    files = tree(model)
    digest = tree_digest(files)
    store = Blobs(reached(at.serving.where), at.serving.datastore)
    folder = requests.folder(at.serving, digest)
    there = {each.key for each in store.list(f"{folder}/")}
    for name in sorted(files):
        key = f"{folder}/{name}"
        if key not in there:
            store.put(key, (model / name).read_bytes())
    return digest


def _once(at: At, kind: str, address: str, body: Found, doing: str, version: str = VERSION) -> None:
    """Make what nothing changes once it is there. Raises TrefoilError."""
    if at.arm.get(address, doing, version) is not None:
        return
    made = at.put(kind, address, body, doing, version)
    if made is None and at.arm.get(address, doing, version) is None:
        raise ProviderError(f"Azure does not {doing}: it is in conflict with something else")
