"""Models: each a row of versions, found by number or by alias, and what each was uploaded with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.gcp.emulator.operations import Operations
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.world import Record, World, moment

VERSION = "ModelVersion"
_NUMBERED = "ModelNumber"
"""What is kept of a model: the newest number that a version of it got."""
_DEFAULT = "default"
_COPIES = "vertex-ai-copies"
"""The bucket that uploaded files are copied to, as Vertex AI has one of its own."""
_PREFIX = "aiplatform.projects.locations.models"
_FIXED = {
    "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
    "supportedInputStorageFormats": ["jsonl"],
    "supportedOutputStorageFormats": ["jsonl"],
}
"""What SDKs look at before they ask for machines."""


class Models:
    """All models of a project."""

    def __init__(self, world: World, operations: Operations) -> None:
        self._world, self._operations = world, operations
        operations.add("UploadModel", self._uploaded, "UploadModelResponse")
        operations.add("DeleteModel", self._deleted, "")

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by the IDs of the description."""
        return {
            f"{_PREFIX}.upload": self._upload,
            f"{_PREFIX}.get": self._get,
            f"{_PREFIX}.list": self._list,
            f"{_PREFIX}.listVersions": self._versions,
            f"{_PREFIX}.patch": self._patch,
            f"{_PREFIX}.mergeVersionAliases": self._merge,
            f"{_PREFIX}.delete": self._delete,
            f"{_PREFIX}.deleteVersion": self._delete_version,
        }

    def find(self, name: str) -> Record:
        """The version that a name means: by number, by alias, else the default. Raises Refused."""
        model, _, wanted = name.rpartition("/")[2].partition("@")
        for each in self._of(model):
            if (wanted or _DEFAULT) in (each["number"], *each["aliases"]):
                return each
        raise Refused("NOT_FOUND", f"The Model does not exist: {name}.")

    def resource(self, version: Record) -> str:
        """The full name of the model of a version."""
        return self._world.name(f"models/{version['model']}")

    def _of(self, model: str) -> list[Record]:
        """The versions of a model, the first first."""
        found = (each for each in self._world.store.of(VERSION) if each["model"] == model)
        return sorted(found, key=lambda each: int(each["number"]))

    def _upload(self, request: Mapping[str, Any]) -> dict[str, Any]:
        body = request["body"]
        parent, uri = body.get("parentModel", ""), body["model"].get("artifactUri", "")
        if uri and not self._world.objects.exists(uri):
            raise Refused("FAILED_PRECONDITION", f'There are no files under "{uri}" to copy.')
        with self._world.store.lock:
            if parent:
                self.find(parent)
            uploading = {each["model"] for each in self._operations.under_way("UploadModel")}
            model = parent.rpartition("/")[2] or body.get("modelId") or self._free(uploading)
            if not parent and (self._of(model) or model in uploading):
                words = f"Model {self._world.name(f'models/{model}')} already exists."
                raise Refused("ALREADY_EXISTS", words)
            about = {"model": model, "body": body["model"]}
            return self._operations.begin("UploadModel", f"models/{model}", about)

    def _free(self, uploading: set[str]) -> str:
        taken = uploading | {each["model"] for each in self._world.store.of(VERSION)}
        return next(str(n) for n in range(10**18, 10**19) if str(n) not in taken)

    def _uploaded(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        """The next version, its files copied."""
        model, body = about["model"], dict(about["body"])
        with self._world.store.lock:
            there = self._of(model)
            number = self._number(model, there)
            aliases = set(body.pop("versionAliases", ())) | (set() if there else {_DEFAULT})
            copied = self._copied(body.get("artifactUri", ""), f"{model}/{number}")
            version = self._world.store.add(
                VERSION, f"{model}@{number}", self._world.name(f"models/{model}@{number}"),
                model=model, number=number, body=body, aliases=[], files=copied,
            )  # fmt: skip
            self._alias(version, aliases)
        return {"model": self.resource(version), "modelVersionId": number}

    def _number(self, model: str, there: list[Record]) -> str:
        """The next one; that of a version that was deleted is not given again."""
        kept = self._world.store.get(_NUMBERED, model)
        known = [int(each["number"]) for each in there] + ([kept["last"]] if kept else [])
        last = max(known, default=0) + 1
        self._world.store.add(_NUMBERED, model, model, last=last)
        return str(last)

    def _copied(self, uri: str, name: str) -> str:
        """Where the files of a version lie from now on, whatever becomes of their source."""
        if not uri:
            return ""
        objects = self._world.objects
        objects.make_bucket(_COPIES)
        target = f"gs://{_COPIES}/{name}"
        objects.download(uri, objects.path(target))
        return target

    def _alias(self, version: Record, aliases: set[str]) -> None:
        """Give a version aliases, and take them from any other of its model."""
        for each in self._of(version["model"]):
            left = [alias for alias in each["aliases"] if alias not in aliases]
            if each is version:
                left += sorted(aliases)
            if left != each["aliases"]:
                each["aliases"] = left
                self._world.store.save(VERSION, each)

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._told(self.find(request["name"]))

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The default version of each model."""
        every = self._world.store.of(VERSION)
        found = [self._told(each) for each in every if _DEFAULT in each["aliases"]]
        return self._world.page(found, request, "models")

    def _versions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        model = self.find(request["name"])["model"]
        return self._world.page([self._told(each) for each in self._of(model)], request, "models")

    def _patch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            version = self.find(request["name"])
            for path in whole(request["updateMask"]):
                version["body"][path] = request["body"].get(path)
            self._world.store.save(VERSION, version)
        return self._told(version)

    def _merge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            version = self.find(request["name"])
            given = request["body"]["versionAliases"]
            gone = {alias[1:] for alias in given if alias.startswith("-")}
            if _DEFAULT in gone:
                words = "A default version alias cannot be removed; move it to another version."
                raise Refused("INVALID_ARGUMENT", words)
            version["aliases"] = [each for each in version["aliases"] if each not in gone]
            self._alias(version, {alias for alias in given if not alias.startswith("-")})
            self._world.store.save(VERSION, version)
        return self._told(version)

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        versions = self._of(self.find(request["name"])["model"])
        return self._going(versions)

    def _delete_version(self, request: Mapping[str, Any]) -> dict[str, Any]:
        version = self.find(request["name"])
        if _DEFAULT in version["aliases"]:
            words = "The default version cannot be deleted; delete the model, or move the alias."
            raise Refused("FAILED_PRECONDITION", words)
        return self._going([version])

    def _going(self, versions: list[Record]) -> dict[str, Any]:
        for each in versions:
            if self._deployed(each):
                words = f"Model {each['arn']} is deployed at an endpoint; undeploy it first."
                raise Refused("FAILED_PRECONDITION", words)
        about = {"names": [each["name"] for each in versions]}
        return self._operations.begin("DeleteModel", f"models/{versions[0]['model']}", about)

    def _deleted(self, about: Mapping[str, Any], _halt: threading.Event) -> dict[str, Any]:
        with self._world.store.lock:
            for name in about["names"]:
                if self._world.store.get(VERSION, name):
                    self._world.store.remove(VERSION, name)
            model = about["names"][0].partition("@")[0]
            if not self._of(model) and self._world.store.get(_NUMBERED, model):
                self._world.store.remove(_NUMBERED, model)
        return {}

    def _deployed(self, version: Record) -> list[dict[str, str]]:
        return [
            {"endpoint": endpoint["arn"], "deployedModelId": name}
            for endpoint in self._world.store.of("Endpoint")
            for name, each in endpoint["deployed"].items()
            if each["version"] == version["name"]
        ]

    def _told(self, version: Record) -> dict[str, Any]:
        first = self._of(version["model"])[0]
        return {
            **version["body"],
            **_FIXED,
            "name": self.resource(version),
            "versionId": version["number"],
            "versionAliases": version["aliases"],
            "createTime": moment(first["created"]),
            "updateTime": moment(version["modified"]),
            "versionCreateTime": moment(version["created"]),
            "versionUpdateTime": moment(version["modified"]),
            "etag": f"{version['modified']:.3f}",
            "deployedModels": self._deployed(version),
        }


def whole(mask: str) -> list[str]:
    """The fields that an updateMask names. Raises Refused at one within another."""
    paths = mask.split(",")
    if any("." in path for path in paths):
        raise Refused("UNIMPLEMENTED", "this rehearsal changes whole fields alone")
    return paths
