"""Tags of whatever has an ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.world import World
from infra.rehearsal.store import Record

_MOST = 50


def tags_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The tags in a request, by key."""
    return {each["Key"]: each["Value"] for each in request.get("Tags", [])}


def tagging(world: World) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    """The operations on tags."""

    def found(request: Mapping[str, Any]) -> tuple[str, Record]:
        known = world.store.by_arn(request["ResourceArn"])
        if known is None:
            raise Refused(
                "ValidationException", f"Could not find resource {request['ResourceArn']}."
            )
        return known

    def add(request: Mapping[str, Any]) -> dict[str, Any]:
        kind, record = found(request)
        tags = {**record["tags"], **tags_of(request)}
        if len(tags) > _MOST:
            raise Refused("ValidationException", f"a resource has at most {_MOST} tags")
        record["tags"] = tags
        world.store.save(kind, record)
        return {"Tags": _listed(tags)}

    def delete(request: Mapping[str, Any]) -> dict[str, Any]:
        kind, record = found(request)
        record["tags"] = {k: v for k, v in record["tags"].items() if k not in request["TagKeys"]}
        world.store.save(kind, record)
        return {}

    def listed(request: Mapping[str, Any]) -> dict[str, Any]:
        ascending = {"SortOrder": "Ascending", **request}
        return world.page(_listed(found(request)[1]["tags"]), ascending, "Tags")

    return {"AddTags": add, "DeleteTags": delete, "ListTags": listed}


def _listed(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
