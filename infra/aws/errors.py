"""What AWS answers, as one of our errors: what, where, and what to do next.

``told`` is for calls that failed (botocore's exceptions), ``ended`` for jobs that did, by the
FailureReason that SageMaker gives. Codes are those of the API reference, "Common Errors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

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
    r"(?P<who>\S+) is not authorized to perform: (?P<action>\S+)"
    r"(?: on resource: (?P<what>\S+))?(?: because (?P<why>.*))?"
)
_LIMIT = re.compile(r"account-level service limit '(?P<limit>[^']+)' is (?P<most>[^,]+)")
_EXIT = re.compile(r"exit code: (\d+)")
MEMORY = 137
"""128 + SIGKILL: what a container ends with that needed more than its machine has."""

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure",
    "IncompleteSignature", "MissingAuthenticationToken", "InvalidAccessKeyId",
}  # fmt: skip
_REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown",
              "RequestLimitExceeded"}  # fmt: skip
_FULL = {"InsufficientInstanceCapacity", "CapacityError", "InsufficientCapacityException"}


def told(error: Exception, doing: str) -> TrefoilError:
    """The error of ours for one of botocore's. ``doing`` says what was asked: "create the job"."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return _unanswered(error, doing)
    found = response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", "")).strip()
    for codes, make in _MEANINGS:
        if code in codes:
            return make(message, doing)
    return ProviderError(f"AWS does not {doing}: {code}: {message}")


def ended(reason: str, step: str) -> TrefoilError:
    """The error of ours for a job's FailureReason."""
    kind, _, words = reason.partition(": ")
    if kind == "CapacityError" or "insufficient capacity" in reason.lower():
        return CapacityError(
            f"AWS has no such machine free for {step} now: {words.rstrip('.')}; the same command "
            "tries again, or choose another by --gpu or the setting instance_type"
        )
    if _LIMIT.search(reason):
        return _limited(reason, f"run {step}")
    if kind == "ClientError":
        return InputError(f"{step} could not begin: {words}")
    if kind == "InternalServerError":
        return ProviderError(
            f"AWS failed itself while it ran {step}: {words}; give the same command again"
        )
    if exit_code(reason) == MEMORY:
        return StepFailed(
            f"{step} was killed (exit code 137), most often for want of memory; ask for a larger "
            "machine"
        )
    return StepFailed(f"{step} failed: {words or reason}")


def exit_code(reason: str) -> int | None:
    """What the container of a job ended with; None where it did not end by itself."""
    found = _EXIT.search(reason)
    return int(found[1]) if found else None


def _unanswered(error: Exception, doing: str) -> TrefoilError:
    """botocore's own: nothing was sent, or nothing came back."""
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return CredentialsError(
            f"there are no AWS credentials to {doing} with ({error}); set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if name in ("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"):
        return CredentialsError(f"the AWS login has ended ({error}); give: aws sso login")
    if name == "ProfileNotFound":
        return InputError(f"{error}; `aws configure list-profiles` lists those that there are")
    if name in ("NoRegionError", "InvalidRegionError"):
        return InputError(f"AWS needs a region ({error}); set TREFOIL_REGION")
    return ProviderError(f"AWS does not answer to {doing}: {error}")


def _expired(message: str, doing: str) -> TrefoilError:
    return CredentialsError(
        f"the AWS credentials have expired, and cannot {doing} ({message}); log in again and give "
        "the same command"
    )


def _unknown(message: str, doing: str) -> TrefoilError:
    return CredentialsError(
        f"AWS does not know these credentials, and does not {doing} ({message}); see "
        "`aws sts get-caller-identity`"
    )


def _refused(message: str, doing: str) -> TrefoilError:
    match = _DENIED.search(message)
    if match is None:
        return CredentialsError(f"AWS may not {doing} for these credentials: {message}")
    what = f" on {match['what']}" if match["what"] else ""
    why = f" ({match['why'].rstrip('.')})" if match["why"] else ""
    return CredentialsError(
        f"{match['who']} may not {match['action']}{what}{why}; give it that right, or take a role "
        "that has it"
    )


def _limited(message: str, doing: str) -> TrefoilError:
    match = _LIMIT.search(message)
    if match is None:
        return QuotaError(f"the account's limits do not let AWS {doing}: {message}")
    return QuotaError(
        f"the account may have {match['most']} of {match['limit']}; ask for more in Service "
        "Quotas, or choose another machine"
    )


def _full(message: str, doing: str) -> TrefoilError:
    return CapacityError(f"AWS has no such machine free to {doing} with: {message}")


def _throttled(message: str, doing: str) -> TrefoilError:
    return ProviderError(
        f"AWS lets this account ask no faster, and did not {doing} ({message}); give the same "
        "command again in a minute"
    )


def _wrong(message: str, doing: str) -> TrefoilError:
    return InputError(f"AWS does not {doing}: {message}")


_MEANINGS: tuple[tuple[set[str], Callable[[str, str], TrefoilError]], ...] = (
    (_EXPIRED, _expired),
    (_UNKNOWN, _unknown),
    (_REFUSED, _refused),
    (
        {"ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"},
        _limited,
    ),
    (_FULL, _full),
    (_THROTTLED, _throttled),
    ({"ValidationException", "ValidationError", "ResourceNotFound", "NoSuchBucket"}, _wrong),
)
