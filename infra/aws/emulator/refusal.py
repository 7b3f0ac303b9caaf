"""How AWS refuses: a code and a message, written as the protocol of the service has it."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from infra.rehearsal.faults import Fault
from infra.rehearsal.server import Answer, Call

_WORDS = {
    "AccessDeniedException": "User is not authorized to perform this action",
    "ExpiredToken": "The provided token has expired.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "InternalFailure": "The request processing has failed because of an unknown error.",
    "ServiceUnavailable": "Service is unable to handle request.",
    "SlowDown": "Please reduce your request rate.",
    "Throttling": "Rate exceeded",
    "ThrottlingException": "Rate exceeded",
}
"""What AWS says beside the codes that a scenario names."""


class Refused(Exception):
    """A call that is not carried out."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def refusal(refused: Refused, call: Call) -> Answer:
    """The answer to ``call``: JSON where a target was named, else XML, that of S3 or of a query."""
    code, message, status = refused.code, refused.message, refused.status
    if call.header("X-Amz-Target") or call.header("Host").startswith("runtime.sagemaker."):
        body = json.dumps({"__type": code, "message": message}).encode()
        return Answer(status, body, "application/x-amz-json-1.1", (("x-amzn-ErrorType", code),))
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if "s3" in call.header("Host").split("."):
        return Answer(status, f"<Error>{inner}</Error>".encode(), "application/xml")
    whole = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>"
    return Answer(status, whole.encode(), "text/xml")


def fail(fault: Fault, call: Call) -> Answer:
    """What a scenario wants to go wrong, in AWS's words."""
    code = fault.error or "InternalFailure"
    status = fault.status or (503 if code in ("SlowDown", "ServiceUnavailable") else 400)
    return refusal(Refused(code, _WORDS.get(code, code), status), call)
