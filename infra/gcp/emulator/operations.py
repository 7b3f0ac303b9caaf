"""Long-running operations: begun by a call, carried out in a thread, kept until they are deleted.

What was under way when the stand-in ended is carried out anew when it stands again.
"""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.errors import TrefoilError, told
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.world import Record, World, moment

KIND = "Operation"
_GOOGLE = "type.googleapis.com/google.cloud.aiplatform.v1"
_EMPTY = "type.googleapis.com/google.protobuf.Empty"
_RESOURCES = ("endpoints", "models")
Work: TypeAlias = Callable[[Mapping[str, Any], threading.Event], dict[str, Any]]
"""Carries an operation out, given what it is about. Raises Refused with why it fails, Halted."""


class Halted(Exception):
    """The stand-in ends."""


class Kind(NamedTuple):
    """What operations of a kind do, and the messages they tell of it: no ``response`` is empty."""

    work: Work
    response: str
    metadata: str


class Operations:
    """All operations of a project."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kinds: dict[str, Kind] = {}
        self._threads: list[threading.Thread] = []
        self._halt = threading.Event()

    def add(self, name: str, work: Work, response: str) -> None:
        """Have operations of that name carried out so; the response is of that message."""
        metadata = f"{name if response else 'Delete'}OperationMetadata"
        self._kinds[name] = Kind(work, response, metadata)

    def begin(self, kind: str, parent: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """A new operation of what ``parent`` names, as a call is answered with it."""
        number = str(uuid.uuid4().int % 10**19)
        name = self._world.name(f"{parent}/operations/{number}".lstrip("/"))
        record = self._world.store.add(
            KIND, number, name, does=kind, about=dict(about), done=False, outcome={}
        )
        self._start(record)
        return self._told(record)

    def under_way(self, kind: str) -> list[Mapping[str, Any]]:
        """What operations of a kind are about that have not ended."""
        records = self._world.store.of(KIND)
        return [each["about"] for each in records if each["does"] == kind and not each["done"]]

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations on operations, by the IDs of the description."""
        verbs = {
            "get": self._get, "list": self._list, "wait": self._wait, "cancel": self._cancel,
            "delete": self._delete,
        }  # fmt: skip
        places = ("operations", *(f"{resource}.operations" for resource in _RESOURCES))
        prefix = "aiplatform.projects.locations"
        return {f"{prefix}.{at}.{verb}": does for at in places for verb, does in verbs.items()}

    def resume(self) -> None:
        """Go on with what was under way."""
        for record in self._world.store.of(KIND):
            if not record["done"]:
                self._start(record)

    def close(self) -> None:
        """Halt what is under way."""
        self._halt.set()
        for thread in self._threads:
            thread.join()

    def _start(self, record: Record) -> None:
        if not self._halt.is_set():
            thread = threading.Thread(target=self._carry_out, args=(record,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry_out(self, record: Record) -> None:
        kind = self._kinds[record["does"]]
        try:
            found = kind.work(record["about"], self._halt)
            of_type = f"{_GOOGLE}.{kind.response}" if kind.response else _EMPTY
            outcome: dict[str, Any] = {"response": {"@type": of_type, **found}}
        except Halted:
            return
        except Refused as refused:
            outcome = {"error": refused.rpc()}
        except (TrefoilError, OSError) as error:
            words = told(error) if isinstance(error, OSError) else str(error)
            outcome = {"error": Refused("INTERNAL", words).rpc()}
        except Exception as error:  # ours: an operation that is never done is asked for ever
            traceback.print_exc()
            words = f"the rehearsal itself failed: {type(error).__name__}: {error}"
            outcome = {"error": Refused("INTERNAL", words).rpc()}
        with self._world.store.lock:
            record.update(done=True, outcome=outcome)
            self._world.store.save(KIND, record)

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._told(self._find(request["name"]))

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        parent = _rest(request["name"])
        found = [
            self._told(each)
            for each in self._world.store.of(KIND)
            if _rest(each["arn"]).startswith(f"{parent}/operations/")
        ]
        return self._world.page(found, request, "operations")

    def _wait(self, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self._find(request["name"])
        self._world.clock.wait(float(str(request.get("timeout", "0s")).rstrip("s")), self._halt)
        return self._told(record)

    def _cancel(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._find(request["name"])
        raise Refused("UNIMPLEMENTED", "this rehearsal carries every operation out")

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._world.store.remove(KIND, self._find(request["name"])["name"])
        return {}

    def _find(self, name: str) -> Record:
        found = self._world.store.get(KIND, name.rpartition("/")[2])
        if found is None or _rest(found["arn"]) != _rest(name):
            raise Refused("NOT_FOUND", f"Operation {name} is not found.")
        return found

    def _told(self, record: Record) -> dict[str, Any]:
        times = {"createTime": record["created"], "updateTime": record["modified"]}
        generic = {key: moment(at) for key, at in times.items()}
        metadata = {
            "@type": f"{_GOOGLE}.{self._kinds[record['does']].metadata}",
            "genericMetadata": generic,
        }
        done = {"done": True, **record["outcome"]} if record["done"] else {}
        return {"name": record["arn"], "metadata": metadata, **done}


def _rest(name: str) -> str:
    """What follows the region: a project is told by its ID or by its number."""
    return name.split("/", 4)[-1] if name.count("/") > 3 else ""
