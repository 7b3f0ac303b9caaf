"""What is looked at before a run is sent: each thing that is wrong is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.aws import preflight
from infra.aws.session import Aws
from infra.errors import InputError, QuotaError
from infra.plan import Argument, Plan, Resources, Step, Token
from tests.infra.aws.lowering import SETTINGS
from tests.infra.aws.running import Stood, aws

REPOSITORY = "trefoil-trainer"
ECR = f"{SETTINGS.registry}/{REPOSITORY}"


def _plan(image: str) -> Plan:
    words: tuple[Argument, ...] = ((Token("text", "true"),),)
    return Plan("small", (Step("only", image, words),))


def _sent(stood: Stood) -> set[str]:
    """What changed anything."""
    asked = ("GetCallerIdentity", "DescribeImages", "GET", "HEAD")
    return {name for name in stood.calls() if not name.endswith(asked)}


def test_an_image_is_asked_for_by_tag_or_by_digest(tmp_path: Path) -> None:
    digest = f"sha256:{'0' * 64}"
    with aws(tmp_path) as stood:
        stood.submitted(_plan(f"{ECR}:1"), "r-1")
        stood.submitted(_plan(f"{ECR}@{digest}"), "r-2")
        asked = stood.sent("AmazonEC2ContainerRegistry DescribeImages")
        assert [each["imageIds"] for each in asked] == [
            [{"imageTag": "1"}], [{"imageDigest": digest}],
        ]  # fmt: skip
        assert {each["registryId"] for each in asked} == {"123456789012"}
        assert len(stood.kept("Processing")) == 2


def test_an_image_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """SageMaker would say so after minutes, when a machine has been rented."""
    with aws(tmp_path, missing_images="trainer:2") as stood:
        with pytest.raises(InputError, match=r"image: .*:2 is not there; see: .*image push"):
            stood.submitted(_plan(f"{ECR}:2"))
        assert _sent(stood) == set()


def test_another_account_is_told(tmp_path: Path) -> None:
    """The wrong profile is the commonest mistake there is."""
    role = "arn:aws:iam::999999999999:role/trefoil-training"
    with aws(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(training_role_arn=role))
        with pytest.raises(InputError, match=r"identity: these credentials are of account 1234"):
            wrong.submitted(_plan("a:1"))
        assert _sent(stood) == set()


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(bucket="no-such-bucket"))
        with pytest.raises(InputError, match="bucket"):
            wrong.submitted(_plan("a:1"))
        found = {check.name: check for check in preflight.checks(wrong.settings)}
        assert "there is no s3://no-such-bucket in eu-west-1" in found["bucket"].words
        assert not found["bucket"].well


def test_what_may_not_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    """Whoever may start runs need not be allowed to read images, or roles."""
    denied = [
        {"operation": "DescribeImages", "error": "AccessDeniedException", "times": 9},
        {"host": r"^iam\.", "error": "AccessDenied", "status": 403, "times": 9},
    ]
    with aws(tmp_path, faults=denied) as stood:
        stood.submitted(_plan(f"{ECR}:1"))
        assert len(stood.kept("Processing")) == 1
        found = [check for check in preflight.checks(stood.settings) if check.name == "role"]
        assert [check.well for check in found] == [True, True]
        assert all("we may not look at" in check.words for check in found)


def test_roles_are_looked_at_for_doctor(tmp_path: Path) -> None:
    with aws(tmp_path) as stood:
        iam = boto3.client("iam", region_name=SETTINGS.region)
        iam.delete_role(RoleName="trefoil-training")
        found = [check for check in preflight.checks(stood.settings) if check.name == "role"]
        assert [check.well for check in found] == [True, False]
        assert "see the setting training_role_arn" in found[1].words
        who = {"Principal": {"Service": "ec2.amazonaws.com"}}
        foreign = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **who}]}
        iam.create_role(RoleName="trefoil-training", AssumeRolePolicyDocument=json.dumps(foreign))
        found = [check for check in preflight.checks(stood.settings) if check.name == "role"]
        assert "does not trust sagemaker.amazonaws.com" in found[1].words


def test_no_credentials_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (found,) = preflight.checks(SETTINGS)
    assert not found.well
    assert "there are no AWS credentials" in found.words


@pytest.mark.parametrize(
    ("limit", "words"),
    [(0.0, "ml.g5.xlarge for spot training job usage: 0, and the run needs 2"), (2.0, "")],
)
def test_a_quota_of_accelerators_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, words: str
) -> None:
    """A fresh account may have none; its pipeline would fail after everything before the training.

    Moto does not list SageMaker's quotas, so that these are given.
    """
    name = "ml.g5.xlarge for spot training job usage"
    pages = Aws.pages

    def listed(self: Aws, service: str, *rest: Any, **request: Any) -> Any:
        if service == "service-quotas":
            return iter([{"QuotaName": name, "Value": limit}])
        return pages(self, service, *rest, **request)

    monkeypatch.setattr(Aws, "pages", listed)
    asked = Resources(accelerator="A10G", accelerators=1, nodes=2, spot=True)
    plan = _plan("a:1")
    plan = plan._replace(steps=(plan.steps[0]._replace(resources=asked),))
    with aws(tmp_path) as stood:
        if words:
            with pytest.raises(QuotaError, match=f"quota: {words}; ask for more"):
                stood.submitted(plan)
        else:
            stood.submitted(plan)
        assert len(stood.kept("Training")) == (0 if words else 1)


def test_quotas_that_are_not_told_stop_no_run(tmp_path: Path) -> None:
    asked = Resources(accelerator="A10G", accelerators=1)
    plan = _plan("a:1")
    plan = plan._replace(steps=(plan.steps[0]._replace(resources=asked),))
    with aws(tmp_path) as stood:
        stood.submitted(plan)
        (job,) = stood.kept("Training")
    assert job["request"]["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
