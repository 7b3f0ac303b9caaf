"""Whether an event is a reason to train a model again; each answer has its reason."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from infra.plan import FINAL, Event, Json, Plan, RunRef
from pipelines import cheapest, cli
from pipelines.flags import CHEAPEST, PLAIN
from pipelines.request import Prepared, prepare
from pipelines.result import Result, collect, tell
from pipelines.retrain import past
from pipelines.retrain.asked import Wanted, wanted
from pipelines.retrain.past import Past
from pipelines.retrain.trigger import Trigger
from pipelines.run import reached, shown
from pipelines.watch import exit_code, finish

_DAY = 86400


class Outcome(NamedTuple):
    """What became of an event for one model; ``decision`` is retrain or skip.

    ``run`` is the run that it made, or the one that makes another needless; ``result`` what its
    own came to, and ``last`` the event that it ended with. ``request`` is what a dry run would
    send. ``told`` where its reason was said before the training.
    """

    decision: str
    reason: str
    event: str
    model: str = ""
    run: str = ""
    result: Result | None = None
    last: Event = Event("", "waiting")
    request: Json = None
    code: int = cli.DONE
    told: bool = False

    def data(self) -> dict[str, Json]:
        """As JSON: what ``run --json`` says, and why."""
        found: Any = self.result.data() if self.result else {}
        return {
            "decision": self.decision,
            "reason": self.reason,
            "event": self.event,
            "model_name": self.model or None,
            **dict.fromkeys(("state", "metrics", "gate", "model_version", "endpoint_url")),
            **found,
            "run_id": self.run or None,
            **({"request": self.request} if self.request else {}),
        }

    def words(self) -> str:
        """The decision and its reason, in a line."""
        return f"{self.decision} {self.model}".rstrip() + f": {self.reason}"

    def tell(self, arguments: argparse.Namespace) -> None:
        """Say it, for people."""
        if not self.told:
            cli.tell(self.words())
        if self.request:
            cli.answer(self.request)
        if self.result:
            tell(self.result, arguments)


def outcomes(trigger: Trigger, arguments: argparse.Namespace) -> Iterator[Outcome]:
    """Decide, and train, model after model. Raises TrefoilError.

    What is wrong with any of them is found before the first is trained.
    """
    asked = [(each, _prepared(trigger, each)) for each in wanted(trigger, arguments)]
    for each, places in asked:
        if not places:
            yield Outcome("skip", each.reason, trigger.key(*each.content))
        elif arguments.dry_run:
            yield _dry(each, places[0])
        else:
            yield _decided(trigger, each, places)


def _prepared(trigger: Trigger, asked: Wanted) -> list[Prepared]:
    """The run that is asked for, called by the event, for each place that may have it.

    The place that is asked first is the first. None where no run is asked for.
    """
    if asked.needless:
        return []

    def key(plan: Plan) -> str:
        return trigger.key(*asked.content, past.model(plan))

    arguments = asked.arguments
    several = arguments.provider == CHEAPEST
    places = cheapest.able(arguments, key) if several else [prepare(arguments, key)]
    return [each._replace(cause=asked.reason) for each in places]


def _outcome(asked: Wanted, prepared: Prepared) -> Outcome:
    request = prepared.request
    model = past.model(request.plan)
    return Outcome("retrain", asked.reason, prepared.event, model, request.run_id)


def _dry(asked: Wanted, prepared: Prepared) -> Outcome:
    words = f"{asked.reason}; a dry run does not ask what ran before"
    return _outcome(asked, prepared)._replace(reason=words, request=shown(prepared.request))


def _decided(trigger: Trigger, asked: Wanted, places: list[Prepared]) -> Outcome:
    """Decide for one model, and train it, elsewhere too where a place has no machine for it."""
    places, lasts = _looked_at(places, asked.arguments)
    retraining: list[Outcome] = []

    def do(there: Prepared, here: argparse.Namespace) -> Outcome:
        if retraining:  # at another place, by the same decision
            return _trained(retraining[0]._replace(told=True), there, here)
        outcome = _outcome(asked, there)
        if made := past.made(there):
            return _again(outcome, there, made, here)
        before = _newest([past.last(there), *lasts])
        reason, needless = _compared(trigger, asked.reason, there, before, here.max_age)
        outcome = outcome._replace(reason=reason)
        if before and needless:
            return outcome._replace(decision="skip", run=before.run.run_id)
        retraining.append(outcome)
        return _trained(outcome, there._replace(cause=reason), here)

    return cheapest.through(places, asked.arguments, do)


def _looked_at(
    places: list[Prepared], arguments: argparse.Namespace
) -> tuple[list[Prepared], list[Past | None]]:
    """The places, that where this event's run came furthest as the first; what ran at the others.

    Prices change from day to day, and a run may have gone on elsewhere: so all are asked.
    """
    lasts: list[Past | None] = []
    far: dict[str, tuple[int, float]] = {}
    for each in places if len(places) > 1 else ():
        name = each.provider.name
        here = cheapest.at(arguments, name, rehearse=arguments.rehearse and PLAIN)
        with reached(each, here) as there:
            if run := past.made(there):
                far[name] = _far(there, run)
            else:
                lasts.append(past.last(there))
    none = (0, 0.0)
    places = sorted(places, key=lambda each: far.get(each.provider.name, none), reverse=True)
    return places, lasts


def _far(there: Prepared, run: RunRef) -> tuple[int, float]:
    """How far a run came, to compare it with others; of those that failed the last came furthest.

    It was begun once the others had ended, and what it has done is not to be repeated elsewhere.
    """
    place, own = there.provider, there.settings
    state = place.status(run, own).state
    if state == "succeeded":
        return 3, 0.0
    if state not in FINAL:
        return 2, 0.0
    return 1, max((each.at or 0.0 for each in place.history(run, own).moments), default=0.0)


def _newest(found: list[Past | None]) -> Past | None:
    """What goes on, else what ended last."""
    runs = [each for each in found if each]
    return max(runs, key=lambda each: (each.state not in FINAL, each.ended or 0.0), default=None)


def _compared(
    trigger: Trigger, reason: str, prepared: Prepared, before: Past | None, oldest: float | None
) -> tuple[str, bool]:
    """The reason with what changed since the run before, and whether that makes this needless."""
    if trigger.kind == "dispatch":
        return reason, False
    if before is None:
        return f"{reason}; no run of this model has succeeded before", False
    run = before.run.run_id
    if before.state not in FINAL:
        return f"{reason}, but {run} goes on by the same plan", True
    changed = past.since(before, prepared, pins_alone=trigger.kind == "push")
    if changed:
        return f"{reason}; changed since {run}: {'; '.join(changed)}", False
    if trigger.kind == "schedule" and (old := _old(trigger, prepared, before, oldest)):
        return f"{reason}; nothing changed since {run}, but {old}", False
    return f"{reason}, but nothing changed since {run}: it would make the same model", True


def _old(trigger: Trigger, prepared: Prepared, before: Past, oldest: float | None) -> str:
    """How old the champion is, where it is older than that and no run has succeeded since."""
    if oldest is None:
        return ""
    from infra import mlflow
    from infra.registry import Registry
    from pipelines.registry import tracking_uri

    uri = tracking_uri(prepared.common)
    registry = Registry(uri) if mlflow.exists(uri) else None
    champion = registry.champion(past.model(prepared.request.plan)) if registry else None
    if registry is None or champion is None:
        cli.say("note: there is no champion, and so none that --max-age finds too old")
        return ""
    made = max(registry.made(champion), before.ended or 0.0)
    age = (time.time() if trigger.at is None else trigger.at) - made
    if age <= oldest:
        return ""
    return f"its champion, version {champion.version}, was last made {age / _DAY:.1f} days ago"


def _again(
    outcome: Outcome, prepared: Prepared, made: RunRef, arguments: argparse.Namespace
) -> Outcome:
    """The same event once more: its run is finished, watched, or looked at."""
    place, own = prepared.provider, prepared.settings
    status = place.status(made, own)
    reason = f"{outcome.reason}; this event made {made.run_id} before"
    outcome = outcome._replace(reason=reason, run=made.run_id)
    same = made.run_id == prepared.request.run_id
    if same and status.state != "succeeded":
        return _trained(outcome, prepared, arguments)
    if not same:
        outcome = outcome._replace(reason=f"{reason}, by other flags; those of now were not used")
    moments = place.history(made, own).moments
    ended = [moment.event for moment in moments if not moment.event.step]
    last = ended[-1] if ended and ended[-1].state == status.state else Event("", status.state)
    result = collect(prepared, made, last)
    going = status.state not in FINAL
    code = cli.DONE if going else exit_code(result, last, arguments.require_gate)
    return outcome._replace(result=result, code=code)


def _trained(outcome: Outcome, prepared: Prepared, arguments: argparse.Namespace) -> Outcome:
    if not outcome.told:
        (cli.say if arguments.json else cli.tell)(outcome.words())
    result, last = finish(prepared)
    code = exit_code(result, last, arguments.require_gate)
    run = prepared.request.run_id
    return outcome._replace(result=result, last=last, code=code, told=True, run=run)
