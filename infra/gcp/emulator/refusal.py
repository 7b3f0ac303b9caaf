"""How Google refuses: google.rpc.Status as JSON, whichever service it is."""

from __future__ import annotations

from collections.abc import Mapping

from infra.gcp.errors import CODES
from infra.rehearsal.faults import Fault
from infra.rehearsal.server import Answer, Call, answer

NUMBERS: Mapping[str, int] = {status: number for number, status in CODES.items()}
_HTTP: Mapping[str, int] = {
    "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400, "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501,
    "INTERNAL": 500, "UNAVAILABLE": 503, "UNAUTHENTICATED": 401,
}  # fmt: skip
_WORDS = {
    "UNAUTHENTICATED": "Request had invalid authentication credentials. Expected OAuth 2 access "
    "token, login cookie or other valid authentication credential.",
    "RESOURCE_EXHAUSTED": "Too many requests; please slow down.",
    "INTERNAL": "Internal error encountered.",
    "UNAVAILABLE": "The service is currently unavailable.",
    "PERMISSION_DENIED": "The caller does not have permission",
}
"""What is said beside the codes that a scenario names."""


class Refused(Exception):
    """A call that is not carried out; ``status`` is the name of a google.rpc.Code."""

    def __init__(self, status: str, message: str, http: int = 0) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.http = http or _HTTP[status]

    def answer(self) -> Answer:
        """As every service of Google's writes it."""
        error = {"code": self.http, "message": self.message, "status": self.status}
        return answer({"error": error}, self.http)

    def rpc(self) -> dict[str, object]:
        """As a job or an operation that failed tells it."""
        return {"code": NUMBERS[self.status], "message": self.message}


def fail(fault: Fault, _call: Call) -> Answer:
    """What a scenario wants to go wrong, in Google's words."""
    status = fault.error or "INTERNAL"
    return Refused(status, _WORDS.get(status, status), fault.status).answer()
