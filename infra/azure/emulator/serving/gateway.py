"""The address where an endpoint is asked: who may, which deployment answers, who gets a copy."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from infra.azure.emulator.login import require
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.serving.change import Changes
from infra.azure.emulator.serving.endpoints import DEPLOYMENT, KIND, keys
from infra.azure.emulator.serving.server import Halted, Unready, seconds
from infra.azure.emulator.world import World
from infra.rehearsal.served import LOST, Reply
from infra.rehearsal.server import Answer, Call
from infra.rehearsal.store import Record

AUDIENCE = "https://ml.azure.com"
WHICH = "azureml-model-deployment"
_PATH = "/score"
_SECONDS = "PT5S"
"""That a server has for an answer, unless the deployment says otherwise."""
_PASSED = ("content-type", "accept", "user-agent")


class Gateway:
    """Answers for every endpoint, each at a host of its own."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world, self._changes = world, changes
        self._credit: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()
        self._copies: list[threading.Thread] = []

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        name = call.header("Host").partition(".")[0]
        try:
            record = self._endpoint(name)
            _allow(record, call)
            if call.path != _PATH or call.method != "POST":
                words = f"this rehearsal answers POST {_PATH} alone, not {call.method} {call.path}"
                raise Refused(404, "NotFound", words)
            chosen, mirrored = self._chosen(record, call.header(WHICH))
            for each in mirrored:
                self._copy(each, call)
            return self._asked(chosen, call)
        except Refused as refused:
            body = {"error": {"code": refused.code, "message": refused.message}}
            return Answer(refused.status, json.dumps(body).encode())

    def close(self) -> None:
        """Wait for the copies that are under way."""
        for each in self._copies:
            each.join()

    def _endpoint(self, name: str) -> Record:
        for record in self._world.store.of(KIND):
            if record["name"].lower() == name:
                return record
        raise Refused(404, "NotFound", f"there is no endpoint {name} here")

    def _chosen(self, record: Record, wanted: str) -> tuple[Record, list[Record]]:
        """Whose turn it is, and who gets a copy. Raises Refused."""
        shares = record["request"]["properties"]
        if wanted:
            return self._deployment(record, wanted), []
        traffic = {name: each for name, each in (shares.get("traffic") or {}).items() if each}
        if not traffic:
            raise Refused(
                404, "NotFound",
                f"The endpoint {record['name']} has no valid deployment with positive weight.",
            )  # fmt: skip
        chosen = self._turn(f"{record['name']} traffic", traffic)
        mirror = {name: each for name, each in (shares.get("mirrorTraffic") or {}).items() if each}
        copies = []
        for name, percent in mirror.items():
            kept = {name: percent, "": 100 - percent}
            if self._turn(f"{record['name']} {name}", kept) == name:
                copies.append(self._deployment(record, name))
        return self._deployment(record, chosen), copies

    def _turn(self, key: str, weights: Mapping[str, float]) -> str:
        """Whose turn it is by the weights; over many requests each gets its share exactly."""
        with self._lock:
            credit = self._credit.setdefault(key, {})
            for name, weight in weights.items():
                credit[name] = credit.get(name, 0.0) + weight
            chosen = max(weights, key=lambda name: credit[name])
            credit[chosen] -= sum(weights.values())
            return chosen

    def _deployment(self, record: Record, name: str) -> Record:
        found = self._world.store.get(DEPLOYMENT, f"{record['name']}.{name}")
        if found is None or found["status"] not in ("Succeeded", "Updating"):
            raise Refused(404, "NotFound", f"{record['name']} has no deployment {name} that serves")
        return found

    def _asked(self, record: Record, call: Call) -> Answer:
        try:
            reply = self._ask(record, call)
        except (Unready, Halted) as error:
            raise Refused(503, "ServiceUnavailable", str(error)) from None
        except TimeoutError:
            raise Refused(408, "RequestTimeout", "The container did not answer in time.") from None
        except LOST:
            raise Refused(502, "BadGateway", "The container did not answer.") from None
        headers = ((WHICH, record["name"].partition(".")[2]),)
        kind = reply.kind("text/plain")
        if reply.status == http.client.OK:
            return Answer(200, reply.body, kind, headers)
        told = (
            ("ms-azureml-model-error-statuscode", str(reply.status)),
            ("ms-azureml-model-error-reason", http.client.responses.get(reply.status, "")),
        )
        return Answer(424, reply.body, kind, (*headers, *told))

    def _ask(self, record: Record, call: Call) -> Reply:
        asked: Mapping[str, Any] = record["request"]["properties"].get("requestSettings") or {}
        longest = seconds(asked.get("requestTimeout") or _SECONDS)
        headers = {name: call.header(name) for name in _PASSED if call.header(name)}
        path = record["made_of"]["routes"]["scoringRoute"]["path"]
        return self._changes.server(record).ask("POST", path, call.body, headers, longest)

    def _copy(self, record: Record, call: Call) -> None:
        """Ask another deployment the same; nobody hears the answer."""

        def ask() -> None:
            try:
                self._ask(record, call)
            except (Unready, Halted, *LOST):
                return  # nobody waits for it, and what it printed is in its log

        thread = threading.Thread(target=ask, daemon=True)
        self._copies.append(thread)
        thread.start()


def hosts_of_endpoints(region: str) -> str:
    """A pattern of the hosts where endpoints are asked."""
    return rf"[a-z][a-z0-9-]*\.{re.escape(region)}\.inference\.ml\.azure\.com"


def _allow(record: Record, call: Call) -> None:
    """Raise Refused where the caller shows no key or token of the endpoint."""
    mode = record["request"]["properties"]["authMode"].lower()
    if mode == "aadtoken":
        require(call, AUDIENCE)
        return
    kind, _, shown = call.header("Authorization").partition(" ")
    known = keys(record)
    if kind != "Bearer" or shown not in (known if mode == "key" else known[:1]):
        raise Refused(401, "Unauthorized", "The key or token of the call is not the endpoint's.")
