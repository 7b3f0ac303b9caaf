"""From a Request to a run that goes on, whatever was sent already.

What is billed is started under a name that is the run's, after a record of it was written: a lost
answer, or a command that is killed, starts nothing twice and loses nothing.
"""

from __future__ import annotations

import functools
import io
import json
import time
from collections.abc import Mapping
from typing import Any

from infra.azure import AzureSettings, graph, preflight
from infra.azure.jobs import LEFT, Document, Place
from infra.azure.looking import Looker
from infra.azure.names import named
from infra.azure.session import Azure, azure_ai_ml
from infra.azure.stopping import stop_attempt
from infra.azure.store import Blobs
from infra.cloud import starting
from infra.cloud.looking import BROKEN, Look
from infra.cloud.problems import refuse
from infra.cloud.records import Attempt, Records
from infra.cloud.store import Store
from infra.errors import ProviderError, TrefoilError
from infra.plan import Request, to_data
from infra.redaction import redacted

_LOOKS, _PAUSE = 3, 1.0
"""How often a job whose answer was lost is looked for, and the seconds between two looks."""


def send(azure: Azure, request: Request, settings: AzureSettings) -> Attempt:
    """Start the run, or find it: where it goes on or has succeeded, nothing is sent."""
    body: Any = request.body
    store = Blobs(azure, settings.datastore)
    records = Records(store, settings.prefix)
    attempt = records.newest(request.run_id)
    look = _look(azure, store, attempt) if attempt and (attempt.started or attempt.ended) else None
    if attempt and look and look.state not in BROKEN:
        return attempt
    preflight.require(azure, body, settings)
    end = functools.partial(stop_attempt, azure)
    if attempt is None:
        attempt = records.claim(request.run_id, 1, _asked(request, settings, 1, {}))
    elif look:
        if starting.forestalled(attempt):  # a command that was killed may have started it
            end(attempt)
        number = attempt.number + 1
        done = _done(look)
        attempt = records.claim(request.run_id, number, _asked(request, settings, number, done))
    for key, content in body["files"].items():
        store.put(key, content.encode(), once=True)  # a key holds the digest of its content
    for each in body["environments"]:
        _environment(azure, each)
    return starting.begin(records, attempt, functools.partial(_begun, azure, attempt), end)


def check(request: Request) -> None:
    """Look at all that would be sent. Raises InputError with every fault that Azure would find."""
    refuse("Azure", graph.documents(request.body))


def _begun(azure: Azure, attempt: Attempt) -> dict[str, Any]:
    """Start what is not an exit handler, if there is any of it to be done."""
    if document := attempt.request["document"]:
        start(azure, document)
    return {"main": attempt.request["main"]}


def start(azure: Azure, document: Document) -> None:
    """Start the job of a document, unless there is one of its name: that is the same.

    Raises TrefoilError where there is none after that either.
    """
    name = document["name"]
    if azure.run(name) is not None:
        return

    def put() -> None:  # it was held against the rules before; the SDK's own take it a second
        azure.ml.jobs.create_or_update(loaded(document), skip_validation=True)

    try:
        azure.ask(f"start the job {name}", put)
    except TrefoilError as error:
        if not _there(azure, name, error):
            raise


def loaded(document: Document) -> Any:
    """A document as azure-ai-ml has it."""
    return azure_ai_ml().load_job(io.StringIO(json.dumps(document)))


def _there(azure: Azure, name: str, error: TrefoilError) -> bool:
    """Whether a job is there after all.

    Of two commands one is refused; and where no answer came, Azure may still be making it.
    """
    for looks in range(_LOOKS if isinstance(error, ProviderError) else 1):
        time.sleep(_PAUSE if looks else 0.0)
        try:
            if azure.run(name) is not None:
                return True
        except TrefoilError:  # what was told first says more
            return False
    return False


def _environment(azure: Azure, document: Document) -> None:
    given = {name: value for name, value in document.items() if name != "$schema"}

    def make() -> None:
        azure.ml.environments.create_or_update(azure_ai_ml().entities.Environment(**given))

    azure.ask(f"make the environment {given['name']}:{given['version']}", make)


def _look(azure: Azure, store: Store, attempt: Attempt) -> Look:
    return attempt.end if attempt.ended else Looker(azure, store, attempt).look()


def _done(look: Look) -> dict[str, Any]:
    """What need not run again: it ended well, or said itself that it is not to run."""
    return {
        name: task._asdict()
        for name, task in look.tasks.items()
        if task.state == "succeeded" or (task.state == "skipped" and task.job)
    }


def _asked(
    request: Request, settings: AzureSettings, number: int, done: Mapping[str, Any]
) -> dict[str, Any]:
    """What an attempt is going to start; where only an exit handler failed before, that alone."""
    body: Any = request.body
    place = Place(settings, request.run_id, "", "")
    steps = [step for step in request.plan.steps if not step.always]
    left = {
        step.name: done[step.name]["left"] if step.name in done and not step.always
        else place.uri(_numbered(step.name, number))
        for step in request.plan.steps
    }  # fmt: skip
    first = {name: place.uri(name) for name in left}
    main = body.get("pipeline") or body["job"]
    document: Document | None = None
    if any(step.name not in done for step in steps):
        document = _again(main, number, {body["nodes"].get(name, ""): left[name] for name in done})
        document = _moved(document, first, left)
    after = {
        step.name: _moved(_again(each, number, {}), first, left)
        for step, each in zip(
            [step for step in request.plan.steps if step.always], body["after"], strict=True
        )
    }
    return {
        "schema": 1,
        "plan": redacted(to_data(request.plan)),
        "pipeline": "pipeline" in body,
        "main": document["name"] if document else "",
        "document": document,
        "left": left,
        "limits": {step.name: int(step.timeout or settings.max_runtime)
                   for step in request.plan.steps},
        "done": {step.name: done[step.name] for step in steps if step.name in done},
        "after": after,
    }  # fmt: skip


def _numbered(step: str, number: int) -> str:
    """The folder of a step in an attempt: what one that was cut off left is in nobody's way."""
    return step if number == 1 else f"{step}.{number}"


def _again(document: Document, number: int, done: Mapping[str, str]) -> Document:
    """The document of an attempt: a name that was used is never free again.

    Nodes that are ``done`` are left out; what takes from them takes it from where it lies.
    """
    if number == 1:
        return document
    found = {**document, "name": named(document["name"], str(number))}
    if "jobs" not in document:
        return found
    nodes = {name: node for name, node in document["jobs"].items() if name not in done}
    lies = {f"${{{{parent.jobs.{name}.outputs.{LEFT}}}}}": uri for name, uri in done.items()}
    return {**found, "jobs": _replaced(nodes, lies)}


def _moved(document: Document, first: Mapping[str, str], left: Mapping[str, str]) -> Document:
    """The document with the folders of this attempt for those of the first."""
    moved: Document = _replaced(document, {first[n]: left[n] for n in first if first[n] != left[n]})
    return moved


def _replaced(value: Any, by: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return by.get(value, value)
    if isinstance(value, Mapping):
        return {name: _replaced(each, by) for name, each in value.items()}
    return [_replaced(each, by) for each in value] if isinstance(value, list) else value
