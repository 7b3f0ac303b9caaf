"""Azure Container Registry, as far as a run asks it: whether an image is there.

A rehearsal cannot know what was pushed: it says yes, but where its scenario says no.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from infra.azure.emulator.login import claims_of, signed
from infra.azure.emulator.refusal import Refused, refusal
from infra.rehearsal.server import Answer, Call, answer

HOSTS = r"[a-z0-9]+\.azurecr\.io"
_AUDIENCES = ("https://containerregistry.azure.net", "https://management.azure.com")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<version>[^/]+)")


class Registry:
    """Answers for every registry. ``missing`` of the scenario is a pattern of images."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self._missing: str | None = scenario.get("missing_images")

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        host = call.header("Host").partition(":")[0]
        try:
            if call.method == "POST" and call.path == "/oauth2/exchange":
                return answer({"refresh_token": self._exchanged(host, _form(call, host))})
            if call.method == "POST" and call.path == "/oauth2/token":
                return answer({"access_token": self._allowed(host, _form(call, host))})
            match = _MANIFEST.fullmatch(call.path)
            if match and call.method in ("GET", "HEAD"):
                return self._manifest(call, host, match["name"], match["version"])
            raise Refused(404, "NOT_FOUND", f"this rehearsal does not know {call.path}")
        except Refused as refused:
            return refusal(refused, call)

    def _exchanged(self, host: str, form: Mapping[str, str]) -> str:
        """For a token of Entra's, one of the registry's own to renew by."""
        _require(form.get("grant_type") == "access_token", "the grant is no access_token")
        audience = str((claims_of(form.get("access_token", "")) or {}).get("aud", ""))
        _require(audience in _AUDIENCES, f"the token is for {audience or 'nobody'}")
        return signed({"aud": host, "grant_type": "refresh_token"})

    def _allowed(self, host: str, form: Mapping[str, str]) -> str:
        """For that, one which lets the repositories of the scope be pulled."""
        _require(form.get("grant_type") == "refresh_token", "the grant is no refresh_token")
        claims = claims_of(form.get("refresh_token", "")) or {}
        own = claims.get("aud") == host and claims.get("grant_type") == "refresh_token"
        _require(own, "the token to renew by is not of this registry")
        kind, _, rest = form.get("scope", "").partition(":")
        name, _, action = rest.rpartition(":")
        _require(bool(kind == "repository" and name and action), "the scope names no repository")
        access = [{"type": kind, "name": name, "actions": action.split(",")}]
        return signed({"aud": host, "access": access})

    def _manifest(self, call: Call, host: str, name: str, version: str) -> Answer:
        kind, _, token = call.header("Authorization").partition(" ")
        claims = claims_of(token) if kind == "Bearer" else None
        access = (claims or {}).get("access", ())
        own = (claims or {}).get("aud") == host
        _require(
            own and any(e["name"] == name and "pull" in e["actions"] for e in access),
            "authentication required",
        )
        image = f"{host}/{name}{'@' if version.startswith('sha256:') else ':'}{version}"
        if self._missing and re.search(self._missing, image):
            raise Refused(404, "MANIFEST_UNKNOWN", f"manifest tagged by {version!r} is not found")
        found = hashlib.sha256(image.encode()).hexdigest()
        digest = version if version.startswith("sha256:") else f"sha256:{found}"
        kind = "application/vnd.oci.image.manifest.v1+json"
        return Answer(200, b"", kind, (("Docker-Content-Digest", digest),))


def _form(call: Call, host: str) -> dict[str, str]:
    form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
    if form.get("service") != host:
        raise Refused(400, "INVALID_REQUEST", f"service is {form.get('service')!r}, not {host}")
    return form


def _require(well: bool, words: str) -> None:
    if not well:
        raise Refused(401, "UNAUTHORIZED", words)
