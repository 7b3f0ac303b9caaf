"""Azure's own REST interface, for what is served: documents in, documents out.

azure-ai-ml calls the same addresses. It is not asked here: importing it takes seconds, its waiting
can be neither limited nor taken up again by another command, and an update is of an object that
it read before. A test holds what it sends and what this sends against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.azure.session import Where, reached

Found: TypeAlias = dict[str, Any]

VERSION = "2023-04-01-preview"
"""Of the interface: the newest in which azure-ai-ml itself asks for endpoints."""
_HOST = "https://management.azure.com"
_MANAGES, _SCORES = f"{_HOST}/.default", "https://ml.azure.com/.default"
"""What a token is for."""


class Reply(NamedTuple):
    """What an endpoint answered to a request to score."""

    status: int
    reason: str
    body: bytes


class Arm:
    """One account, with the credentials that azure-identity finds. Paths begin with a slash."""

    def __init__(self, where: Where) -> None:
        self._azure = reached(where)

    def get(self, path: str, doing: str, version: str = VERSION) -> Found | None:
        """What is there; None where nothing is. Raises TrefoilError; ``doing`` is told in it."""
        return self._asked("GET", path, doing, version, {404: None})

    def put(
        self, path: str, body: Found, doing: str, version: str = VERSION, *, once: bool = False
    ) -> Found | None:
        """Make it so; None where it changes just now, and takes nothing. Raises TrefoilError.

        With ``once`` it is sent no second time, whatever becomes of the first.
        """
        own = {"retry_total": 0} if once else {}
        return self._asked("PUT", path, doing, version, {409: None}, body, own)

    def post(self, path: str, body: Found, doing: str, version: str = VERSION) -> Found | None:
        """Ask for something of it; None where it is not there. Raises TrefoilError."""
        return self._asked("POST", path, doing, version, {404: None}, body)

    def delete(self, path: str, doing: str, version: str = VERSION) -> bool:
        """Begin to delete it; False where it changes just now. Raises TrefoilError."""
        return self._asked("DELETE", path, doing, version, {404: {}, 409: None}) is not None

    def pages(self, path: str, doing: str, version: str = VERSION) -> Iterator[Found]:
        """Every item of a list that comes in pages; none where the whole is not there."""
        where = path
        while where and (page := self.get(where, doing, version)):
            yield from page.get("value", ())
            where = page.get("nextLink") or ""

    def score(self, url: str, body: Found, headers: Mapping[str, str], doing: str) -> Reply:
        """Ask an endpoint itself, by a token for that. Raises TrefoilError where none answers."""
        from azure.core.rest import HttpRequest

        request = HttpRequest("POST", url, json=body, headers=dict(headers))
        found = self._azure.ask(doing, self._azure.client(_SCORES).send_request, request)
        return Reply(found.status_code, found.reason or "", found.read())

    def _asked(
        self, method: str, path: str, doing: str, version: str,
        unless: Mapping[int, Found | None], body: Found | None = None,
        own: Mapping[str, int] | None = None,
    ) -> Found | None:  # fmt: skip
        from azure.core.rest import HttpRequest

        params = {} if "api-version=" in path else {"api-version": version}
        url = path if path.startswith(_HOST) else f"{_HOST}{path}"
        request = HttpRequest(method, url, params=params, json=body)
        send = self._azure.client(_MANAGES).send_request
        response = self._azure.ask(doing, send, request, **(own or {}))
        if response.status_code in unless:
            return unless[response.status_code]
        self._azure.ask(doing, response.raise_for_status)
        found: Found = response.json() if response.content else {}
        return found
