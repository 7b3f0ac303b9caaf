"""What KFP's metadata store knows of a run: values, artefacts, pods, and what came from the cache.

KFP 2.17 serves none of that by its own API; its page asks the store, ML Metadata, by gRPC-web, and
so do we. The numbers of fields below are those of ml_metadata/proto in ml-metadata 1.17.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from infra.errors import ProviderError
from infra.plan import Json
from infra.values import neat

SERVICE = "/ml_metadata.MetadataStoreService/"
CONTENT = "application/grpc-web+proto"
RUN = "system.PipelineRun"
STATES = ("UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED")
"""Of an execution. CANCELED is one that was not triggered: its condition does not hold."""
OUTPUT = 4
"""The type of an event by which an execution leaves an artefact."""

_FIELDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Value": {
        "int_value": (1, "int64"), "double_value": (2, "double"), "string_value": (3, "string"),
        "struct_value": (4, ".google.protobuf.Struct"), "bool_value": (6, "bool"),
    },
    "Context": {"id": (1, "int64"), "name": (3, "string"), "type": (6, "string")},
    "Execution": {
        "id": (1, "int64"), "last_known_state": (3, "int64"), "type": (7, "string"),
        "custom_properties": (5, "map"), "create_time_since_epoch": (8, "int64"),
        "last_update_time_since_epoch": (9, "int64"),
    },
    "Artifact": {"id": (1, "int64"), "uri": (3, "string"), "type": (8, "string")},
    "PathStep": {"key": (2, "string")},
    "EventPath": {"steps": (1, "PathStep*")},
    "Event": {
        "artifact_id": (1, "int64"), "execution_id": (2, "int64"), "path": (3, "EventPath"),
        "type": (4, "int64"),
    },
    "GetContextByTypeAndNameRequest": {"type_name": (1, "string"), "context_name": (2, "string")},
    "GetContextByTypeAndNameResponse": {"context": (1, "Context")},
    "GetExecutionsByContextRequest": {"context_id": (1, "int64")},
    "GetExecutionsByContextResponse": {"executions": (1, "Execution*")},
    "GetEventsByExecutionIDsRequest": {"execution_ids": (1, "int64*")},
    "GetEventsByExecutionIDsResponse": {"events": (1, "Event*")},
    "GetArtifactsByIDRequest": {"artifact_ids": (1, "int64*")},
    "GetArtifactsByIDResponse": {"artifacts": (1, "Artifact*")},
}  # fmt: skip


class Execution(NamedTuple):
    """One task of a run, or one group of tasks. Times are in seconds since the epoch.

    ``pod`` is empty until the container has started. ``iteration`` counts from 0 in a loop.
    """

    id: int
    task: str
    parent: int
    iteration: int | None
    state: str
    began: float
    changed: float
    pod: str
    values: Mapping[str, Json]


class Metadata:
    """The store, through ``post``: it sends a message to a method and returns what comes back."""

    def __init__(self, post: Callable[[str, bytes], bytes]) -> None:
        self._post = post

    def context(self, run: str) -> int | None:
        """The store's number for a run; None until KFP has noted the run there."""
        method = "GetContextByTypeAndName"
        found = self._ask(method, type_name=RUN, context_name=run)
        return int(found.context.id) or None

    def executions(self, context: int) -> list[Execution]:
        """Everything of a run that has begun, or was found not to be needed."""
        found = self._ask("GetExecutionsByContext", context_id=context)
        return [_execution(each) for each in found.executions]

    def artifacts(self, executions: Iterable[int]) -> dict[int, dict[str, str]]:
        """The URIs of what executions left, by execution and output."""
        events = self._ask("GetEventsByExecutionIDs", execution_ids=list(executions)).events
        left = [event for event in events if event.type == OUTPUT and event.path.steps]
        ids = sorted({event.artifact_id for event in left})
        known = self._ask("GetArtifactsByID", artifact_ids=ids).artifacts if ids else ()
        uris = {each.id: each.uri for each in known}
        found: dict[int, dict[str, str]] = {}
        for event in left:
            if event.artifact_id in uris:
                outputs = found.setdefault(event.execution_id, {})
                outputs[event.path.steps[0].key] = uris[event.artifact_id]
        return found

    def _ask(self, method: str, **fields: Any) -> Any:
        sent = message(f"{method}Request")(**fields).SerializeToString()
        found = message(f"{method}Response")()
        found.ParseFromString(unframed(self._post(method, framed(sent))))
        return found


def framed(body: bytes, trailer: bool = False) -> bytes:
    """A message, or the trailer, as gRPC-web sends it."""
    return struct.pack(">BI", 0x80 if trailer else 0, len(body)) + body


def unframed(content: bytes) -> bytes:
    """The message in a gRPC-web body; raises ProviderError where its trailer tells of a failure."""
    found, at = b"", 0
    while at + 5 <= len(content):
        flag, length = struct.unpack_from(">BI", content, at)
        part = content[at + 5 : at + 5 + length]
        at += 5 + length
        if not flag & 0x80:
            found += part
            continue
        lines = (line.partition(":") for line in part.decode(errors="replace").splitlines())
        trailer = {name.strip().lower(): value.strip() for name, _, value in lines}
        if trailer.get("grpc-status", "0") != "0":
            reason = trailer.get("grpc-message") or f"status {trailer['grpc-status']}"
            raise ProviderError(f"KFP's metadata store says: {reason}")
    return found


@functools.cache
def message(name: str) -> Any:
    """The class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"ml_metadata.{name}"))


@functools.cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="metadata.proto", package="ml_metadata", dependency=[struct_pb2.DESCRIPTOR.name]
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        made = file.message_type.add(name=name)
        for field, (number, said) in fields.items():
            kind = said.rstrip("*")
            many = kind != said or kind == "map"
            label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            each = made.field.add(name=field, number=number, label=label)
            scalar = getattr(kinds, f"TYPE_{kind.upper()}", None)
            if kind == "map":
                entry = made.nested_type.add(name="CustomPropertiesEntry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=1)
                entry.field.add(name="value", number=2, type_name=".ml_metadata.Value", label=1,
                                type=kinds.TYPE_MESSAGE)  # fmt: skip
                each.type, each.type_name = kinds.TYPE_MESSAGE, f".ml_metadata.{name}.{entry.name}"
            elif scalar is not None:
                each.type = scalar
            else:
                each.type = kinds.TYPE_MESSAGE
                each.type_name = kind if kind.startswith(".") else f".ml_metadata.{kind}"
    pool.Add(file)
    return pool


def _execution(found: Any) -> Execution:
    own = found.custom_properties
    iteration = own["iteration_index"].int_value if "iteration_index" in own else None
    return Execution(
        id=found.id,
        task=own["task_name"].string_value if "task_name" in own else "",
        parent=own["parent_dag_id"].int_value if "parent_dag_id" in own else 0,
        iteration=iteration,
        state=STATES[found.last_known_state] if found.last_known_state < len(STATES) else "UNKNOWN",
        began=found.create_time_since_epoch / 1000,
        changed=found.last_update_time_since_epoch / 1000,
        pod=own["pod_name"].string_value if "pod_name" in own else "",
        values=_values(own["outputs"].struct_value) if "outputs" in own else {},
    )


def _values(outputs: Any) -> dict[str, Json]:
    from google.protobuf import json_format

    found: dict[str, Json] = json_format.MessageToDict(outputs)
    return {name: neat(value, "") for name, value in found.items()}
