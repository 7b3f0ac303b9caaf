"""What Azure answers, as one of our errors: what, where, and what to do next.

``told`` is for calls that failed (the exceptions of azure-core, azure-identity and azure-ai-ml),
``ended`` for jobs that did, by the error that run history has of them.
"""

from __future__ import annotations

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

_DENIED = re.compile(
    r"client '(?P<who>[^']+)'.*?(?:perform|for) action '(?P<action>[^']+)'"
    r"(?: over scope '(?P<what>[^']+)')?",
    re.DOTALL,
)
_EXIT = re.compile(r"(?:status code|exit(?:ed with)? code):? (\d+)")
_PULL = re.compile(r"(?i)(failed to pull|pull(ing)? (docker )?image|manifest unknown|ImagePull)")
MEMORY = 137
"""128 + SIGKILL: what a container ends with that needed more than its machine has."""

_EXPIRED = {"ExpiredAuthenticationToken", "InvalidAuthenticationToken", "ExpiredToken"}
_REFUSED = {"AuthorizationFailed", "LinkedAuthorizationFailed", "Forbidden",
            "AuthorizationPermissionMismatch", "InsufficientAccountPermissions"}  # fmt: skip
_THROTTLED = {"TooManyRequests", "OperationThrottled", "SubscriptionRequestsThrottled"}
_QUOTA = {"QuotaExceeded", "ClusterCoreQuotaReached", "ClusterMinNodesExceedCoreQuota",
          "InsufficientQuota", "OutOfQuota"}  # fmt: skip
_FULL = {"AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable", "ClusterCapacityError",
         "OverconstrainedAllocationRequest", "OutOfCapacity", "InsufficientCapacity"}  # fmt: skip


def told(error: Exception, doing: str) -> TrefoilError:
    """The error of ours for one of Azure's. ``doing`` says what was asked: "start the job"."""
    if isinstance(error, TrefoilError):
        return error
    status = getattr(error, "status_code", None)
    return _unanswered(error, doing) if status is None else _answered(error, status, doing)


def _unanswered(error: Exception, doing: str) -> TrefoilError:
    """The SDK's own: nothing was sent, or nothing came back."""
    name = type(error).__name__
    if name in ("CredentialUnavailableError", "ClientAuthenticationError"):
        return _nobody(_plain(error), doing)
    if name in ("ValidationException", "ValidationError", "UserErrorException", "JobException"):
        return InputError(f"azure-ai-ml does not {doing}: {_plain(error)}")
    return ProviderError(f"Azure does not answer to {doing}: {_plain(error)}")


def _answered(error: Exception, status: int, doing: str) -> TrefoilError:
    code, message = code_of(error), _message(error)
    for codes, make in _MEANINGS:
        if code in codes:
            return make(message, doing)
    if "quota" in message.lower() and status in (400, 403, 409):
        return _limited(message, doing)
    if made := _BY_STATUS.get(status):
        return made(message, doing)
    return ProviderError(f"Azure does not {doing}: {code or status}: {message}")


def code_of(error: Exception) -> str:
    """What Azure calls a refusal: AuthorizationFailed; empty where it says nothing."""
    own = getattr(getattr(error, "error", None), "code", None) or getattr(error, "error_code", None)
    return str(getattr(own, "value", own) or "")


def ended(error: Mapping[str, Any], step: str) -> TrefoilError:
    """The error of ours for that of a job, as run history has it: ``error`` of its details."""
    found = error.get("error") or {}
    words = str(found.get("message") or "").strip()
    codes = {str(found.get("code") or ""), *_inner(found)}
    if codes & _FULL or "sufficient capacity" in words.lower():
        return CapacityError(
            f"Azure has no such machine free for {step} now: {words}; the same command tries "
            "again, or choose another with --gpu"
        )
    if codes & _QUOTA or "quota" in words.lower():
        return QuotaError(
            f"the quota does not let {step} run: {words}; ask for more under Usage + quotas of the "
            "workspace, or choose another machine"
        )
    if exit_code(words) is not None:
        return _exited(words, step)
    return _unbegun(codes, words, step)


def _exited(words: str, step: str) -> TrefoilError:
    if exit_code(words) == MEMORY:
        return StepFailed(
            f"{step} was killed (exit code 137), most often for want of memory; ask for a larger "
            "machine"
        )
    return StepFailed(f"{step} ended with exit code {exit_code(words)}")


def _unbegun(codes: set[str], words: str, step: str) -> TrefoilError:
    """It ended without its command: that never began, or Azure is to blame."""
    if _PULL.search(words):
        return InputError(f"{step} could not begin, its image cannot be pulled: {words}")
    if "ServiceError" in codes:
        return ProviderError(
            f"Azure failed itself while it ran {step}: {words}; give the same command again"
        )
    if "UserError" in codes:
        return InputError(f"{step} could not begin: {words}")
    return StepFailed(f"{step} failed: {words}" if words else f"{step} failed")


def exit_code(words: str) -> int | None:
    """What the container of a job ended with; None where it did not end by itself."""
    found = _EXIT.search(words)
    return int(found[1]) if found else None


def _inner(error: Mapping[str, Any]) -> set[str]:
    """The codes within: each error may have another inside."""
    inner = error.get("innerError") or error.get("innererror") or {}
    return {str(inner.get("code") or ""), *_inner(inner)} if inner else set()


def _plain(error: Exception) -> str:
    """One line of an exception's words; the SDK writes pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3])[:600]


def _message(error: Exception) -> str:
    """What Azure says, with the details of what is wrong, without the SDK's frame around it."""
    own = getattr(error, "error", None)
    words = str(getattr(own, "message", None) or getattr(error, "message", "") or error)
    details = [str(each.message) for each in getattr(own, "details", None) or () if each.message]
    if details and not any(each in words for each in details):
        words = f"{words}: {'; '.join(details)}"
    return " ".join(words.split())[:1000]


def _nobody(message: str, doing: str) -> TrefoilError:
    return CredentialsError(
        f"there are no Azure credentials to {doing} with ({message[:300]}); give: az login, or set "
        "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
    )


def _expired(message: str, doing: str) -> TrefoilError:
    return CredentialsError(
        f"the Azure credentials have expired, and cannot {doing} ({message}); log in again and "
        "give the same command"
    )


def _refused(message: str, doing: str) -> TrefoilError:
    match = _DENIED.search(message)
    if match is None:
        return CredentialsError(
            f"Azure may not {doing} for these credentials: {message}; runs need the roles AzureML "
            "Data Scientist on the workspace and Storage Blob Data Contributor on its container"
        )
    what = f" on {match['what']}" if match["what"] else ""
    return CredentialsError(
        f"{match['who']} may not {match['action']}{what}; give it a role that has that action"
    )


def _limited(message: str, doing: str) -> TrefoilError:
    return QuotaError(
        f"the quota does not let Azure {doing}: {message}; ask for more under Usage + quotas of "
        "the workspace, or choose another machine"
    )


def _full(message: str, doing: str) -> TrefoilError:
    return CapacityError(f"Azure has no such machine free to {doing} with: {message}")


def _throttled(message: str, doing: str) -> TrefoilError:
    return ProviderError(
        f"Azure lets this account ask no faster, and did not {doing} ({message}); give the same "
        "command again in a minute"
    )


def _wrong(message: str, doing: str) -> TrefoilError:
    return InputError(f"Azure does not {doing}: {message}")


_MEANINGS: tuple[tuple[set[str], Callable[[str, str], TrefoilError]], ...] = (
    (_EXPIRED, _expired),
    (_REFUSED, _refused),
    (_QUOTA, _limited),
    (_FULL, _full),
    (_THROTTLED, _throttled),
)
_BY_STATUS: Mapping[int, Callable[[str, str], TrefoilError]] = {
    400: _wrong, 401: _expired, 403: _refused, 404: _wrong, 409: _wrong, 412: _wrong,
    429: _throttled,
}  # fmt: skip
