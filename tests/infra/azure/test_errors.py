"""What Azure answers reaches a person as one sentence with the next thing to do."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.identity import CredentialUnavailableError

from infra.azure.errors import ended, told
from infra.errors import (
    CapacityError,
    CredentialsError,
    InputError,
    ProviderError,
    QuotaError,
    StepFailed,
    TrefoilError,
)

DENIED = (
    "The client 'me@example.com' with object id '1' does not have authorization to perform action "
    "'Microsoft.MachineLearningServices/workspaces/jobs/write' over scope '/subscriptions/1/x' or "
    "the scope is invalid."
)


class _Inner:
    def __init__(self, code: str, message: str) -> None:
        self.code, self.message, self.details = code, message, None


def refused(
    status: int, code: str, message: str, kind: type[HttpResponseError] = HttpResponseError
) -> HttpResponseError:
    error = kind(message=message)
    error.status_code, error.error = status, _Inner(code, message)  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (refused(403, "AuthorizationFailed", DENIED), CredentialsError,
         "me@example.com may not Microsoft.MachineLearningServices/workspaces/jobs/write on "
         "/subscriptions/1/x"),
        (refused(403, "AuthorizationPermissionMismatch", "not authorized"), CredentialsError,
         "Storage Blob Data Contributor"),
        (refused(401, "ExpiredAuthenticationToken", "old"), CredentialsError, "have expired"),
        (refused(409, "QuotaExceeded", "no cores"), QuotaError, "Usage + quotas"),
        (refused(400, "UserError", "exceeds the quota of cores"), QuotaError, "quota"),
        (refused(429, "TooManyRequests", "slow"), ProviderError, "again in a minute"),
        (refused(409, "SkuNotAvailable", "none left"), CapacityError, "no such machine free"),
        (refused(400, "ValidationError", "bad name"), InputError, "start the job: bad name"),
        (refused(404, "UserError", "gone", ResourceNotFoundError), InputError, "gone"),
        (refused(500, "InternalServerError", "ouch"), ProviderError, "InternalServerError: ouch"),
        (ClientAuthenticationError(message="no secret"), CredentialsError, "give: az login"),
        (CredentialUnavailableError(message="none tried"), CredentialsError, "give: az login"),
        (ServiceRequestError("no route"), ProviderError, "does not answer"),
    ],
)  # fmt: skip
def test_a_call_that_failed(error: Exception, kind: type[TrefoilError], sentence: str) -> None:
    found = told(error, "start the job")
    assert type(found) is kind
    assert sentence in str(found)
    assert "\n" not in str(found)


def _error(code: str, message: str, inner: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "innerError": {"code": inner}}}


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (_error("UserError", "Execution failed. User process 'python3' exited with status code 3."),
         StepFailed, "train ended with exit code 3"),
        (_error("UserError", "Execution failed with exit code 137."), StepFailed,
         "for want of memory"),
        (_error("UserError", "Failed to pull Docker image x: manifest unknown"), InputError,
         "its image cannot be pulled"),
        (_error("ServiceError", "none", "ClusterCapacityError"), CapacityError,
         "the same command tries again"),
        (_error("ServiceError", "none", "ClusterCoreQuotaReached"), QuotaError, "Usage + quotas"),
        (_error("ServiceError", "ouch"), ProviderError, "Azure failed itself"),
        (_error("UserError", "no data at x"), InputError, "train could not begin: no data at x"),
        ({}, StepFailed, "train failed"),
    ],
)  # fmt: skip
def test_a_job_that_failed(error: dict[str, Any], kind: type[TrefoilError], sentence: str) -> None:
    found = ended(error, "train")
    assert type(found) is kind
    assert sentence in str(found)
