"""``--provider cheapest``: one plan priced in every cloud, and sent to the one that asks least.

The choice is by what a run costs at most: a step's longest time on the machines that it would have
there. A place whose settings do not suffice, that cannot do what the plan asks for, or of whose
machines no price is known, is left out, and told with the reason.

Where the chosen place has no machine free, or the account may have none, the run goes on to the
next. That is told, and happens only once the first run is known to have ended. What is not known
(a connection that was lost) is no reason to go elsewhere: two runs would be paid for.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from infra import machines, prices
from infra import provider as providers
from infra.errors import CapacityError, InputError, QuotaError, TrefoilError, UnsupportedError
from infra.plan import DONE, FINAL, Event, Plan, RunRef
from infra.prices import Use
from pipelines import cli
from pipelines.flags import PLAIN
from pipelines.ledger import Ledger, Line
from pipelines.request import Prepared, prepare
from pipelines.result import Result

ELSEWHERE = (CapacityError, QuotaError)
"""What another place may not lack."""
_NAMES = {each.__name__ for each in ELSEWHERE}
_NOTHING: Mapping[str, Use] = {}
Asked: TypeAlias = Callable[[Plan], str] | None


class Offer(NamedTuple):
    """A place, and the most that the plan costs there. ``why_not`` says why it is left out."""

    place: str
    usd: float = math.nan
    uses: Mapping[str, Use] = _NOTHING
    prepared: Prepared | None = None
    why_not: str = ""


class Ended(Protocol):
    """What was done at a place, as far as it says whether another is asked."""

    @property
    def result(self) -> Result | None:
        """What a run came to; None where none was made."""

    @property
    def last(self) -> Event:
        """Its last event."""


E = TypeVar("E", bound=Ended)


def places() -> list[str]:
    """The places that rent machines by the hour."""
    return [name for name in providers.names() if name in machines.places()]


def offers(arguments: argparse.Namespace, event: Asked = None) -> list[Offer]:
    """What each place asks, the cheapest first, those that are left out last.

    Raises InputError where none is left. ``event`` is that of ``prepare``.
    """
    asked = [_offer(at(arguments, place), event) for place in places()]
    found = sorted(asked, key=lambda each: (bool(each.why_not), each.usd, each.place))
    if found and not found[0].why_not:
        return found
    reasons = dict.fromkeys(each.why_not for each in found)
    if len(reasons) == 1:  # a mistake that is one everywhere
        raise InputError(*reasons)
    lines = "".join(f"\n  {each.place}: {each.why_not}" for each in found)
    raise InputError(f"no place is left to run this:{lines}")


def told(found: list[Offer]) -> Iterator[str]:
    """The choice, as a small table, and whose prices those are."""
    yield f"{'place':<8} {'at most':>10}  machines"
    for at, each in enumerate(found):
        if each.why_not:
            yield f"{each.place:<8} {'left out':>10}  {each.why_not}"
            continue
        chosen = "  <- chosen" if at == 0 else ""
        yield f"{each.place:<8} {f'${each.usd:.2f}':>10}  {_rented(each.uses)}{chosen}"
    for each in found:
        if each.prepared:
            yield f"{each.place}: {prices.told(each.place, each.prepared.settings.region)}"


def able(arguments: argparse.Namespace, event: Asked = None) -> list[Prepared]:
    """The request for each place that is not left out, the cheapest first.

    The choice is told on stderr. Raises as ``offers``.
    """
    found = offers(arguments, event)
    for line in told(found):
        cli.say(line)
    return [each.prepared for each in found if each.prepared]


def home(arguments: argparse.Namespace) -> Path:
    """The person's workspace, by the first place whose settings can be read. Raises InputError."""
    from pipelines.where import where

    refusals: list[TrefoilError] = []
    for place in places():
        try:
            return where(at(arguments, place)).home
        except (InputError, UnsupportedError) as error:
            refusals.append(error)
    raise refusals[0]


def sent(arguments: argparse.Namespace) -> str:
    """The place that a run was sent to, the newest where none is named. Raises InputError."""
    wanted = getattr(arguments, "run", None)
    lines = [line for place in places() for line in _lines(at(arguments, place))]
    lines = [line for line in lines if wanted in (None, line.run_id)]
    if not lines:
        raise InputError(
            f"no run{f' {wanted}' if wanted else ''} was sent to a cloud from this workspace; name "
            f"the place: --provider {'|'.join(places())}"
        )
    return max(lines, key=lambda line: line.at).provider


def run(arguments: argparse.Namespace) -> int:
    """Run at the cheapest place, then at the next where that has no machine. Raises TrefoilError.

    A run of the same plan that goes on somewhere is gone on with there, whatever it costs.
    """
    from pipelines.watch import finish, present

    ended = through(_open_first(able(arguments)), arguments, lambda there, _: finish(there))
    return present(ended, arguments)


def through(
    places: Sequence[Prepared],
    arguments: argparse.Namespace,
    do: Callable[[Prepared, argparse.Namespace], E],
) -> E:
    """Do it at the first place, then at the next where that has no machine. Raises TrefoilError.

    ``do`` is given the place once it is reached, and the command as it would be for that place.
    """
    from pipelines.run import reached

    for number, each in enumerate(places):
        rest = places[number + 1 :]
        scenario = arguments.rehearse and (arguments.rehearse if number == 0 else PLAIN)
        here = at(arguments, each.provider.name, rehearse=scenario)
        with reached(each, here) as there:
            try:
                ended = do(there, here)
            except ELSEWHERE as error:
                if not rest or not _ended(there, error):
                    raise
                why = str(error)
            else:
                if not rest or not _goes_elsewhere(there, here, ended):
                    return ended
                why = ended.last.message
        cli.say(f"not on {each.provider.name}: {why}")
        cli.say(f"that run has ended; going on with {rest[0].provider.name}, the next cheapest")
    raise AssertionError("the last place returns or raises")


def at(arguments: argparse.Namespace, place: str, **more: object) -> argparse.Namespace:
    """The same command for one place."""
    return argparse.Namespace(**{**vars(arguments), "provider": place, **more})


def _offer(arguments: argparse.Namespace, event: Asked) -> Offer:
    place = arguments.provider
    try:
        prepared = prepare(arguments, event)
    except (InputError, UnsupportedError) as error:
        return Offer(place, why_not=str(error))
    plan = prepared.request.plan
    usd = prepared.provider.price(plan, prepared.settings)
    uses = prepared.provider.uses(plan, prepared.settings)
    if math.isnan(usd):
        own = prepared.settings.prices
        kinds = dict.fromkeys(use.machine for use in uses.values())
        unknown = [each for each in kinds if math.isnan(prices.hourly(place, each, own))]
        words = f"no price is known of {', '.join(unknown)}; say it by the setting prices"
        return Offer(place, why_not=words)
    return Offer(place, usd, uses, prepared)


def _rented(uses: Mapping[str, Use]) -> str:
    """The machines, and which steps have them: ml.m5.large (prepare, report)."""
    steps: dict[str, list[str]] = {}
    for name, use in uses.items():
        many = f"{use.machines} x " if use.machines > 1 else ""
        steps.setdefault(f"{many}{use.machine}", []).append(name)
    return ", ".join(f"{machine} ({', '.join(names)})" for machine, names in steps.items())


def _open_first(able: list[Prepared]) -> list[Prepared]:
    """The requests, before them that for a place where a run of the same plan goes on."""
    for each in able:
        ledger, name = Ledger(each.workspace), each.provider.name
        lines = [one for one in ledger.lines(containing=each.digest) if one.provider == name]
        if lines and lines[-1].step != "finished":
            if each is not able[0]:
                cli.say(f"{lines[-1].run_id} was sent to {name} before; going on with it")
            return [each, *(one for one in able if one is not each)]
    return able


def _lines(arguments: argparse.Namespace) -> list[Line]:
    """What was sent to one place from the workspace."""
    from pipelines.where import where

    try:
        workspace = where(arguments).workspace
    except (InputError, UnsupportedError):
        return []
    return [line for line in Ledger(workspace).lines() if line.provider == arguments.provider]


def _goes_elsewhere(there: Prepared, arguments: argparse.Namespace, ended: Ended) -> bool:
    """Whether a run that ended for want of machines may be begun anew at another place.

    Not where a step with effects has ended well: it would have them twice.
    """
    result, last = ended.result, ended.last
    if result is None or last.state != "failed" or last.error not in _NAMES:
        return False
    plan = there.request.plan
    if arguments.no_cache:  # by which every step looks as if it had effects
        plan = prepare(at(arguments, arguments.provider, no_cache=False)).request.plan
    lasting = {step.name for step in plan.steps if not step.cache and not step.always}
    done = [each.step for each in result.steps if each.state in DONE and each.step in lasting]
    if done:
        cli.say(f"{', '.join(done)} has ended well and is not repeated elsewhere")
    return not done


def _ended(there: Prepared, error: Exception) -> bool:
    """End what has begun of a run that could not be launched; whether it is known to have ended."""
    from pipelines.watch import give_up

    run, place = RunRef(there.provider.name, there.request.run_id), there.provider
    try:
        _end(there, run)
    except TrefoilError as doubt:
        cli.say(f"it is not known whether {run.run_id} has ended at {place.name}: {doubt}")
        return False
    give_up(there, Event("", "failed", message=str(error), code=1))
    return True


def _end(there: Prepared, run: RunRef) -> None:
    """Raise TrefoilError unless nothing of the run goes on."""
    place, own = there.provider, there.settings
    try:
        place.reap(run, own)
    except InputError:
        if run in place.list_runs(own):
            raise  # it is there, and may go on
    except UnsupportedError:
        place.cancel(run, own)
        if (found := place.status(run, own)).state not in FINAL:
            raise InputError(f"it is {found.state}") from None
