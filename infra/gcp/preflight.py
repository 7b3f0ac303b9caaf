"""What must be right before a run is sent: each thing that is looked at is one named line.

What these credentials may not look at is passed over: whoever may start runs need not be able to
read images or quotas. ``--provider gcp doctor`` prints the lines, a run keeps to those that are
needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infra.errors import CredentialsError, InputError, ProviderError, QuotaError
from infra.gcp import GcpSettings, quotas
from infra.gcp.jobs import LAUNCHER, POOLS
from infra.gcp.lower import require_settings
from infra.gcp.session import Gcp, connected

_IMAGE = re.compile(
    r"(?P<region>[\w-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<name>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Check(NamedTuple):
    """One thing that was looked at; where ``needed`` and not ``well``, nothing is sent."""

    name: str
    well: bool
    words: str
    needed: bool = True


def require(gcp: Gcp, body: Mapping[str, Any], settings: GcpSettings) -> None:
    """Raise InputError, QuotaError or CredentialsError at the first thing that a run must have."""
    for check in _run_checks(gcp, settings, images(body), quotas.wanted(body)):
        if check.needed and not check.well:
            wrong = QuotaError if check.name == "quota" else InputError
            raise wrong(f"{check.name}: {check.words}; nothing was sent")


def checks(settings: GcpSettings) -> Iterator[Check]:
    """Look at everything in turn that does not depend on a run; for ``doctor``."""
    try:
        require_settings(settings)
        gcp = connected(settings.project, settings.region)
        yield from _run_checks(gcp, settings, (), {})
        yield _vertex(gcp)
    except (CredentialsError, InputError, ProviderError) as error:
        yield Check("gcp", False, str(error))


def images(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The images of everything that the body would start; Google's own is not looked at."""
    found: dict[str, None] = {}
    for pool in body.get("job", {}).get("jobSpec", {}).get("workerPoolSpecs", ()):
        found[pool["containerSpec"]["imageUri"]] = None
    spec = body.get("pipeline", {}).get("job", {}).get("pipelineSpec", {})
    for executor in spec.get("deploymentSpec", {}).get("executors", {}).values():
        image = executor.get("container", {}).get("image", LAUNCHER)
        if image != LAUNCHER:
            found[image] = None
    for component in spec.get("components", {}).values():
        given = component.get("inputDefinitions", {}).get("parameters", {}).get(POOLS, {})
        for pool in given.get("defaultValue", ()):
            found[pool["container_spec"]["image_uri"]] = None
    return tuple(found)


def _run_checks(
    gcp: Gcp, settings: GcpSettings, wanted: tuple[str, ...], machines: Mapping[str, int]
) -> Iterator[Check]:
    who = gcp.who()
    yield Check("identity", True, who or "the credentials do not say whose they are")
    yield _bucket(gcp, settings)
    for image in wanted:
        yield _image(gcp, image)
    for found in quotas.short(gcp, machines):
        yield Check(*found)


def _bucket(gcp: Gcp, settings: GcpSettings) -> Check:
    """Whether the bucket can be listed, which a run needs; its metadata ask for another right."""
    found = gcp.call_unless(
        "storage", "objects.list", f"look into gs://{settings.bucket}", (404,),
        bucket=settings.bucket, prefix=f"{settings.prefix.strip('/')}/", maxResults=1,
    )  # fmt: skip
    if found is None:
        words = f"there is no gs://{settings.bucket}; see the setting bucket"
        return Check("bucket", False, words)
    return Check("bucket", True, f"gs://{settings.bucket}")


def _vertex(gcp: Gcp) -> Check:
    """Whether pipelines can be listed: the API is on, and these credentials may use it."""
    gcp.ask("pipelineJobs.list", "list pipelines", parent=gcp.parent, pageSize=1)
    return Check("vertex", True, f"{gcp.parent}, its pipelines can be listed")


def _image(gcp: Gcp, image: str) -> Check:
    known = _IMAGE.fullmatch(image)
    if known is None:
        return Check("image", True, f"{image}, in no registry that we can ask", needed=False)
    place = (
        f"projects/{known['project']}/locations/{known['region']}/repositories/"
        f"{known['repository']}"
    )
    name = known["name"].replace("/", "%2F")
    try:
        if known["digest"]:
            found = _asked(gcp, "dockerImages", f"{place}/dockerImages/{name}@{known['digest']}")
        else:
            tag = known["tag"] or "latest"
            found = _asked(gcp, "packages.tags", f"{place}/packages/{name}/tags/{tag}")
    except (CredentialsError, ProviderError):
        return Check("image", True, f"{image}, which we may not look at", needed=False)
    if found is None:
        words = f"{image} is not there; push it with: python -m pipelines image push"
        return Check("image", False, words)
    return Check("image", True, image)


def _asked(gcp: Gcp, kind: str, name: str) -> Any:
    method = f"projects.locations.repositories.{kind}.get"
    return gcp.call_unless("artifactregistry", method, "look at the image", (404,), name=name)
