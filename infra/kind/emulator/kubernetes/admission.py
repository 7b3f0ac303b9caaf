"""What a cluster refuses to keep: what is no object of its kind, and what breaks our own rules."""

from __future__ import annotations

from collections.abc import Iterator

from infra.kind.cluster import podrules, rules
from infra.kind.emulator.kubernetes.discovery import Refused
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.rehearsal.openapi import Wrong, check
from infra.rehearsal.server import Call


def admit(call: Call, body: Object, objects: Objects) -> None:
    """Raises Refused (422) naming the field, or the container, and what is wrong with it."""
    from kubernetes.client import models

    kind, name = body["kind"], body["metadata"]["name"]
    if "apply" in call.headers.get("Content-Type", "") and "fieldManager" not in call.query:
        raise Refused(422, "Invalid", "fieldManager: is required for apply patch")
    try:
        check(body, f"V1{kind}", models, kind)
    except Wrong as wrong:
        raise Refused(422, "Invalid", f'{kind} "{name}" is invalid: {wrong}') from None
    headless = kind == "Service" and body["spec"].get("clusterIP") == "None"  # before its pods
    known = headless or (kind == "Service" and call.path in objects.by_path)  # or after them
    broken = [] if known else rules.problems([body], _beside(objects))
    if broken := [*broken, *_not_run(body)]:
        raise Refused(422, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(broken)}')


def _not_run(body: Object) -> Iterator[str]:
    """What a cluster would run, and this stand-in would not."""
    spec = podrules.template(body).get("spec", {})
    if spec and len(spec["containers"]) != 1:
        yield "the stand-in runs pods of one container and those that come before it"
    for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
        if not container.get("command"):
            yield f"the stand-in has no image to look into: give {container['name']} a command"


def _beside(objects: Objects) -> rules.Beside:
    with objects.lock:
        there = list(objects.by_path.values())
    return rules.Beside(
        names=frozenset(f"{each['kind']}/{each['metadata']['name']}" for each in there),
        headless=frozenset(
            each["metadata"]["name"]
            for each in there
            if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None"
        ),
        pods=tuple(podrules.labels(each) for each in there if podrules.template(each)),
    )
