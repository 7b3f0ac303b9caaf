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
from infra.gcp.session import Gcp
from infra.gcp.stopping import stop

_TRIES = 2
"""How many that were lost a command makes."""
_SETTLED = 180.0
"""Seconds after which a job that there is must be listed."""
_FIRST, _LONGEST = 0.2, 10.0
"""Seconds between two looks at the list, at first and at most."""


def made_once(gcp: Gcp, records: Records, attempt: Attempt) -> str:
    """The full name of the attempt's CustomJob, made here or by another. Raises TrefoilError."""
    lost = 0
    for number in itertools.count(1):
        ours = records.mark(attempt, f"making-{number}")
        if not ours and records.marked(attempt, f"refused-{number}"):
            continue
        name = (_made(gcp, records, attempt, number) if ours else "") or _listed(gcp, attempt)
        if name:
            return name if number == 1 else _first(gcp, attempt, name)
        lost += ours
        if lost == _TRIES:
            break
    raise ProviderError(
        f"Vertex AI does not tell whether it has made the job {_called(attempt)}, and does not "
        "list it; give the same command again"
    )


def _made(gcp: Gcp, records: Records, attempt: Attempt, number: int) -> str:
    """Make it: its name, empty where the answer is lost. Raises TrefoilError where refused."""
    job, doing = attempt.request["job"], f"start the job {_called(attempt)}"
    try:
        return str(gcp.ask("customJobs.create", doing, job, parent=gcp.parent)["name"])
    except ProviderError:
        return ""
    except TrefoilError:  # there is none: whoever tries next need not wait
        records.mark(attempt, f"refused-{number}")
        raise


def _listed(gcp: Gcp, attempt: Attempt) -> str:
    """Its name, once it is listed; empty where it never is."""
    until, pause = time.monotonic() + _SETTLED, _FIRST
    while not (found := jobs_of(gcp, attempt)):
        if time.monotonic() > until:
            return ""
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST)
    return str(found[0]["name"])


def _first(gcp: Gcp, attempt: Attempt, known: str) -> str:
    """The first that is listed, where one was listed late after all; the others are ended."""
    names = [str(each["name"]) for each in jobs_of(gcp, attempt)]
    first, *others = dict.fromkeys([*names, known])
    for other in others:
        stop(gcp, other)
    return first


def _called(attempt: Attempt) -> str:
    return str(attempt.request["job"]["displayName"])
