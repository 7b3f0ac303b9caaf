"""ECR, as far as a run asks it: whether an image is there. A rehearsal cannot know; it says yes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused, refusal
from infra.rehearsal.server import Answer, Call


class Images:
    """Answers DescribeImages. ``missing`` of the scenario is a pattern of names that are not."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self._missing: str | None = scenario.get("missing_images")

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        name = call.header("X-Amz-Target").partition(".")[2]
        try:
            if name != "DescribeImages":
                raise Refused("UnknownOperationException", f"this rehearsal does not do {name}")
            found = self._described(json.loads(call.body))
        except Refused as refused:
            return refusal(refused, call)
        return Answer(200, json.dumps(found).encode(), "application/x-amz-json-1.1")

    def _described(self, request: Mapping[str, Any]) -> dict[str, Any]:
        repository = request["repositoryName"]
        return {"imageDetails": [self._image(repository, each) for each in request["imageIds"]]}

    def _image(self, repository: str, which: Mapping[str, str]) -> dict[str, Any]:
        name = f"{repository}:{which.get('imageTag') or which.get('imageDigest')}"
        if self._missing and re.search(self._missing, name):
            raise Refused(
                "ImageNotFoundException",
                f"The image with imageId {dict(which)} does not exist within the repository with "
                f"name '{repository}'",
            )
        digest = which.get("imageDigest") or f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        return {"repositoryName": repository, "imageDigest": digest}
