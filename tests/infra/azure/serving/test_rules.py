"""What Azure refuses of endpoints, whatever its published model lets pass: each by its path."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.azure.serving import requests, rules
from infra.azure.serving.requests import Shares
from tests.infra.azure.serving.placed import IMAGE, WHERE
from tests.infra.azure.serving.test_requests import DIGEST, RELEASE

GOOD: dict[str, dict[str, Any]] = {
    "models": requests.model(RELEASE, WHERE, DIGEST, {}),
    "onlineEndpoints": requests.endpoint("digits", Shares("1", "a", "b", 10), WHERE, {"a", "b"}),
    "onlineDeployments": requests.deployment("digits", RELEASE, WHERE)[1],
    "environments": requests.environment(IMAGE, WHERE),
}
BAD: list[tuple[str, str, Any]] = [
    ("models", "properties.modelUri", None),
    ("models", "properties.modelType", "pickle"),
    ("onlineEndpoints", "identity.userAssignedIdentities", {}),
    ("onlineEndpoints", "properties.traffic", {"a": 90}),
    ("onlineEndpoints", "properties.traffic['a']", 101),
    ("onlineEndpoints", "properties.traffic['a']", -1),
    ("onlineEndpoints", "properties.traffic['a']", "90"),
    ("onlineEndpoints", "properties.mirrorTraffic['c']", 51),
    ("onlineEndpoints", "properties.mirrorTraffic", {"c": 10, "d": 10}),
    ("onlineEndpoints", "properties.mirrorTraffic['a']", 10),
    ("onlineDeployments", "sku.capacity", 0),
    ("onlineDeployments", "sku.capacity", 51),
    ("onlineDeployments", "sku.capacity", "2"),
    ("onlineDeployments", "properties.instanceType", ""),
    ("onlineDeployments", "properties.environmentId", None),
    ("onlineDeployments", "properties.scaleSettings.scaleType", "TargetUtilization"),
    ("onlineDeployments", "properties.livenessProbe.period", "10s"),
    ("onlineDeployments", "properties.livenessProbe.initialDelay", "PT0S"),
    ("onlineDeployments", "properties.readinessProbe.timeout", 2),
    ("onlineDeployments", "properties.readinessProbe.failureThreshold", 0),
    ("onlineDeployments", "properties.requestSettings.requestTimeout", "PT10M"),
    ("onlineDeployments", "properties.requestSettings.maxConcurrentRequestsPerInstance", 0),
]


def altered(kind: str, path: str, value: Any) -> dict[str, Any]:
    """A body that Azure takes, but for one field; without it where the value is None."""
    body = copy.deepcopy(GOOD[kind])
    *parents, last = path.replace("['", ".").replace("']", "").split(".")
    place = body
    for name in parents:
        place = place.setdefault(name, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_right_passes(kind: str) -> None:
    """A rule that refuses what Azure takes would stop every deployment."""
    assert list(rules.problems(kind, GOOD[kind])) == []


@pytest.mark.parametrize(("kind", "path", "value"), BAD)
def test_what_is_wrong_is_named_by_its_path(kind: str, path: str, value: Any) -> None:
    """A person has to find the fault in a body of a hundred lines."""
    found = list(rules.problems(kind, altered(kind, path, value)))
    assert [each.path for each in found][:1] == [path], found


@pytest.mark.parametrize(
    ("kind", "names", "wrong"),
    [
        ("onlineEndpoints", ("digits",), []),
        ("onlineEndpoints", ("digits", "v3-0123456789"), []),
        ("onlineEndpoints", ("digits", "v"), ["name"]),
        ("onlineEndpoints", ("d", "3-v"), ["name", "name"]),
        ("onlineEndpoints", ("digits-",), ["name"]),
        ("models", ("digits-vae", "3-0123456789ab"), []),
        ("models", ("digits vae", "x" * 31), ["name", "version"]),
    ],
)
def test_names(kind: str, names: tuple[str, ...], wrong: list[str]) -> None:
    assert [each.path for each in rules.named(kind, *names)] == wrong
