"""How KFP refuses: google.rpc.Status as JSON, by its gateway."""

from __future__ import annotations

from infra.rehearsal.server import Answer, answer

INVALID, NOT_FOUND, EXISTS, UNIMPLEMENTED, INTERNAL = 3, 5, 6, 12, 13
_HTTP = {INVALID: 400, NOT_FOUND: 404, EXISTS: 409, UNIMPLEMENTED: 501, INTERNAL: 500}


class Refused(Exception):
    """A call that is not carried out; ``code`` is gRPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def answer(self, status: int = 0) -> Answer:
        """As the gateway writes it."""
        detail = {"@type": "type.googleapis.com/google.rpc.Status"}
        document = {"code": self.code, "message": self.message}
        return answer({**document, "details": [{**detail, **document}]}, status or _HTTP[self.code])
