"""How Azure refuses: ARM's envelope, those of the login, of Blob Storage and of registries."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from infra.rehearsal.faults import Fault
from infra.rehearsal.server import Answer, Call

_WORDS = {
    "AuthorizationFailed": (403, "The client does not have authorization to perform this action."),
    "ExpiredAuthenticationToken": (401, "The access token expiry UTC time is earlier than now."),
    "InternalServerError": (500, "InternalServerError"),
    "ServerBusy": (503, "The server is currently unable to receive requests."),
    "TooManyRequests": (429, "The request is being throttled."),
}
"""What Azure says beside the codes that a scenario names, and the status of such an answer."""


class Refused(Exception):
    """A call that is not carried out."""

    def __init__(
        self, status: int, code: str, message: str, details: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """``details`` are more of the same: each its target and its words."""
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def refusal(refused: Refused, call: Call) -> Answer:
    """The answer to ``call``, as the host that was asked writes it."""
    host = call.header("Host")
    if ".blob." in host:
        return _of_blobs(refused)
    if host.startswith("login."):
        return _of_login(refused)
    if host.endswith(".azurecr.io"):
        return _of_registry(refused, host)
    error: dict[str, Any] = {"code": refused.code, "message": refused.message, "details": [
        {"code": refused.code, "target": target, "message": words}
        for target, words in refused.details
    ]}  # fmt: skip
    more: tuple[tuple[str, str], ...] = ()
    if refused.status == 429:
        more = (("Retry-After", "1"),)
    if refused.status == 401:
        challenge = f'Bearer error="invalid_token", error_description="{refused.message}"'
        more = (("WWW-Authenticate", challenge),)
    return Answer(refused.status, json.dumps({"error": error}).encode(), headers=more)


def fail(fault: Fault, call: Call) -> Answer:
    """What a scenario wants to go wrong, in Azure's words."""
    code = fault.error or "InternalServerError"
    status, words = _WORDS.get(code, (400, code))
    return refusal(Refused(fault.status or status, code, words), call)


def _of_blobs(refused: Refused) -> Answer:
    code, words = escape(refused.code), escape(refused.message)
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
    body += f"<Message>{words}</Message></Error>"
    headers = (("x-ms-error-code", refused.code), ("x-ms-version", "2021-08-06"))
    return Answer(refused.status, body.encode(), "application/xml", headers)


def _of_registry(refused: Refused, host: str) -> Answer:
    body = json.dumps({"errors": [{"code": refused.code, "message": refused.message}]}).encode()
    challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
    more = (("WWW-Authenticate", challenge),) if refused.status == 401 else ()
    return Answer(refused.status, body, headers=more)


def _of_login(refused: Refused) -> Answer:
    body = {
        "error": refused.code,
        "error_description": refused.message,
        "error_codes": [7000215],
        "correlation_id": "00000000-0000-0000-0000-000000000000",
    }
    return Answer(refused.status, json.dumps(body).encode())
