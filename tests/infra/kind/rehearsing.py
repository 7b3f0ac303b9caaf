"""What the tests of kind's adapter share: plans, compiled once, and runs against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.kind import PROVIDER, KindSettings
from infra.plan import Event, Json, Plan, Request, RunRef
from infra.storage import tree, tree_digest
from pipelines import compile

PLANS = Path(__file__).parents[2] / "plans"
SETTINGS = KindSettings(image_tag="0123456789ab", tracking_uri="none")


class Stood(NamedTuple):
    """A stand-in that is up: how to reach it, and where it keeps what it knows."""

    settings: KindSettings
    workspace: Path

    def request(self, plan: Plan, run_id: str = "r-1") -> Request:
        return PROVIDER.lower(plan, self.settings, run_id)

    def submitted(self, plan: Plan, run_id: str = "r-1") -> RunRef:
        return PROVIDER.submit(self.request(plan, run_id), self.settings, dict)

    def ran(self, plan: Plan, run_id: str = "r-1") -> list[Event]:
        """Everything that is told of a run from its start to its end."""
        return list(PROVIDER.follow(self.submitted(plan, run_id), self.settings))

    def calls(self) -> list[dict[str, Any]]:
        """The log of calls."""
        import json

        lines = (self.workspace / "requests.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def standing(workspace: Path, scenario: str | None = "plain", **settings: Any) -> Iterator[Stood]:
    """The stand-in while the block runs."""
    given = SETTINGS._replace(workspace=str(workspace), **settings)
    with PROVIDER.rehearse(given, workspace, scenario) as changed:
        yield Stood(changed, workspace)


def document(name: str, folder: Path) -> dict[str, Any]:
    """The IR of a pipeline in tests/plans."""
    return compile.load(str(PLANS / f"{name}.py"), folder)


def plan_of(document: Mapping[str, Any], **given: Json) -> Plan:
    """The plan of an IR, bound."""
    return ir.read(document, given)


def states(events: list[Event]) -> dict[str, str]:
    """The last state of each step, and of the run by the empty name."""
    return {event.step: event.state for event in events}


class Local(NamedTuple):
    """A run of local processes: states, and by step the values and the digests of artefacts."""

    states: dict[str, str]
    values: dict[str, dict[str, Json]]
    digests: dict[str, dict[str, str]]


def local(plan: Plan, workspace: Path) -> Local:
    """The same plan, run here."""
    from infra.local import PROVIDER as LOCAL
    from infra.local import LocalSettings

    settings = LocalSettings(workspace=str(workspace))
    run = LOCAL.submit(LOCAL.lower(plan, settings, "r-1"), settings, dict)
    events = list(LOCAL.follow(run, settings))
    left = LOCAL.outputs(run, settings)
    return Local(
        states(events),
        {name: values_of(plan, name, found) for name, found in left.items()},
        {name: digests_of(plan, name, found) for name, found in left.items()},
    )


def values_of(plan: Plan, step: str, left: Mapping[str, Json]) -> dict[str, Json]:
    """The values that a step left."""
    return {name: left[name] for name in plan.step(step).parameters}


def digests_of(plan: Plan, step: str, left: Mapping[str, Json]) -> dict[str, str]:
    """The digests of the artefacts that a step left."""
    places = {name: Path(str(left[name])) for name in plan.step(step).artifacts}
    return {name: tree_digest(tree(place)) for name, place in places.items()}
