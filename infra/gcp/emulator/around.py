"""What else of Google is asked: tokens, the project, whether images are there, quotas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from infra.gcp import validate
from infra.gcp.emulator.refusal import Refused
from infra.rehearsal.server import Answer, Call, answer

HOSTS = (
    "oauth2.googleapis.com", "iamcredentials.googleapis.com",
    "cloudresourcemanager.googleapis.com", "artifactregistry.googleapis.com",
    "serviceusage.googleapis.com",
)  # fmt: skip
_IMAGE = re.compile(
    r"/v1/projects/([^/]+)/locations/([^/]+)/repositories/([^/]+)/"
    r"(?:dockerImages/([^/]+)@(sha256:[0-9a-f]{64})|packages/([^/]+)/tags/([^/]+))"
)
_QUOTA = re.compile(r"/v1beta1/(projects/([^/]+)/services/[^/]+/consumerQuotaMetrics/)(.+)")
_USAGE, _GET = "serviceusage.v1beta1", "serviceusage.services.consumerQuotaMetrics.get"
_LASTS = 3600
"""Seconds that a token is good for."""


class Around:
    """Answers for the services beside Vertex AI, Cloud Storage and Cloud Logging."""

    def __init__(self, project: str, number: str, region: str, scenario: Mapping[str, Any]) -> None:
        self._project, self._number, self._region = project, number, region
        self._scenario = scenario

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        host = call.header("Host").partition(":")[0]
        try:
            if host == "oauth2.googleapis.com" and call.path == "/token":
                token = {"access_token": "ya29.made-up", "token_type": "Bearer"}
                return answer({**token, "expires_in": _LASTS})
            if call.path.endswith("/allowedLocations"):
                return answer({"locations": [], "encodedLocations": "0x0"})
            if host.startswith("cloudresourcemanager"):
                return answer(self._told())
            if host.startswith("artifactregistry") and (found := _IMAGE.fullmatch(call.path)):
                return answer(self._image(call.path, found))
            if host.startswith("serviceusage") and (found := _QUOTA.fullmatch(call.path)):
                return answer(self._quota(call, found))
            raise Refused("UNIMPLEMENTED", f"this rehearsal does not do {call.method} {call.path}")
        except Refused as refused:
            return refused.answer()

    def _told(self) -> dict[str, Any]:
        name = f"projects/{self._number}"
        return {"name": name, "projectId": self._project, "state": "ACTIVE"}

    def _quota(self, call: Call, found: re.Match[str]) -> dict[str, Any]:
        """A quota of one region: as the scenario has it, else without limit."""
        metric = unquote(found[3])
        name = found[1] + quote(metric, safe="")
        given = {key: values[-1] for key, values in call.query.items()} | {"name": name}
        if wrong := validate.shaped(_USAGE, _GET, None, given):
            raise Refused("INVALID_ARGUMENT", "; ".join(map(str, wrong)))
        if found[2] not in (self._project, self._number):
            raise Refused("PERMISSION_DENIED", f"Permission denied on resource project {found[2]}.")
        limit = self._scenario.get("quotas", {}).get(metric.rpartition("/")[2], -1)
        everywhere = {"effectiveLimit": "1", "defaultLimit": "1"}
        here = {"effectiveLimit": str(limit), "dimensions": {"region": self._region}}
        unit = "1/{project}/{region}"
        limits = [{"metric": metric, "unit": unit, "quotaBuckets": [everywhere, here]}]
        return {"name": name, "metric": metric, "consumerQuotaLimits": limits}

    def _image(self, path: str, found: re.Match[str]) -> dict[str, Any]:
        """An image is there unless the scenario says that it was not pushed."""
        name = found[4] or found[6]
        if re.search(self._scenario.get("missing_images", r"(?!)"), name):
            raise Refused("NOT_FOUND", f"Requested entity was not found: {path}")
        digest = found[5] or f"sha256:{'0' * 64}"
        version = f"{path.partition('/packages/')[0][4:]}/packages/{name}/versions/{digest}"
        return {"name": path.removeprefix("/v1/"), "version": version, "uri": f"{name}@{digest}"}
