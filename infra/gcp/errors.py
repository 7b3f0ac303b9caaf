"""What Google answers, as one of our errors: what, where, and what to do next.

``told`` is for calls that failed, ``of`` for the google.rpc.Status that an operation or a job ended
with. Codes are those of google.rpc.Code; the words of quotas, permissions and capacity are as the
service writes them, as far as issues and its documentation quote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.errors import (
    CapacityError,
    CredentialsError,
    InputError,
    ProviderError,
    QuotaError,
    StepFailed,
    TrefoilError,
)

CODES: Mapping[int, str] = {
    1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND",
    6: "ALREADY_EXISTS", 7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE", 12: "UNIMPLEMENTED",
    13: "INTERNAL", 14: "UNAVAILABLE", 16: "UNAUTHENTICATED",
}  # fmt: skip
"""google.rpc.Code, by its number."""
_OF_HTTP: Mapping[int, str] = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ALREADY_EXISTS", 412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
}  # fmt: skip
_PERMISSION = re.compile(
    r"[Pp]ermission '?(?P<action>\w+(?:\.\w+)+)'? (?:denied )?(?:on|for) (?:resource )?"
    r"'?(?P<what>[^\s'(]+)'?"
)
_ACCESS = re.compile(r"(?P<who>\S+@\S+) does not have (?P<action>[\w.]+) access (?P<what>.*)")
_ACT_AS = re.compile(r"act as (?:the )?service[ _]account:? ?'?(?P<what>[^\s',]+)", re.IGNORECASE)
_QUOTA = re.compile(
    r"[Qq]uota (?:metric|limits? (?:are|is) exceeded:?|exceeded for)?\s*'?(?P<what>[\w./ -]+?)'?"
    r"(?=[.,;]|$| and)"
)
_STOCKOUT = re.compile(
    r"stockout|out of capacity|insufficient capacity|resources are insufficient|"
    r"does not have enough resources|temporarily out of",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"quota", re.IGNORECASE)
_RATE = re.compile(r"per[ _]?(minute|second|\d+ ?s)|rate[ _]?limit", re.IGNORECASE)
_EXIT = re.compile(r"non-zero status of (\d+)")
MEMORY = 137
"""128 + SIGKILL: what a container ends with that needed more than its machine has."""


def told(error: Exception, doing: str) -> TrefoilError:
    """The error of ours for a call that failed. ``doing`` says what was asked: "start the run"."""
    code = getattr(error, "status_code", None)
    if code is None:
        return _unanswered(error, doing)
    found = _body(error)
    status = str(found.get("status") or _OF_HTTP.get(int(code), "UNKNOWN"))
    return _meant(status, str(found.get("message") or getattr(error, "reason", "")), doing)


def of(code: int, message: str, doing: str) -> TrefoilError:
    """The error of ours for a google.rpc.Status, its code a number."""
    return _meant(CODES.get(code, "UNKNOWN"), message, doing)


def ended(status: Mapping[str, Any], step: str) -> TrefoilError:
    """The error of ours for the status that a job, or a task of a pipeline, ended with."""
    message = str(status.get("message", "")).strip()
    code = CODES.get(int(status.get("code") or 2), "UNKNOWN")
    left = exit_code(status)
    if left is not None:
        return _by_itself(left, step)
    if _STOCKOUT.search(message):
        return CapacityError(
            f"Google has no such machine free for {step} now: {message}; the same command tries "
            "again, or choose another with --gpu"
        )
    if _LIMIT.search(message) or code == "RESOURCE_EXHAUSTED":
        return _limited(message, f"run {step}")
    if code == "PERMISSION_DENIED":
        return _refused(message, f"run {step}")
    return _not_by_itself(code, message, step)


def _by_itself(left: int, step: str) -> StepFailed:
    if left == MEMORY:
        return StepFailed(
            f"{step} was killed (exit code 137), most often for want of memory; ask for a larger "
            "machine"
        )
    return StepFailed(f"{step} ended with exit code {left}")


def _not_by_itself(code: str, message: str, step: str) -> TrefoilError:
    if code in ("INTERNAL", "UNAVAILABLE", "UNKNOWN"):
        return ProviderError(
            f"Vertex AI failed itself while it ran {step}: {message}; give the same command again"
        )
    if code == "INVALID_ARGUMENT":
        return InputError(f"{step} could not begin: {message}")
    if code == "DEADLINE_EXCEEDED":
        return StepFailed(f"{step} did not end within its timeout; it was ended ({message})")
    return StepFailed(f"{step} failed: {message}")


def is_rate(message: str) -> bool:
    """Whether a limit is one of requests in a time, which Google calls a quota, too: it passes."""
    return bool(_RATE.search(message)) or not _LIMIT.search(message)


def exit_code(status: Mapping[str, Any]) -> int | None:
    """What the container of a job ended with; None where it did not end by itself."""
    found = _EXIT.search(str(status.get("message", "")))
    return int(found[1]) if found else None


def _body(error: Exception) -> Mapping[str, Any]:
    """The error of an answer, of Vertex AI's form or of Cloud Storage's."""
    try:
        document = json.loads(getattr(error, "content", b"") or b"{}")
    except ValueError:
        return {}
    found = document[0] if isinstance(document, list) and document else document
    inner = found.get("error", {}) if isinstance(found, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {"message": str(inner)}


def _meant(status: str, message: str, doing: str) -> TrefoilError:
    if _STOCKOUT.search(message):
        return CapacityError(f"Google has no such machine free to {doing} with: {message}")
    if status in _MEANINGS:
        return _MEANINGS[status](message, doing)
    return ProviderError(f"Google does not {doing}: {status}: {message}")


def _unanswered(error: Exception, doing: str) -> TrefoilError:
    """The library's own: nothing was sent, or nothing came back."""
    name = type(error).__name__
    if name == "DefaultCredentialsError":
        return CredentialsError(
            f"there are no Google credentials to {doing} with; give: gcloud auth "
            "application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
        )
    if name in ("RefreshError", "ReauthFailError", "ReauthSamlChallengeFailError"):
        return CredentialsError(
            f"the Google login has ended, and cannot {doing} ({_first(error)}); give: gcloud auth "
            "application-default login"
        )
    if name in ("MalformedError", "InvalidValue", "InvalidType"):
        return CredentialsError(f"the Google credentials cannot be read ({_first(error)})")
    return ProviderError(f"Google does not answer to {doing}: {_first(error) or name}")


def _first(error: Exception) -> str:
    return str(error.args[0] if error.args else error)


def _unknown(message: str, doing: str) -> TrefoilError:
    return CredentialsError(
        f"the Google credentials have expired or are not valid, and cannot {doing} ({message}); "
        "log in again (gcloud auth application-default login) and give the same command"
    )


def _refused(message: str, doing: str) -> TrefoilError:
    if "has not been used in project" in message or "it is disabled" in message:
        return InputError(f"Google does not {doing}: {message}")
    if found := _ACT_AS.search(message):
        what = found["what"].rstrip(".")
        return CredentialsError(
            f"these credentials may not act as {what}, which they need to {doing}; give them "
            "roles/iam.serviceAccountUser on it"
        )
    found = _PERMISSION.search(message) or _ACCESS.search(message)
    if found is None:
        return CredentialsError(f"Google may not {doing} for these credentials: {message}")
    who = found.groupdict().get("who") or "these credentials"
    what = found["what"].removeprefix("//").rstrip(".").removeprefix("to the ")
    return CredentialsError(
        f"{who} may not {found['action']} on {what}, needed to {doing}; give them a role that has "
        "this permission"
    )


def _limited(message: str, doing: str) -> TrefoilError:
    if is_rate(message):
        return ProviderError(
            f"Google lets this project ask no faster, and did not {doing} ({message}); give the "
            "same command again in a minute"
        )
    found = _QUOTA.search(message)
    which = f" ({found['what'].strip()})" if found else ""
    return QuotaError(
        f"the project's quota{which} does not let Google {doing}: {message}; ask for more at IAM & "
        "Admin > Quotas, or choose another machine or region"
    )


def _wrong(message: str, doing: str) -> TrefoilError:
    return InputError(f"Google does not {doing}: {message}")


def _failed(message: str, doing: str) -> TrefoilError:
    return ProviderError(
        f"Google fails itself, and did not {doing} ({message}); give the same command again"
    )


_MEANINGS: Mapping[str, Callable[[str, str], TrefoilError]] = {
    "UNAUTHENTICATED": _unknown,
    "PERMISSION_DENIED": _refused,
    "RESOURCE_EXHAUSTED": _limited,
    "INVALID_ARGUMENT": _wrong,
    "NOT_FOUND": _wrong,
    "ALREADY_EXISTS": _wrong,
    "FAILED_PRECONDITION": _wrong,
    "OUT_OF_RANGE": _wrong,
    "INTERNAL": _failed,
    "UNAVAILABLE": _failed,
}
