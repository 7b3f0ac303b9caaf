"""Each failure of Google's becomes one of ours: what, where, and what to do next."""

from __future__ import annotations

import json

import pytest

from infra.errors import (
    CapacityError,
    CredentialsError,
    InputError,
    ProviderError,
    QuotaError,
    StepFailed,
    TrefoilError,
)
from infra.gcp import session
from infra.gcp.errors import ended, of, told
from infra.gcp.session import Gcp


class Answered(Exception):
    """What the discovery client raises: googleapiclient.errors.HttpError, as far as it is read."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.status_code = code
        error = {"code": code, "status": status, "message": message}
        self.content = json.dumps({"error": error}).encode()


ANSWERS: list[tuple[int, str, str, type[TrefoilError], str]] = [
    (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", CredentialsError,
     "have expired or are not valid, and cannot start the run .*log in again"),
    (403, "PERMISSION_DENIED",
     "Permission 'aiplatform.pipelineJobs.create' denied on resource "
     "'//aiplatform.googleapis.com/projects/p/locations/r' (or it may not exist).",
     CredentialsError,
     "these credentials may not aiplatform.pipelineJobs.create on "
     "aiplatform.googleapis.com/projects/p/locations/r, needed to start the run; give them a role"),
    (403, "PERMISSION_DENIED",
     "someone@example.com does not have storage.objects.create access to the Google Cloud "
     "Storage object.",
     CredentialsError, "someone@example.com may not storage.objects.create on Google Cloud"),
    (403, "PERMISSION_DENIED",
     "You do not have permission to act as service_account: t@p.iam.gserviceaccount.com.",
     CredentialsError,
     "may not act as t@p.iam.gserviceaccount.com.*roles/iam.serviceAccountUser"),
    (403, "PERMISSION_DENIED", "Vertex AI API has not been used in project 1 before or it is "
     "disabled. Enable it by visiting https://console", InputError, "Enable it by visiting"),
    (429, "RESOURCE_EXHAUSTED",
     "The following quota metrics exceed quota limits: "
     "aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus",
     QuotaError, "custom_model_training_nvidia_l4_gpus; ask for more at IAM & Admin > Quotas"),
    (429, "RESOURCE_EXHAUSTED",
     "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of "
     "service 'logging.googleapis.com' for consumer 'project_number:1'.",
     ProviderError, "no faster.*in a minute"),
    (429, "RESOURCE_EXHAUSTED", "Too many requests.", ProviderError, "no faster.*in a minute"),
    (400, "INVALID_ARGUMENT", "Invalid value", InputError, "does not start the run: Invalid"),
    (404, "NOT_FOUND", "gone", InputError, "does not start the run: gone"),
    (503, "UNAVAILABLE", "away", ProviderError, "give the same command again"),
    (418, "", "a teapot", ProviderError, "does not start the run"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "message", "kind", "words"), ANSWERS)
def test_what_google_answers_says_what_to_do(
    code: int, status: str, message: str, kind: type[TrefoilError], words: str
) -> None:
    error = told(Answered(code, status, message), "start the run")
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


ENDS: list[tuple[int, str, type[TrefoilError], str]] = [
    (3, "The replica workerpool0-0 exited with a non-zero status of 1. To find out more",
     StepFailed, "^train ended with exit code 1$"),
    (3, "The replica workerpool1-2 exited with a non-zero status of 137.", StepFailed,
     "most often for want of memory"),
    (8, "Resources are insufficient in region: europe-west4. Please try a different region.",
     CapacityError, "no such machine free for train now.*choose another with --gpu"),
    (8, "The following quota metrics exceed quota limits: x", QuotaError, "Quotas"),
    (7, "Permission 'storage.objects.get' denied on resource 'b'", CredentialsError,
     "storage.objects.get on b, needed to run train"),
    (13, "Internal error", ProviderError, "failed itself while it ran train"),
    (4, "The job has exceeded its timeout", StepFailed, "did not end within its timeout"),
    (3, "Failed to pull image", InputError, "train could not begin: Failed to pull image"),
    (9, "something else", StepFailed, "train failed: something else"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message", "kind", "words"), ENDS)
def test_how_a_job_ended_is_told_apart(
    code: int, message: str, kind: type[TrefoilError], words: str
) -> None:
    """A person looks into the log of a step, waits for a machine, or asks for a right."""
    error = ended({"code": code, "message": message}, "train")
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


def test_an_operation_is_told_like_a_call() -> None:
    assert type(of(7, "no", "deploy")) is CredentialsError
    assert type(of(8, "Machine type temporarily out of stock: stockout", "deploy")) is CapacityError


def test_no_credentials_at_all() -> None:
    from google.auth.exceptions import DefaultCredentialsError, RefreshError

    with pytest.raises(CredentialsError, match="gcloud auth application-default login"):
        raise told(DefaultCredentialsError("none"), "begin")  # type: ignore[no-untyped-call]
    with pytest.raises(CredentialsError, match=r"the Google login has ended.*\(expired\)"):
        raise told(RefreshError("expired"), "begin")  # type: ignore[no-untyped-call]


def test_without_credentials_nothing_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting would not bring them; the sentence says how to log in."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    tried: list[object] = []

    def none(**asked: object) -> None:
        tried.append(asked)
        raise DefaultCredentialsError("none")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(CredentialsError, match=r"^there are no Google credentials to begin with"):
        Gcp("example-project", "europe-west4").store("bucket").get("key")
    assert len(tried) == 1


PER_MINUTE = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'"
MACHINES = "The following quota metrics exceed quota limits: custom_model_training_n1_cpus"


def test_a_quota_of_requests_passes_and_one_of_machines_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a run that is watched too closely is ended, and begun anew in another cloud."""
    from googleapiclient.errors import HttpError
    from httplib2 import Response

    asked: list[str] = []

    def sent(_self: Gcp, _service: str, method: str, _body: object, _params: object) -> object:
        asked.append(method)
        if len(asked) == 3:
            return {"name": "made"}
        message = MACHINES if len(asked) > 3 else PER_MINUTE
        error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message}
        answer = json.dumps({"error": error}).encode()
        raise HttpError(Response({"status": "429"}), answer)

    monkeypatch.setattr(Gcp, "_sent", sent)
    monkeypatch.setattr(session, "_FIRST", 0.001)
    gcp = Gcp("example-project", "europe-west4")
    assert gcp.ask("customJobs.create", "start the job", {}) == {"name": "made"}
    assert len(asked) == 3
    with pytest.raises(QuotaError, match="custom_model_training_n1_cpus"):
        gcp.ask("customJobs.create", "start the job", {})
    assert len(asked) == 4
