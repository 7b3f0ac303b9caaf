"""What AWS answers reaches a person as one sentence with the next thing to do."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from infra.aws.errors import ended, told
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
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: "
    "sagemaker:CreateTrainingJob on resource: "
    "arn:aws:sagemaker:eu-west-1:123456789012:training-job/x because no identity-based policy "
    "allows the sagemaker:CreateTrainingJob action"
)
LIMIT = (
    "The account-level service limit 'ml.p4d.24xlarge for training job usage' is 0 Instances, with "
    "current utilization of 0 Instances and a request delta of 1 Instances."
)


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateTrainingJob")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (refused("AccessDeniedException", DENIED), CredentialsError,
         "user/me may not sagemaker:CreateTrainingJob on arn:aws:sagemaker:eu-west-1"),
        (refused("AccessDenied", "Access Denied"), CredentialsError, "Access Denied"),
        (refused("ExpiredTokenException", "old"), CredentialsError, "have expired"),
        (refused("InvalidClientTokenId", "what"), CredentialsError, "sts get-caller-identity"),
        (refused("ResourceLimitExceeded", LIMIT), QuotaError,
         "may have 0 Instances of ml.p4d.24xlarge for training job usage; ask for more"),
        (refused("ResourceLimitExceeded", "no more"), QuotaError, "no more"),
        (refused("ThrottlingException", "Rate exceeded"), ProviderError, "again in a minute"),
        (refused("CapacityError", "none left"), CapacityError, "no such machine free"),
        (refused("ValidationException", "Role is bad"), InputError, "create the job: Role is bad"),
        (refused("NewAndOdd", "who knows"), ProviderError, "NewAndOdd: who knows"),
        (NoCredentialsError(), CredentialsError, "set AWS_PROFILE"),
        (ProfileNotFound(profile="mine"), InputError, "mine"),
        (NoRegionError(), InputError, "set TREFOIL_REGION"),
        (ConnectTimeoutError(endpoint_url="https://x"), ProviderError, "does not answer"),
    ],
)  # fmt: skip
def test_a_call_that_failed(error: Exception, kind: type[TrefoilError], sentence: str) -> None:
    found = told(error, "create the job")
    assert type(found) is kind
    assert sentence in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("reason", "kind", "sentence"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity. Please retry.",
         CapacityError, "retry; the same command tries again"),
        (f"ResourceLimitExceeded: {LIMIT}", QuotaError,
         "may have 0 Instances of ml.p4d.24xlarge for training job usage; ask for more"),
        ("ClientError: Data download failed: No S3 objects found under s3://b/x", InputError,
         "train could not begin: Data download failed"),
        ("InternalServerError: We encountered an error", ProviderError, "AWS failed itself"),
        ("AlgorithmError: ValueError: bad data, exit code: 1", StepFailed,
         "train failed: ValueError: bad data, exit code: 1"),
        ("AlgorithmError: , exit code: 137", StepFailed, "for want of memory"),
    ],
)  # fmt: skip
def test_a_job_that_failed(reason: str, kind: type[TrefoilError], sentence: str) -> None:
    found = ended(reason, "train")
    assert type(found) is kind
    assert sentence in str(found)
