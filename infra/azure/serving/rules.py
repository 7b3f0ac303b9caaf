"""What Azure refuses of endpoints although its model of the bodies would let it pass. Pure.

Facts are of the documentation: "Manage resource quotas for online endpoints" (names, counts,
timeouts), "Safe rollout for online endpoints" (traffic and its mirror), "CLI managed online
deployment YAML schema" (probes and request settings).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from infra.cloud.problems import Problem, shown, under

_NAME = re.compile(r"[A-Za-z](?=.{2,31}$)[A-Za-z0-9-]*[A-Za-z0-9]")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}")
_DURATION = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
_LONGEST = 180
"""Seconds that a request may take."""
_MIRRORED = 50
"""Percent of the requests that are copied, at most."""
_MACHINES = 50
_PROBES = ("livenessProbe", "readinessProbe")
_COUNTS = ("failureThreshold", "successThreshold")
_TIMES = ("initialDelay", "period", "timeout")
_TYPES = ("custom_model", "mlflow_model", "triton_model")

Body = Mapping[str, Any]


def problems(kind: str, body: Body) -> Iterator[Problem]:
    """What is wrong with a body: ``models``, ``onlineEndpoints``, ``onlineDeployments``."""
    properties = body.get("properties")
    if kind in _RULES and isinstance(properties, Mapping):
        yield from _RULES[kind](body, properties)


def named(kind: str, *names: str) -> Iterator[Problem]:
    """What is wrong with the names in an address."""
    if kind == "models":
        for pattern, what, name in zip((_MODEL, _VERSION), ("name", "version"), names, strict=True):
            if not pattern.fullmatch(name):
                yield Problem(what, f"is {shown(name)}, which does not match {pattern.pattern}")
        return
    for name in names:
        if not _NAME.fullmatch(name):
            yield Problem(
                "name", f"is {shown(name)}: 3 to 32 of A-Z, a-z, 0-9 and -, a letter first, no - "
                "at the end",
            )  # fmt: skip


def _model(_: Body, properties: Body) -> Iterator[Problem]:
    if not properties.get("modelUri"):
        yield Problem("properties.modelUri", "is missing: where the files lie")
    if properties.get("modelType", "custom_model") not in _TYPES:
        yield Problem("properties.modelType", f"is not one of {', '.join(_TYPES)}")


def _endpoint(body: Body, properties: Body) -> Iterator[Problem]:
    identity = body.get("identity") or {}
    if "UserAssigned" in str(identity.get("type")) and not identity.get("userAssignedIdentities"):
        yield Problem("identity.userAssignedIdentities", "is missing, and the type asks for one")
    traffic = yield from _shares(properties, "traffic", 100)
    mirror = yield from _shares(properties, "mirrorTraffic", _MIRRORED)
    if traffic and sum(traffic.values()) not in (0, 100):
        yield Problem("properties.traffic", f"sums up to {sum(traffic.values())}, not 0 or 100")
    if len(mirror) > 1:
        yield Problem("properties.mirrorTraffic", f"names {len(mirror)} deployments; one can be")
    for name in mirror.keys() & traffic.keys():
        yield Problem(
            f"properties.mirrorTraffic[{name!r}]", "gets requests, and cannot get copies as well"
        )


def _shares(properties: Body, field: str, most: int) -> Generator[Problem, None, dict[str, int]]:
    """What is wrong with shares; returns those that are right."""
    found: dict[str, int] = {}
    for name, percent in (properties.get(field) or {}).items():
        if not isinstance(percent, int) or isinstance(percent, bool) or not 0 <= percent <= most:
            yield Problem(f"properties.{field}[{name!r}]", f"is {shown(percent)}, not 0..{most}")
        elif percent:
            found[name] = percent
    return found


def _deployment(body: Body, properties: Body) -> Iterator[Problem]:
    capacity = (body.get("sku") or {}).get("capacity")
    if not isinstance(capacity, int) or not 1 <= capacity <= _MACHINES:
        yield Problem("sku.capacity", f"is {shown(capacity)}, not 1..{_MACHINES} machines")
    for field, words in (
        ("instanceType", "the type of machine"),
        ("environmentId", "what the server runs in"),
    ):
        if not properties.get(field):
            yield Problem(f"properties.{field}", f"is missing: {words}")
    scale = (properties.get("scaleSettings") or {}).get("scaleType", "Default")
    if scale != "Default":
        yield Problem(
            "properties.scaleSettings.scaleType", f"is {shown(scale)}; a managed one has Default, "
            "and is scaled by Azure Monitor",
        )  # fmt: skip
    for probe in _PROBES:
        yield from _probe(properties.get(probe) or {}, f"properties.{probe}")
    yield from _requests(properties.get("requestSettings") or {}, "properties.requestSettings")


def _probe(probe: Body, path: str) -> Iterator[Problem]:
    for count in _COUNTS:
        if count in probe and not (isinstance(probe[count], int) and probe[count] >= 1):
            yield Problem(under(path, count), f"is {shown(probe[count])}, not 1 or more")
    for name in _TIMES:
        if name in probe and not _seconds(probe[name]) >= 1:
            yield Problem(under(path, name), f"is {shown(probe[name])}, not PT1S or more")


def _requests(settings: Body, path: str) -> Iterator[Problem]:
    timeout = settings.get("requestTimeout", "PT5S")
    if not 1 <= _seconds(timeout) <= _LONGEST:
        yield Problem(under(path, "requestTimeout"), f"is {shown(timeout)}, not PT1S to PT3M")
    at_once = settings.get("maxConcurrentRequestsPerInstance", 1)
    if not isinstance(at_once, int) or at_once < 1:
        words = f"is {shown(at_once)}, not 1 or more"
        yield Problem(under(path, "maxConcurrentRequestsPerInstance"), words)


def _seconds(duration: Any) -> int:
    """Those of a duration; -1 where it is none."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if found is None:
        return -1
    hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + seconds


_RULES: Mapping[str, Callable[[Body, Body], Iterator[Problem]]] = {
    "models": _model,
    "onlineEndpoints": _endpoint,
    "onlineDeployments": _deployment,
}
