"""Each ready-made scenario goes wrong as it says, whoever asks: here boto3, and nothing of ours."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.aws import emulator
from infra.aws.emulator.cloud import Cloud, standing
from infra.rehearsal import scenario
from tests.infra.aws.emulator.cloudy import (
    ACCOUNT,
    BUCKET,
    client,
    processed,
    processing,
    seen,
    spot,
    trained,
    training,
)
from tests.infra.aws.emulator.serving.serving import configured, model, variant

_FILE = Path(emulator.__file__).with_name("scenarios.toml")
_OWN = ("plain", "spot-interruption", "no-capacity", "quota", "lost-response", "slow-start")
_ERRORS = ("throttling", "server-error", "expired-token", "image-missing")


@contextmanager
def rehearsed(name: str, folder: Path) -> Iterator[Cloud]:
    """AWS while the block runs, with what goes wrong in a ready-made scenario."""
    with standing(ACCOUNT, folder, scenario.load(_FILE, name)) as found:
        yield found


def _codes(ask: Callable[[], Any], times: int) -> list[str]:
    """What each of so many calls was answered: the code of an error, or nothing."""
    found = []
    for _ in range(times):
        try:
            ask()
            found.append("")
        except ClientError as error:
            found.append(error.response["Error"]["Code"])
    return found


def _put() -> None:
    client("s3").put_object(Bucket=BUCKET, Key="some/file", Body=b"content")


def _described() -> None:
    images = [{"imageTag": "1"}]
    client("ecr").describe_images(repositoryName="trefoil-trainer", imageIds=images)


@pytest.mark.parametrize(
    ("name", "ask", "codes"),
    [
        ("throttling", "list_training_jobs", ["", "", *["ThrottlingException"] * 5, ""]),
        ("server-error", "list_training_jobs", [*["InternalFailure"] * 3, ""]),
        ("server-error", _put, ["", *["ServiceUnavailable"] * 2, ""]),
        ("image-missing", _described, ["ImageNotFoundException"] * 2),
        ("plain", _described, [""]),
    ],
)
def test_calls_that_fail(
    tmp_path: Path, name: str, ask: str | Callable[[], Any], codes: list[str]
) -> None:
    """A scenario that fails less than it says proves nothing of whoever outlived it."""
    with rehearsed(name, tmp_path):
        does = ask if callable(ask) else getattr(client(), ask)
        assert _codes(does, len(codes)) == codes


def test_an_expired_token_ends_the_looking_and_not_the_job(tmp_path: Path) -> None:
    """The work is AWS's by then: whoever has logged in again finds it done."""
    with rehearsed("expired-token", tmp_path):
        sagemaker, request = client(), processing("job-1", "pass")
        sagemaker.create_processing_job(**request)
        codes = _codes(lambda: sagemaker.describe_processing_job(ProcessingJobName="job-1"), 5)
        assert codes == ["", "", "", *["ExpiredTokenException"] * 2]
        assert len(sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 1


def test_a_lost_answer_leaves_a_job(tmp_path: Path) -> None:
    """The one fault after which asking again blindly would run, and cost, the same twice."""
    with rehearsed("lost-response", tmp_path):
        sagemaker, request = client(), processing("job-1", "pass")
        with pytest.raises(BotoCoreError):
            sagemaker.create_processing_job(**request)
        assert _codes(lambda: sagemaker.create_processing_job(**request), 1) == ["ResourceInUse"]
        assert len(sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 1


def test_a_quota_is_of_jobs_and_of_endpoints(tmp_path: Path) -> None:
    with rehearsed("quota", tmp_path):
        sagemaker, request = client(), training("job-1", "pass")
        config = configured("c-1", variant("champion", model("m-1", "first")))
        named = {"EndpointName": "digits", "EndpointConfigName": config}
        refused = ["ResourceLimitExceeded"]
        assert _codes(lambda: sagemaker.create_training_job(**request), 1) == refused
        assert _codes(lambda: sagemaker.create_endpoint(**named), 1) == refused
        assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_no_capacity_at_first(tmp_path: Path) -> None:
    with rehearsed("no-capacity", tmp_path):
        failed, request = trained(training("job-1", "pass")), spot("job-2", "pass")
        assert failed["FailureReason"].startswith("CapacityError: ")
        assert trained(request)["TrainingJobStatus"] == "Completed"


def test_a_spot_machine_is_taken_away_once(tmp_path: Path) -> None:
    """SIGTERM comes, what was saved by then is there again, and the job ends well."""
    code = """
import signal, sys, time
saved = ml / 'checkpoints/step'
if saved.exists():
    sys.exit(0 if saved.read_text() == 'in time' else 1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(saved.write_text('in time')))
time.sleep(60)
"""
    with rehearsed("spot-interruption", tmp_path):
        found = trained(spot("job-1", code))
    assert found["TrainingJobStatus"] == "Completed"
    assert seen(found).count("Interrupted") == 1


def test_a_machine_comes_late(tmp_path: Path) -> None:
    """Four minutes, a hundred times as fast."""
    with rehearsed("slow-start", tmp_path):
        first = trained(training("job-1", "pass"))["SecondaryStatusTransitions"][0]
    assert first["Status"] == "Starting"
    assert (first["EndTime"] - first["StartTime"]).total_seconds() > 2.3


def test_all_goes_well(tmp_path: Path) -> None:
    with rehearsed("plain", tmp_path):
        assert processed(processing("job-1", "pass"))["ProcessingJobStatus"] == "Completed"


def test_every_scenario_is_tried_here() -> None:
    """A ready-made scenario that nobody tries stops to go wrong one day."""
    assert set(tomllib.loads(_FILE.read_text(encoding="utf-8"))) == {*_OWN, *_ERRORS}
