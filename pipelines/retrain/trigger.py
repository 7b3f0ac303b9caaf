"""What GitHub tells of an event, read as what anybody may have written.

Of GitHub's own part only the fields below are looked at, each of its own form. In what people
write, ``inputs`` and ``client_payload``, anything else is refused. Nothing of it becomes part of a
command or of a path: a data set is named, and must be known here by that name.

    push                   ref before after deleted repository
    schedule               schedule repository, and time where another clock than GitHub's tells it
    workflow_dispatch      inputs (data recipe params) workflow repository
    repository_dispatch    action client_payload (data id metric score) repository
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from infra.errors import InputError, short
from infra.plan import Json, canonical

Kind = Literal["push", "schedule", "dispatch", "drift"]

_LARGEST = 25 * 2**20
"""Bytes: GitHub cuts events off there."""
_LONGEST = 4096
_DRIFT = "drift-detected"
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"
_BRANCH = r"[^\s~^:?*\[\\\x00-\x1f\x7f-][^\s~^:?*\[\\\x00-\x1f\x7f]{0,243}"
_REF = rf"refs/(heads|tags)/{_BRANCH}"
_REPOSITORY = r"[\w.-]{1,100}/[\w.-]{1,100}"
_CRON = r"[\w*,/ -]{9,100}"
_ID = r"[\w.:-]{1,64}"
_WORD = r"\w[\w.-]{0,99}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"


class Trigger(NamedTuple):
    """An event that may start a retraining.

    ``identity`` is what makes it this event and no other. ``ref``, ``before`` and ``after`` are a
    push's, the commits empty where there is none. ``data``, ``recipe`` and ``params`` are what a
    dispatch asks for. ``at`` is when a schedule was due, in seconds since the epoch.
    """

    kind: Kind
    repository: str
    branch: str
    identity: tuple[str, ...]
    words: str
    ref: str = ""
    before: str = ""
    after: str = ""
    data: str = ""
    recipe: str = ""
    params: Mapping[str, Json] = {}
    at: float | None = None

    def key(self, *more: str) -> str:
        """A short name of the event's content; with ``more``, of its part for one model."""
        said: list[Json] = [self.kind, self.repository, *self.identity, *more]
        return f"{self.kind}-{hashlib.sha256(canonical(said)).hexdigest()[:12]}"


def read(file: Path, event_id: str) -> Trigger:
    """The event of a file. ``event_id`` tells one dispatch from another: the workflow run's.

    Raises InputError where it is none that retrains, or any field is not what it must be.
    """
    found = _Fields(_parsed(file), f"the event {file}")
    repository = found.inner("repository")
    name = repository.text("full_name", _REPOSITORY, "OWNER/NAME")
    branch = repository.text("default_branch", _BRANCH, "the name of a branch")
    told = found.values
    if {"before", "after"} <= told.keys():
        return _push(found, name, branch)
    if "schedule" in told:
        return _schedule(found, name, branch, event_id)
    if "client_payload" in told or "action" in told:
        return _drift(found, name, branch, event_id)
    if "inputs" not in told or "workflow" not in told:
        found.refuse("is no push, schedule, workflow_dispatch or repository_dispatch")
    return _dispatch(found, name, branch, event_id)


def _push(found: _Fields, name: str, branch: str) -> Trigger:
    ref = found.text("ref", _REF, "a branch or a tag")
    before, after = (found.text(each, _COMMIT, "a commit") for each in ("before", "after"))
    deleted = found.values.get("deleted", False)
    if not isinstance(deleted, bool):
        found.wrong("deleted", "true or false")
    after = "" if deleted else after.strip("0") and after
    words = f"a push to {ref.split('/', 2)[2]}"
    return Trigger(
        "push", name, branch, (ref, after), words, ref, before.strip("0") and before, after
    )


def _schedule(found: _Fields, name: str, branch: str, event_id: str) -> Trigger:
    cron = found.text("schedule", _CRON, "a schedule of cron's")
    time = found.text("time", _TIME, "a time such as 2026-11-30T04:17:00Z", "")
    due = time or found.required_id(event_id, "a schedule has no time of its own")
    at = None
    if time:
        from datetime import datetime

        try:
            at = datetime.fromisoformat(time).timestamp()
        except (ValueError, OverflowError):
            found.wrong("time", "a time that there is")
    return Trigger("schedule", name, branch, (cron, due), f"the schedule {cron}", at=at)


def _dispatch(found: _Fields, name: str, branch: str, event_id: str) -> Trigger:
    identity = found.required_id(event_id, "a dispatch has no name of its own")
    inputs = found.inner("inputs", {"data", "recipe", "params"}, or_none=True)
    params = inputs.text("params", r"(?s).*", "a JSON object", "")
    return Trigger(
        "dispatch", name, branch, (identity,), "a person asked for it",
        data=inputs.text("data", _WORD, "the name of a pinned or known data set", ""),
        recipe=inputs.text("recipe", _WORD, "the name of a recipe", ""),
        params=_params(inputs, params) if params.strip() else {},
    )  # fmt: skip


def _drift(found: _Fields, name: str, branch: str, event_id: str) -> Trigger:
    action = found.text("action", _ID, f"a word such as {_DRIFT}")
    if action != _DRIFT:
        found.wrong("action", _DRIFT)
    told = found.inner("client_payload", {"data", "id", "metric", "score"}, or_none=True)
    identity = told.text("id", _ID, "up to 64 letters, digits and .:-_", "")
    identity = identity or found.required_id(event_id, "its client_payload has no id")
    score = told.values.get("score")
    if not (score is None or _is_number(score)):
        told.wrong("score", "a number")
    words = f"drift of {told.text('metric', _WORD, 'the name of a measure', 'the data')}"
    words += f" ({score:g})" if score is not None else ""
    data = told.text("data", _WORD, "the name of a pinned or known data set", "")
    return Trigger("drift", name, branch, (identity,), f"{words} was told", data=data)


def _params(inputs: _Fields, text: str) -> dict[str, Json]:
    """A recipe's settings, as an input of a workflow has them. Raises InputError."""
    try:
        found = _loaded(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        inputs.wrong("params", 'a JSON object such as {"steps": 2000}')
    for name, value in found.items():
        if not re.fullmatch(_WORD, name) or not isinstance(value, str | int | float | bool):
            inputs.wrong("params", "a JSON object of names and plain values")
    return found


class _Fields:
    """An object of the event, whose fields are asked for by name."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self._where = values, where

    def text(self, name: str, form: str, hint: str, otherwise: str | None = None) -> str:
        """A text of that form; without one, or an empty one, ``otherwise`` where it is given."""
        value = self.values.get(name)
        if otherwise is not None and value in (None, ""):
            return otherwise
        if not isinstance(value, str) or len(value) > _LONGEST or not re.fullmatch(form, value):
            self.wrong(name, hint)
        return value

    def inner(self, name: str, known: set[str] | None = None, or_none: bool = False) -> _Fields:
        """An object within; of ``known`` fields alone where those are given."""
        value = self.values.get(name)
        if value is None and or_none:
            value = {}
        if not isinstance(value, dict):
            self.wrong(name, "an object")
        within = _Fields(value, f"{name} of {self._where}")
        for other in value.keys() - (known or value.keys()):
            within.refuse(
                f"has a field {short(other)}; it may have {', '.join(sorted(known or ()))}"
            )
        return within

    def required_id(self, event_id: str, why: str) -> str:
        """What tells this event from another of the same content. Raises InputError."""
        if not event_id:
            self.refuse(f"cannot be told from another: {why}; give --event-id or GITHUB_RUN_ID")
        if not re.fullmatch(_ID, event_id):
            raise InputError(f"--event-id cannot be {short(event_id)}; use letters, digits, .:-_")
        return event_id

    def wrong(self, name: str, hint: str) -> NoReturn:
        """Refuse a field."""
        value = self.values.get(name)
        told = "missing" if value is None else short(json.dumps(value))
        raise InputError(f"{name} of {self._where} is {told}, and must be {hint}")

    def refuse(self, why: str) -> NoReturn:
        """Refuse the whole."""
        raise InputError(f"{self._where} {why}")


def _parsed(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"the event {file} has more than 25 MB; GitHub sends none that large")
        found = _loaded(file.read_bytes())
    except OSError as error:
        raise InputError(f"the event {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"the event {file} is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise InputError(f"the event {file} is not a JSON object")
    return found


def _loaded(text: str | bytes) -> Any:
    """What JSON says. Raises ValueError, also where a text in it is none: half a surrogate pair."""
    found = json.loads(text, parse_constant=_no_number)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) <= sys.float_info.max


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
