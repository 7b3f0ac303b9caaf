"""Takes one endpoint from the state that it changes in to the next that stays.

Creating ends InService or Failed. Updating ends InService: with the new servers where they are
healthy; with the old ones, which serve all the time, by way of RollingBack, where they are not.
"""

from __future__ import annotations

import threading

from infra.aws.emulator.serving.fleet import Fleet, raised
from infra.aws.emulator.serving.resource import ENDPOINT
from infra.aws.emulator.serving.server import Halted, Unhealthy
from infra.aws.emulator.world import World
from infra.errors import TrefoilError, told
from infra.rehearsal.store import Record

CHANGING = frozenset({"Creating", "Updating", "RollingBack", "Deleting"})


def change(world: World, record: Record, fleets: dict[str, Fleet], halt: threading.Event) -> None:
    """All of it; never raises. What was halted goes on when it is called again."""
    name = record["name"]
    try:
        if world.clock.wait(world.scenario.get("start", 0.0), halt):
            return
        if record["status"] == "Deleting":
            _end(fleets.pop(name, None))
            world.store.remove(ENDPOINT.kind, name)
            return
        if record["pending"]:
            _renew(world, record, fleets, halt)
        _settle(world, record)
    except Halted:
        return
    except Unhealthy as reason:
        _give_up(world, record, str(reason))
    except TrefoilError as error:
        _give_up(world, record, f"InternalServerError: {error}")
    except OSError as error:
        _give_up(world, record, f"InternalServerError: {told(error)}")


def _renew(world: World, record: Record, fleets: dict[str, Fleet], halt: threading.Event) -> None:
    """Another fleet takes over, once it is healthy."""
    name, pending = record["name"], record["pending"]
    new = raised(world, name, pending["variants"], halt)
    with world.store.lock:
        old, fleets[name] = fleets.get(name), new
        record.update(pending, pending={})
        record["reason"] = ""
    _end(old)


def _settle(world: World, record: Record) -> None:
    with world.store.lock:
        for each in record["variants"]:
            each["weight"], each["count"] = each["desired_weight"], each["desired_count"]
        record["status"] = "InService"
        world.store.save(ENDPOINT.kind, record)


def _give_up(world: World, record: Record, reason: str) -> None:
    back = bool(record["variants"])
    with world.store.lock:
        record["pending"], record["reason"] = {}, reason
        record["status"] = "RollingBack" if back else "Failed"
        world.store.save(ENDPOINT.kind, record)
    if back:
        _settle(world, record)


def _end(fleet: Fleet | None) -> None:
    if fleet:
        fleet.stop()
