"""terraform/modules/aws and envs/aws by the real provider: least privilege, and made as asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import infra.aws
from infra.aws import AwsSettings
from infra.aws.validate import problems
from infra.provider import Provider
from pipelines import settings
from tests.infra.aws.lowering import generative, lowered, steps_of, wrong
from tests.terraform.terraform import (
    Terraform,
    copied,
    initialise,
    needs_terraform,
)

pytestmark = [needs_terraform, pytest.mark.xdist_group("terraform-aws")]

UNBOUND = {
    "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "sagemaker:ListEndpointConfigs",
    "sagemaker:ListEndpoints", "sagemaker:ListModelPackages", "sagemaker:ListModels",
    "sagemaker:ListPipelines", "sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs",
    "servicequotas:GetServiceQuota", "servicequotas:ListServiceQuotas", "tag:GetResources",
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets", "ec2:DescribeVpcs",
}  # fmt: skip
"""What IAM cannot hold to a resource that is known before."""

AWS = Path(infra.aws.__file__).parent
SERVICES = {
    "s3": "s3", "sagemaker": "sagemaker", "sagemaker-runtime": "sagemaker", "logs": "logs",
    "iam": "iam", "ecr": "ecr", "service-quotas": "servicequotas",
    "resourcegroupstaggingapi": "tag", "application-autoscaling": "application-autoscaling",
}  # fmt: skip
"""What our code asks, and how IAM calls it."""
NAMED = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
}  # fmt: skip
"""The rights that are not called like what they are asked for."""

OVERRIDE = """
terraform {
  backend "local" {}
}
provider "aws" {
  s3_use_path_style = true
  max_retries       = 1
}
"""
WITHOUT_LIFECYCLE = """
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = 0
}
"""
"""The provider looks at it for a minute before it believes that it is there."""

VARIABLES = {
    "region": "eu-west-1",
    "ci": {"repository": "me/my-models", "environment": "production"},
    "schedule": {
        "expression": "rate(7 days)",
        "image": "example.com/me@sha256:" + "0" * 64,
        "command": ["python", "-m", "pipelines.run", "--provider", "aws"],
    },
    "subnets": ["subnet-0123456789abcdef0"],
    "security_groups": ["sg-0123456789abcdef0"],
    "tags": {"team": "digits"},
}
"""All but a budget, which the stand-in does not know."""


def test_the_module_passes_its_own_tests(tmp_path: Path) -> None:
    """By the real provider, which knows of rules that its schema does not tell."""
    terraform = copied(tmp_path, "modules/aws")
    initialise(terraform)
    said = terraform.run("test", "-no-color").stdout
    assert said.count("... pass") > 12


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Everything, made by the real provider in a stand-in for AWS."""
    from moto.server import ThreadedMotoServer

    place = tmp_path_factory.mktemp("aws")
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    try:
        terraform = copied(
            place,
            "envs/aws",
            AWS_ENDPOINT_URL=f"http://{host}:{port}",
            AWS_ACCESS_KEY_ID="made-up",
            AWS_SECRET_ACCESS_KEY="made-up",
            AWS_EC2_METADATA_DISABLED="true",
        )
        (terraform.folder / "override.tf").write_text(OVERRIDE)
        module = place / "terraform/modules/aws"
        (module / "lifecycle_override.tf").write_text(WITHOUT_LIFECYCLE)
        (terraform.folder / "test.auto.tfvars.json").write_text(json.dumps(VARIABLES))
        initialise(terraform)
        terraform.run("apply", "-no-color", "-input=false", "-auto-approve")
        yield terraform
    finally:
        server.stop()


def test_a_second_apply_changes_nothing(applied: Terraform) -> None:
    """What is never settled is changed at every apply, by people who meant something else."""
    applied.run("plan", "-no-color", "-input=false", "-detailed-exitcode")


@pytest.fixture(scope="module")
def read(applied: Terraform) -> AwsSettings:
    """The settings, read as --settings reads them."""
    file = applied.folder / "aws.json"
    file.write_text(applied.run("output", "-json", "settings").stdout)
    found: AwsSettings = settings.load(Provider("aws", "", AwsSettings, {}), str(file), {}, {})[1]
    return found


@pytest.fixture(scope="module")
def resources(applied: Terraform) -> dict[str, Any]:
    """What was made, by its address in the module."""
    (module,) = applied.json("show", "-json")["values"]["root_module"]["child_modules"]
    made = (each for each in module["resources"] if each["mode"] == "managed")
    return {each["address"].removeprefix("module.ground."): each["values"] for each in made}


def test_a_pipeline_of_these_settings_may_do_what_it_is_asked(
    resources: dict[str, Any], read: AwsSettings
) -> None:
    """AWS would answer AccessDenied minutes into a run, by the name of a role or a missing tag."""
    request = lowered(generative(), read._replace(image_tag="0123456789ab"))
    assert wrong(request) == []
    asked = [
        step["Arguments"] for step in steps_of(request).values() if "RoleArn" in step["Arguments"]
    ]
    body: Any = request.body
    asked += [each["request"] for each in body["after"]]
    passable = _passable(resources["aws_iam_role_policy.pipeline"])
    assert {each["RoleArn"] for each in asked} == passable
    for each in asked:
        assert {"Key": "trefoil:ground", "Value": "trefoil"} in each["Tags"]
    assert body["pipeline"]["RoleArn"] in _passable(resources["aws_iam_policy.launch"])


def test_the_job_that_the_clock_starts_is_one(resources: dict[str, Any]) -> None:
    """The scheduler keeps whatever it is given, and fails each time without a word."""
    (target,) = resources["aws_scheduler_schedule.this[0]"]["target"]
    asked = json.loads(target["input"])
    asked["ProcessingJobName"] = asked["ProcessingJobName"].replace(
        "<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3"
    )
    assert problems("CreateProcessingJob", asked) == []
    assert asked["Environment"]["TREFOIL_BUCKET"] == "trefoil-123456789012-eu-west-1"
    assert target["arn"].endswith(":aws-sdk:sagemaker:createProcessingJob")
    assert {asked["RoleArn"]} == _passable(resources["aws_iam_role_policy.schedule[0]"])


def test_roles_are_passed_by_name_and_to_sagemaker_alone(resources: dict[str, Any]) -> None:
    """Whoever can pass any role to a job has all of its rights."""
    arn = "arn:aws:iam::123456789012:role/trefoil-"
    passed = {name: _passable(each) for name, each in resources.items() if _is_policy(name)}
    assert {name: roles for name, roles in passed.items() if roles} == {
        "aws_iam_role_policy.pipeline": {f"{arn}training", f"{arn}deploy"},
        "aws_iam_role_policy.deploy": {f"{arn}serving"},
        "aws_iam_policy.endpoints": {f"{arn}serving"},
        "aws_iam_role_policy.schedule[0]": {f"{arn}scheduled"},
        "aws_iam_policy.launch": {f"{arn}pipeline", f"{arn}training", f"{arn}deploy"},
    }


def test_no_policy_has_all_of_anything(resources: dict[str, Any]) -> None:
    """sagemaker:* or AmazonSageMakerFullAccess lets a training script delete what is served."""
    for name in filter(_is_policy, resources):
        for statement in _statements(resources[name]):
            assert not [action for action in _many(statement["Action"]) if action.endswith("*")]
            if _many(statement["Resource"]) == ["*"]:
                only_reads = all(
                    word in UNBOUND or "Condition" in statement
                    for word in _many(statement["Action"])
                )
                assert only_reads, f"{name}: {statement}"
    attached = {
        each["policy_arn"] for name, each in resources.items() if "policy_attachment" in name
    }
    own = "arn:aws:iam::123456789012:policy/trefoil-"
    assert attached == {f"{own}launch", f"{own}endpoints", f"{own}push"}


def test_people_may_do_what_the_verbs_ask(resources: dict[str, Any]) -> None:
    """A command of ours would be refused to whoever has our own policies."""
    actions = {
        action
        for name in ("aws_iam_policy.launch", "aws_iam_policy.endpoints")
        for statement in _statements(resources[name])
        for action in _many(statement["Action"])
    }
    code = [file for file in AWS.rglob("*.py") if "emulator" not in file.parts]
    text = "\n".join(file.read_text(encoding="utf-8") for file in code)
    words = set(re.findall(r'"([a-z0-9]+(?:_[a-z0-9]+)+)"', text))
    for kind in ("training", "processing"):
        words |= {each.format(kind) for each in ("list_{}_jobs", "describe_{}_job", "stop_{}_job")}
    asked = {
        f"{prefix}:{NAMED.get(operation, operation)}"
        for service, prefix in SERVICES.items()
        for word, operation in _operations(service).items()
        if word in words
    }
    assert len(asked) > 40
    assert asked - actions == set()


def _operations(service: str) -> dict[str, str]:
    """An SDK's words for the operations of a service."""
    import boto3

    client = boto3.client(
        service, region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    found: dict[str, str] = client.meta.method_to_api_mapping
    return found


def test_people_may_remove_what_a_run_left_and_jobs_may_not(resources: dict[str, Any]) -> None:
    """reap --data would be refused; or a training could remove what another one made."""
    may = {
        name: _many(statement["Resource"])
        for name in filter(_is_policy, resources)
        for statement in _statements(resources[name])
        if "s3:DeleteObject" in _many(statement["Action"])
    }
    bucket = "arn:aws:s3:::trefoil-123456789012-eu-west-1"
    assert may == {"aws_iam_policy.launch": [f"{bucket}/trefoil/*"]}


def test_policies_are_short_enough(resources: dict[str, Any]) -> None:
    """AWS refuses a managed policy above 6,144 characters, and a role's own above 10,240."""
    for name in filter(_is_policy, resources):
        longest = 6144 if name.startswith("aws_iam_policy.") else 10240
        text = json.dumps(json.loads(resources[name]["policy"]), separators=(",", ":"))
        assert len(text) <= longest, name


def _is_policy(name: str) -> bool:
    return name.startswith(("aws_iam_policy.", "aws_iam_role_policy."))


def _statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(resource["policy"])["Statement"]
    return found


def _passable(resource: dict[str, Any]) -> set[str]:
    """The roles that a policy lets pass on, to SageMaker alone."""
    found: set[str] = set()
    for statement in _statements(resource):
        if "iam:PassRole" in _many(statement["Action"]):
            service = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
            assert statement["Condition"] == service
            found.update(_many(statement["Resource"]))
    return found


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
