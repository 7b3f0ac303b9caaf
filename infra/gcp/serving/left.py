"""What a deployer that was killed left of a run, found by its label: machines, and versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from infra.gcp.names import RUN, label
from infra.gcp.serving import operations
from infra.gcp.serving.requests import ENDPOINT, MODEL, Found, Version
from infra.gcp.serving.state import State, read
from infra.gcp.session import Gcp, required

_DEADLINE = 1800.0
"""Seconds that Vertex AI has to take something away."""


class Left(NamedTuple):
    """Something of a run: in words, and the call that removes it."""

    run: str
    words: str
    method: str
    asked: Found


def left(gcp: Gcp) -> Iterator[Left]:
    """Machines at endpoints of ours that get no requests, and versions that serve nowhere.

    What an endpoint serves, or would serve after a rollback, is not left: it is in use. Nor is a
    version that a person deployed, without a run.
    """
    kept: set[Version | None] = set()
    runs = {version: run for version, run, _ in _versions(gcp)}
    for name, state in _endpoints(gcp):
        kept |= {state.serves, state.before, *(each.version for each in state.deployed.values())}
        for idle in state.idle():
            version = state.deployed[idle].version
            asked = {"endpoint": name, "body": {"deployedModelId": idle}}
            words = f"idle machines of {version.model} at {name.rpartition('/')[2]}"
            yield Left(runs.get(version, ""), words, "endpoints.undeployModel", asked)
    for version, run, alone in _versions(gcp):
        if run and version not in kept:
            resource = f"{gcp.parent}/models/{version.model}"
            method = "models.delete" if alone else "models.deleteVersion"
            asked = {"name": resource if alone else f"{resource}@{version.number}"}
            yield Left(run, f"version {version.number} of the model {version.model}", method, asked)


def remove(gcp: Gcp, run: str) -> Iterator[str]:
    """Remove what is left of a run, machines first, and then what they served; says what it did."""
    while found := [each for each in left(gcp) if each.run == label(run)]:
        for each in found:
            doing = f"remove {each.words}"
            operations.done(gcp, each.method, doing, _DEADLINE, (404,), **each.asked)
            yield f"{each.words} removed"


def _endpoints(gcp: Gcp) -> Iterator[tuple[str, State]]:
    asked = {"parent": gcp.parent, "filter": f"labels.{ENDPOINT}:*"}
    for each in gcp.pages("endpoints.list", "endpoints", "list the endpoints", **asked):
        yield str(required(each, "name", "an endpoint")), read(each)


def _versions(gcp: Gcp) -> Iterator[tuple[Version, str, bool]]:
    """Versions of models of ours, the run of each, and whether its model has no other."""
    asked = {"parent": gcp.parent, "filter": f"labels.{MODEL}:*"}
    for model in gcp.pages("models.list", "models", "list the models", **asked):
        name = str(required(model, "name", "a model")).rpartition("/")[2].partition("@")[0]
        resource = f"{gcp.parent}/models/{name}"
        found = [*gcp.pages("models.listVersions", "models", "list versions", name=resource)]
        for each in found:
            run = each.get("labels", {}).get(RUN, "")
            number = str(required(each, "versionId", f"a version of {name}"))
            yield Version(name, number), run, len(found) == 1
