"""What stands in for Google's launcher: starts a CustomJob, follows it, and ends as it does.

    python -m infra.gcp.emulator.launch ADDRESS PARENT CUSTOM_JOB GCP_RESOURCES -- WORD...

The words are those of the step's own container, its placeholders filled in by whoever executes the
pipeline. A job of the same step that still runs is followed: the launcher before was cut off.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from infra.gcp.names import RUN, STEP

_FIRST, _LONGEST = 0.1, 0.5
"""Seconds between two looks at the job, at first and at most."""
_FINAL = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class Ended(Exception):
    """The launcher is asked to end."""


class Service:
    """The stand-in, asked as the region's own host."""

    def __init__(self, address: str, parent: str) -> None:
        self._place, self.parent = urlsplit(address).netloc, parent
        self._host = f"{parent.split('/')[3]}-aiplatform.googleapis.com"

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call a method. Raises SystemExit with the words of a refusal."""
        there = http.client.HTTPConnection(self._place, timeout=60)
        headers = {"Host": self._host, "Content-Type": "application/json"}
        content = json.dumps(body) if body is not None else None
        there.request(method, f"/v1/{path}", content, headers)
        answer = there.getresponse()
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        there.close()
        if answer.status != http.client.OK:
            error = found.get("error", {})
            _say({"code": error.get("code"), "message": error.get("message")})
            sys.exit(1)
        return found


def main() -> None:
    """Start the job, or find it; follow it to its end."""
    at = sys.argv.index("--")
    (address, parent, text, resources), words = sys.argv[1:at], sys.argv[at + 1 :]
    service = Service(address, parent)
    signal.signal(signal.SIGTERM, _end)
    name = _started(service, _body(json.loads(text), words))
    _tell(resources, service, name)
    try:
        found = _followed(service, name)
    except Ended:
        service.ask("POST", f"{name}:cancel", {})
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        found = _followed(service, name)
    if found["state"] != "JOB_STATE_SUCCEEDED":
        _say({"job": name, **found.get("error", {})})
        sys.exit(1)


def _body(body: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """The CustomJob, the words of its containers put in."""
    for pool in body["jobSpec"]["workerPoolSpecs"]:
        count = pool["containerSpec"].pop("words")
        pool["containerSpec"]["command"], pool["containerSpec"]["args"] = (
            words[:count],
            words[count:],
        )
    return body


def _started(service: Service, body: dict[str, Any]) -> str:
    labels = body.get("labels", {})
    terms = [f"labels.{name}={labels[name]}" for name in (RUN, STEP) if name in labels]
    asked = quote(" AND ".join(terms))
    listed = service.ask("GET", f"{service.parent}/customJobs?filter={asked}")
    going = [each for each in listed.get("customJobs", ()) if each["state"] not in _FINAL]
    if terms and going:
        return str(going[0]["name"])
    return str(service.ask("POST", f"{service.parent}/customJobs", body)["name"])


def _followed(service: Service, name: str) -> dict[str, Any]:
    pause = _FIRST
    while (found := service.ask("GET", name))["state"] not in _FINAL:
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST)
    return found


def _tell(place: str, service: Service, name: str) -> None:
    uri = f"https://{service.parent.split('/')[3]}-aiplatform.googleapis.com/v1/{name}"
    told = {"resources": [{"resourceType": "CustomJob", "resourceUri": uri}]}
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text(json.dumps(told), encoding="utf-8")


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")


def _end(_signum: int, _frame: object) -> None:
    raise Ended


if __name__ == "__main__":
    main()
