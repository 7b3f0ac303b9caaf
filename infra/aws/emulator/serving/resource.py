"""What models, configurations and endpoints have in common: a name, and four verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.tags import tags_of
from infra.aws.emulator.world import World
from infra.rehearsal.store import Record


class Resource(NamedTuple):
    """One of the three. ``kind`` begins the fields of its requests, ``part`` is in its ARN."""

    kind: str
    part: str
    words: str

    def add(self, world: World, request: Mapping[str, Any], **more: Any) -> Record:
        """A new one, of a name that is free. Raises Refused."""
        name = request[f"{self.kind}Name"]
        arn = self._arn(world, name)
        if world.store.get(self.kind, name):
            raise Refused(
                "ValidationException", f'Cannot create already existing {self.words} "{arn}".'
            )
        return world.store.add(
            self.kind, name, arn, request=dict(request), tags=tags_of(request), **more
        )

    def find(self, world: World, name: str) -> Record:
        """The one of that name. Raises Refused."""
        found = world.store.get(self.kind, name)
        if found is None:
            arn = self._arn(world, name)
            raise Refused("ValidationException", f'Could not find {self.words} "{arn}".')
        return found

    def told(self, record: Record) -> dict[str, Any]:
        """What Describe and List both say of it."""
        return {
            f"{self.kind}Name": record["name"],
            f"{self.kind}Arn": record["arn"],
            "CreationTime": record["created"],
        }

    def described(self, record: Record) -> dict[str, Any]:
        """As it was asked for."""
        asked = {name: value for name, value in record["request"].items() if name != "Tags"}
        return {**asked, **self.told(record)}

    def wanted(self, world: World, request: Mapping[str, Any]) -> list[Record]:
        """Those that a List request asks for, oldest first, or by their names."""
        found = [
            each
            for each in world.store.of(self.kind)
            if request.get("NameContains", "") in each["name"]
            and each["created"] >= request.get("CreationTimeAfter", 0)
            and each["created"] <= request.get("CreationTimeBefore", each["created"])
        ]
        if request.get("SortBy") == "Name":
            found.sort(key=lambda each: each["name"])
        return found

    def _arn(self, world: World, name: str) -> str:
        return world.arn(f"{self.part}/{name.lower()}")


MODEL = Resource("Model", "model", "model")
CONFIGURATION = Resource("EndpointConfig", "endpoint-config", "endpoint configuration")
ENDPOINT = Resource("Endpoint", "endpoint", "endpoint")
