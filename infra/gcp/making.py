"""A CustomJob, made once for an attempt though Vertex AI takes no name for it.

Whoever makes it first leaves a mark beside the record, which one alone can leave; all others wait
for the job to be listed under the run's label. So does whoever made it and was not answered.
Nobody makes another until that one was refused, or was not listed for longer than a request and a
list can take: then not the answer was lost, but the job, and the next mark may be left.
"""

from __future__ import annotations

import itertools
import time

from infra.cloud.records import Attempt, Records
from infra.errors import ProviderError, TrefoilError
from infra.gcp.looking import jobs_of
from infra.gcp.session import Found, Gcp, required
from infra.gcp.stopping import stop

_TRIES = 2
"""How many that were lost a command makes."""
_SETTLED = 180.0
"""Seconds after which a job that there is must be listed."""
_FIRST, _LONGEST = 0.2, 10.0
"""Seconds between two looks at the list, at first and at most."""
_TOO_OFTEN = 429


def made_once(gcp: Gcp, records: Records, attempt: Attempt) -> str:
    """The full name of the attempt's CustomJob, made here or by another. Raises TrefoilError.

    Empty where it was cancelled before there was one.
    """
    lost: list[ProviderError | None] = []
    for number in itertools.count(1):
        if number > 1 and records.again(attempt).ended:
            return ""
        ours = records.mark(attempt, f"making-{number}")
        if not ours and records.marked(attempt, f"refused-{number}"):
            continue
        name, error = _made(gcp, records, attempt, number) if ours else ("", None)
        name = name or _listed(gcp, attempt)
        if name:
            return name if number == 1 else _first(gcp, attempt, name)
        lost += [error] if ours else []
        if len(lost) == _TRIES:
            break
    told = next((f" ({each})" for each in reversed(lost) if each), "")
    raise ProviderError(
        f"Vertex AI does not tell whether it has made the job {_called(attempt)}, and does not "
        f"list it{told}; give the same command again"
    ) from lost[-1]


def _made(
    gcp: Gcp, records: Records, attempt: Attempt, number: int
) -> tuple[str, ProviderError | None]:
    """Make it: its name, or where that is not answered, why. Raises TrefoilError where refused."""
    job, doing = attempt.request["job"], f"start the job {_called(attempt)}"
    try:
        found = gcp.ask("customJobs.create", doing, job, parent=gcp.parent)
        return str(found.get("name", "")), None  # without one, the list tells it
    except TrefoilError as error:
        if isinstance(error, ProviderError) and not _did_nothing(error):
            return "", error
        records.mark(attempt, f"refused-{number}")  # whoever tries next need not wait
        raise


def _did_nothing(error: ProviderError) -> bool:
    """Whether Vertex AI has refused, as it does where it is asked too often."""
    return getattr(error.__cause__, "status_code", None) == _TOO_OFTEN


def _listed(gcp: Gcp, attempt: Attempt) -> str:
    """Its name, once it is listed; empty where it never is."""
    until, pause = time.monotonic() + _SETTLED, _FIRST
    while not (found := jobs_of(gcp, attempt)):
        if time.monotonic() > until:
            return ""
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST)
    return _name(found[0])


def _first(gcp: Gcp, attempt: Attempt, known: str) -> str:
    """The first that is listed, where one was listed late after all; the others are ended."""
    names = [_name(each) for each in jobs_of(gcp, attempt)]
    first, *others = dict.fromkeys([*names, known])
    for other in others:
        stop(gcp, other)
    return first


def _name(job: Found) -> str:
    return str(required(job, "name", "a job that it lists"))


def _called(attempt: Attempt) -> str:
    return str(attempt.request["job"]["displayName"])
