"""What a server learns of itself from the metadata server: a token of its service account."""

from __future__ import annotations

from infra.gcp.emulator.refusal import Refused
from infra.rehearsal.server import Answer, Call, answer

_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  a path


def metadata(call: Call) -> Answer:
    """What a call is answered: only what says that it means this server, as with Google."""
    if call.path != _TOKEN:
        return Refused("NOT_FOUND", f"this rehearsal knows no {call.path}").answer()
    if call.header("Metadata-Flavor") != "Google":
        return Refused("PERMISSION_DENIED", "Missing Metadata-Flavor:Google header.").answer()
    token = {"access_token": "ya29.made-up", "expires_in": 3599, "token_type": "Bearer"}
    return answer(token)
