"""What is kept of a run in its bucket, so that any machine can go on with it.

    PREFIX/records/RUN/0001/
        request.json    what was asked for: written before anything is started, by one alone
        started.json    what was started
        ended.json      how it ended
        NAME.json       a mark, which one alone has left

Each number is an attempt: a run that failed is tried again under the next one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from infra.cloud.looking import Look, kept
from infra.cloud.store import Store
from infra.errors import InputError, short
from infra.history import read_plan
from infra.plan import Plan, RunRef


class Attempt(NamedTuple):
    """One attempt at a run. ``started`` and ``ended`` are empty until it is."""

    run_id: str
    number: int
    request: Mapping[str, Any]
    started: Mapping[str, Any] = {}
    ended: Mapping[str, Any] = {}

    @property
    def plan(self) -> Plan:
        """The plan of the run. Raises InputError where a record is of another version."""
        try:
            return read_plan(self.request["plan"])
        except (KeyError, ValueError) as error:
            raise InputError(f"what is kept of {self.run_id} cannot be read: {error}") from None

    @property
    def end(self) -> Look:
        """How the run ended. Raises InputError where the record is damaged, or of another version.

        Only for what has ``ended``.
        """
        try:
            return kept(self.ended)
        except ValueError as error:
            raise InputError(
                f"records/{self.run_id}/{self.number:04}/ended.json does not tell how a run ended "
                f"({error}); remove it, and the run is looked at anew"
            ) from None


class Records:
    """The records under one prefix of a bucket."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._root = store, f"{prefix.strip('/')}/records/"

    def newest(self, run_id: str) -> Attempt | None:
        """The newest attempt at a run; None where there is none."""
        files = self._files(run_id)
        return self._attempt(run_id, max(files), files) if files else None

    def attempts(self, run: RunRef) -> list[Attempt]:
        """Every attempt at a run, oldest first. Raises InputError where there is none."""
        files = self._files(run.run_id)
        if not files:
            raise self._unknown(run)
        return [self._attempt(run.run_id, number, files) for number in sorted(files)]

    def require(self, run: RunRef) -> Attempt:
        """The same. Raises InputError where there is no such run."""
        found = self.newest(run.run_id)
        if found is None:
            raise self._unknown(run)
        return found

    def claim(self, run_id: str, number: int, request: Mapping[str, Any]) -> Attempt:
        """Begin an attempt; of several who do so at once, all get what the first one wrote."""
        self._write(run_id, number, "request.json", request, once=True)
        return Attempt(run_id, number, self._read(run_id, number, "request.json"))

    def note(
        self,
        attempt: Attempt,
        what: Literal["started", "ended"],
        data: Mapping[str, Any],
        *,
        once: bool = False,
    ) -> Attempt:
        """Keep that it was ``started``, or how it ``ended``; with ``once`` unless that is kept."""
        self._write(attempt.run_id, attempt.number, f"{what}.json", data, once=once)
        return attempt._replace(**{what: data})  # type: ignore[arg-type]

    def forget(self, attempt: Attempt, what: Literal["started", "ended"]) -> None:
        """Remove what ``note`` has kept."""
        self._store.remove([self._key(attempt.run_id, attempt.number, f"{what}.json")])

    def mark(self, attempt: Attempt, name: str) -> bool:
        """Leave a mark on an attempt; False where it was there: of several, one alone gets True."""
        return self._write(attempt.run_id, attempt.number, f"{name}.json", {}, once=True)

    def marked(self, attempt: Attempt, name: str) -> bool:
        """Whether somebody has left a mark."""
        key = self._key(attempt.run_id, attempt.number, f"{name}.json")
        return self._store.get(key) is not None

    def again(self, attempt: Attempt) -> Attempt:
        """The same attempt as it is kept now, for others may have written since.

        Raises InputError where its records were removed.
        """
        files = self._files(attempt.run_id)
        if attempt.number not in files:
            raise InputError(f"somebody has removed what was kept of run {short(attempt.run_id)}")
        return self._attempt(attempt.run_id, attempt.number, files)

    def runs(self) -> list[str]:
        """The runs there are, the one that was asked for last first."""
        asked = [
            (each.changed, each.key.split("/")[-3])
            for each in self._store.list(self._root)
            if each.key.endswith("/request.json")
        ]
        return list(dict.fromkeys(run for _, run in sorted(asked, reverse=True)))

    def _files(self, run_id: str) -> dict[int, list[str]]:
        """By attempt, the names of what is kept of it; an attempt has a request at the least."""
        found: dict[int, list[str]] = {}
        for each in self._store.list(f"{self._root}{run_id}/"):
            number, name = each.key.split("/")[-2:]
            found.setdefault(int(number), []).append(name)
        return {number: names for number, names in found.items() if "request.json" in names}

    def _attempt(self, run_id: str, number: int, files: Mapping[int, list[str]]) -> Attempt:
        found = {
            what: self._read(run_id, number, f"{what}.json")
            for what in ("request", "started", "ended")
            if f"{what}.json" in files[number]
        }
        return Attempt(run_id, number, **found)

    def _unknown(self, run: RunRef) -> InputError:
        return InputError(
            f"there is no run {short(run.run_id)} in {self._store.uri(self._root)}; see: "
            f"python -m pipelines list --provider {run.provider}"
        )

    def _read(self, run_id: str, number: int, name: str) -> Any:
        key = self._key(run_id, number, name)
        try:
            found = json.loads(self._store.get(key) or b"")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InputError(f"{self._store.uri(key)} is not what was put there")
        return found

    def _write(self, run_id: str, number: int, name: str, data: Any, *, once: bool = False) -> bool:
        content = json.dumps(data, indent=1).encode()
        return self._store.put(self._key(run_id, number, name), content, once=once)

    def _key(self, run_id: str, number: int, name: str) -> str:
        return f"{self._root}{run_id}/{number:04}/{name}"
