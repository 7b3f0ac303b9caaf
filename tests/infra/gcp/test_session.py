"""A call that may be made again is, where the way there failed; and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from google.auth.exceptions import RefreshError, TransportError
from requests import exceptions as of_requests  # type: ignore[import-untyped]

from infra.errors import CredentialsError, ProviderError
from infra.gcp import session
from infra.gcp.described import Details, job_task, of_run, pipeline_task
from infra.gcp.session import Gcp, required
from infra.plan import Plan, Step

_TOKEN: Exception = TransportError("no way to the token")  # type: ignore[no-untyped-call]
_EXPIRED: Exception = RefreshError("expired")  # type: ignore[no-untyped-call]
STEP = Step("make", "i", (), task=("make",))


class Failing(Gcp):
    """A project to which no call comes through."""

    def __init__(self, error: Exception) -> None:
        super().__init__("example-project", "europe-west4")
        self.error, self.sent = error, 0

    def _sent(self, service: str, method: str, body: Any, params: dict[str, Any]) -> Any:
        del service, method, body, params
        self.sent += 1
        raise self.error


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two times."""
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (of_requests.ConnectionError("connection refused"), session._ATTEMPTS),
        (of_requests.ReadTimeout("read timed out"), session._ATTEMPTS),
        (of_requests.ChunkedEncodingError("broken"), session._ATTEMPTS),
        (ConnectionResetError("reset"), session._ATTEMPTS),
        (_TOKEN, session._ATTEMPTS),
        (of_requests.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), 1),
        (of_requests.InvalidProxyURL("proxy:port"), 1),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), 1),
        (TypeError('Parameter "name" value "a b" does not match the pattern'), 1),
        (ValueError("Expecting value: line 1 column 1"), 1),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, sent: int) -> None:
    """Whoever has set something up wrongly is told at once, not after half a minute of tries."""
    gcp = Failing(error)
    with pytest.raises(ProviderError, match="Google does not answer to tell of it"):
        gcp.ask("customJobs.get", "tell of it", name="x")
    assert gcp.sent == sent


def test_what_may_have_been_done_is_not_done_again() -> None:
    """A CustomJob has no name to refuse a second one by."""
    gcp = Failing(of_requests.ConnectionError("the answer is lost"))
    with pytest.raises(ProviderError):
        gcp.ask("customJobs.create", "start it", {}, parent=gcp.parent)
    assert gcp.sent == 1
    with pytest.raises(ProviderError):
        gcp.ask("pipelineJobs.create", "start it", {}, parent=gcp.parent, pipelineJobId="r-1")
    assert gcp.sent == 1 + session._ATTEMPTS


def test_a_login_that_has_ended_is_not_tried_again() -> None:
    gcp = Failing(_EXPIRED)
    with pytest.raises(CredentialsError, match="gcloud auth application-default login"):
        gcp.ask("customJobs.get", "tell of it", name="x")
    assert gcp.sent == 1


def test_a_mistake_of_ours_is_not_told_as_googles() -> None:
    with pytest.raises(KeyError):
        Failing(KeyError("state")).ask("customJobs.get", "tell of it", name="x")


def test_what_google_leaves_out_is_its_default() -> None:
    """JSON of Google's has no fields that are empty, or zero: a job that just began has few."""
    job = job_task({"name": "projects/1/locations/x/customJobs/7"}, "make")
    assert (job.state, job.job, job.began) == ("running", "7", 0.0)
    assert pipeline_task({"taskId": "1", "taskName": "make"}, STEP, None).state == "running"
    told = {"jobDetail": {"taskDetails": [{"taskId": "1", "taskName": "make"}]}}
    assert Details(told, Plan("p", (STEP,))).task(STEP) is not None

    class Listing(Failing):
        def _sent(self, *_: Any) -> Any:
            return {"customJobs": [{"name": "b", "createTime": "2026"}, {"name": "a"}]}

    assert [each["name"] for each in of_run(Listing(KeyError()), "r-1")] == ["a", "b"]


def test_what_google_must_tell_is_missed_in_one_sentence() -> None:
    with pytest.raises(ProviderError, match=r"Google tells no name of the job of make, which it"):
        job_task({"state": "JOB_STATE_RUNNING"}, "make")
    with pytest.raises(ProviderError, match="Google tells no taskId of a task"):
        Details({"jobDetail": {"taskDetails": [{"taskName": "make"}]}}, Plan("p", (STEP,)))
    assert required({"name": "n"}, "name", "it") == "n"
