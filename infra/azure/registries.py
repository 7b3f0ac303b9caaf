"""Azure Container Registry, as far as a run asks it: whether an image is there.

A registry gives no token to Entra's directly: that is exchanged for one to renew by, and this for
one that lets a single repository be pulled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infra.azure.session import Azure, required

_IMAGE = re.compile(
    r"(?P<host>[a-z0-9]+\.azurecr\.io)/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_SCOPE = "https://containerregistry.azure.net/.default"
_MANIFESTS = ", ".join((
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
))  # fmt: skip


def has(image: str) -> bool:
    """Whether the image is one of Azure's registries."""
    return _IMAGE.fullmatch(image) is not None


def digest(azure: Azure, image: str) -> str | None:
    """The digest of what an image's name stands for; None where it is not there.

    Raises TrefoilError, CredentialsError where we may not pull it.
    """
    named = _IMAGE.fullmatch(image)
    assert named is not None  # noqa: S101  see has
    host, name = named["host"], named["name"]
    version = named["digest"] or named["tag"] or "latest"
    doing = f"look at the image {image}"
    renewing = _asked(azure, host, "exchange", doing, {
        "grant_type": "access_token", "service": host, "access_token": azure.token(_SCOPE, doing),
    })  # fmt: skip
    token = _asked(azure, host, "token", doing, {
        "grant_type": "refresh_token", "service": host, "scope": f"repository:{name}:pull",
        "refresh_token": required(renewing, "refresh_token", of=host),
    })  # fmt: skip
    allowed = f"Bearer {required(token, 'access_token', of=host)}"
    headers = {"Accept": _MANIFESTS, "Authorization": allowed}
    address = f"https://{host}/v2/{name}/manifests/{version}"
    found = azure.find(doing, azure.send, "HEAD", address, headers=headers)
    return None if found is None else str(found.headers.get("Docker-Content-Digest") or version)


def _asked(
    azure: Azure, host: str, what: str, doing: str, form: Mapping[str, str]
) -> dict[str, Any]:
    found = azure.ask(doing, azure.send, "POST", f"https://{host}/oauth2/{what}", data=dict(form))
    told: dict[str, Any] = found.json()
    return told
