"""Model packages: versions of a group, approved or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.tags import tags_of
from infra.aws.emulator.world import World
from infra.rehearsal.store import Record

_GROUP, _PACKAGE = "ModelPackageGroup", "ModelPackage"
_CHANGED = ("ModelApprovalStatus", "ApprovalDescription", "CustomerMetadataProperties")


class Registry:
    """All groups and packages."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": self._describe_group,
            "ListModelPackageGroups": self._list_groups,
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self._describe,
            "UpdateModelPackage": self._update,
            "ListModelPackages": self._list,
            "DeleteModelPackage": self._delete,
        }

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The next version of a group; the same ClientToken makes one alone. Raises Refused."""
        world, token = self._world, request.get("ClientToken")
        with world.store.lock:
            group = self._group(request.get("ModelPackageGroupName", ""))
            for each in self._versions(group):
                if token and each["request"].get("ClientToken") == token:
                    return {"ModelPackageArn": each["arn"]}
            for uri in _data(request):
                if not world.objects.exists(uri):
                    raise Refused("ValidationException", f"Could not access model data at {uri}.")
            group["last"] += 1
            world.store.save(_GROUP, group)
            number = group["last"]
            arn = world.arn(f"model-package/{group['name'].lower()}/{number}")
            world.store.add(
                _PACKAGE, f"{group['name']}.{number}", arn, request=dict(request),
                group=group["name"], version=number, tags=tags_of(request),
            )  # fmt: skip
        return {"ModelPackageArn": arn}

    def package(self, name: str) -> Record:
        """A package by its ARN. Raises Refused."""
        found = self._world.store.by_arn(name)
        if found is None or found[0] != _PACKAGE:
            raise Refused("ValidationException", f"ModelPackage {name} does not exist.")
        return found[1]

    def _create_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        arn = self._world.arn(f"model-package-group/{name.lower()}")
        with self._world.store.lock:
            if self._world.store.get(_GROUP, name):
                raise Refused("ValidationException", f"Model Package Group already exists: {arn}")
            self._world.store.add(
                _GROUP, name, arn, request=dict(request), last=0, tags=tags_of(request)
            )
        return {"ModelPackageGroupArn": arn}

    def _describe_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        group = self._group(request["ModelPackageGroupName"])
        about = group["request"].get("ModelPackageGroupDescription")
        return {
            **_of_group(group),
            "CreatedBy": {},
            **({"ModelPackageGroupDescription": about} if about else {}),
        }

    def _list_groups(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = [_of_group(each) for each in self._world.store.of(_GROUP)]
        return self._world.page(found, request, "ModelPackageGroupSummaryList")

    def _delete_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        group = self._group(request["ModelPackageGroupName"])
        if self._versions(group):
            raise Refused(
                "ConflictException", f"{group['arn']} still has versions; delete those before"
            )
        self._world.store.remove(_GROUP, group["name"])
        return {}

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        package = self.package(request["ModelPackageName"])
        given = {k: v for k, v in package["request"].items() if k not in ("Tags", "ClientToken")}
        return {**given, **_of_package(package), "CertifyForMarketplace": False}

    def _update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        package = self.package(request["ModelPackageArn"])
        for name in _CHANGED:
            if name not in request:
                continue
            before = package["request"].get(name)
            merged = isinstance(before, Mapping)
            package["request"][name] = {**before, **request[name]} if merged else request[name]
        self._world.store.save(_PACKAGE, package)
        return {"ModelPackageArn": package["arn"]}

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = request.get("ModelApprovalStatus")
        group = self._group(request.get("ModelPackageGroupName", ""))
        found = [
            _of_package(each)
            for each in self._versions(group)
            if wanted is None or each["request"].get("ModelApprovalStatus") == wanted
        ]
        return self._world.page(found, request, "ModelPackageSummaryList")

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        package = self.package(request["ModelPackageName"])
        self._world.store.remove(_PACKAGE, package["name"])
        return {}

    def _group(self, name: str) -> Record:
        """A group by its name or its ARN. Raises Refused."""
        name = name.rpartition("/")[2]
        for each in self._world.store.of(_GROUP):
            if name in (each["name"], each["name"].lower()):
                return each
        arn = self._world.arn(f"model-package-group/{name.lower()}")
        raise Refused("ValidationException", f"ModelPackageGroup {arn} does not exist.")

    def _versions(self, group: Record) -> list[Record]:
        return [e for e in self._world.store.of(_PACKAGE) if e["group"] == group["name"]]


def _of_group(group: Record) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": group["name"],
        "ModelPackageGroupArn": group["arn"],
        "CreationTime": group["created"],
        "ModelPackageGroupStatus": "Completed",
    }


def _of_package(package: Record) -> dict[str, Any]:
    approval = package["request"].get("ModelApprovalStatus", "PendingManualApproval")
    return {
        "ModelPackageName": package["group"],
        "ModelPackageGroupName": package["group"],
        "ModelPackageVersion": package["version"],
        "ModelPackageArn": package["arn"],
        "CreationTime": package["created"],
        "LastModifiedTime": package["modified"],
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "ModelApprovalStatus": approval,
    }


def _data(request: Mapping[str, Any]) -> Iterator[str]:
    """Where the models of a package lie."""
    for container in request.get("InferenceSpecification", {}).get("Containers", ()):
        if "ModelDataUrl" in container:
            yield container["ModelDataUrl"]
        if "ModelDataSource" in container:
            yield container["ModelDataSource"]["S3DataSource"]["S3Uri"]
