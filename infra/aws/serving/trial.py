"""A request to what was just deployed, as anyone will send it."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

from infra.aws.serving.state import At
from infra.errors import ProviderError

_ASYNCHRONOUS = 300.0
"""Seconds until an asynchronous answer must be there."""


def use(at: At, variant: str, operation: str) -> None:
    """Have a variant do an operation once. Raises ProviderError when it does not."""
    body = json.dumps({"operation": operation, "n": 1, "seed": 0}).encode()
    if at.serving.asynchronous:
        answer = _later(at, body)
    else:
        asked: dict[str, Any] = {"EndpointName": at.name, "ContentType": "application/json"}
        if at.serving.instance_type:  # a serverless endpoint has one variant, and takes no name
            asked["TargetVariant"] = variant
        doing = f"have {at.name} {operation}"
        found = at.aws.ask("sagemaker-runtime", "invoke_endpoint", doing, **asked, Body=body)
        answer = found["Body"].read()
    try:
        json.loads(answer)
    except ValueError:
        shown = answer[:80].decode("utf-8", "replace")
        raise ProviderError(f"{at.name} answers a trial request with {shown!r}, not JSON") from None


def _later(at: At, body: bytes) -> bytes:
    """The answer to a request that lies in the bucket, as an asynchronous endpoint takes it."""
    place = urlsplit(at.serving.uri("answers", at.name, "trial.json"))
    bucket, key = place.netloc, place.path.lstrip("/")
    at.aws.ask("s3", "put_object", "leave a trial request", Bucket=bucket, Key=key, Body=body)
    asked = {"EndpointName": at.name, "InputLocation": place.geturl()}
    asked["ContentType"] = "application/json"
    doing = f"have {at.name} answer"
    found = at.aws.ask("sagemaker-runtime", "invoke_endpoint_async", doing, **asked)
    end = time.monotonic() + _ASYNCHRONOUS
    while time.monotonic() < end:
        for name in ("OutputLocation", "FailureLocation"):
            there = urlsplit(found.get(name, ""))
            answer = (
                at.aws.read(there.netloc, there.path.lstrip("/"), doing) if there.path else None
            )
            if answer is not None and name == "OutputLocation":
                return answer
            if answer is not None:
                raise ProviderError(f"{at.name} fails: {answer[:200].decode('utf-8', 'replace')}")
        time.sleep(1)
    raise ProviderError(f"{at.name} left no answer to a trial request in {_ASYNCHRONOUS:.0f} s")
