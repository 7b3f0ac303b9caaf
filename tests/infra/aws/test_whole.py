"""The whole pipeline on SageMaker, rehearsed: it leaves what it leaves here, and it serves."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.aws import PROVIDER, AwsSettings
from infra.local import endpoint
from tests.pipelines.test_cli import RUN, cli

_GATE = {"fd": None, "bits_per_dim": None, "champion": False}
_SHORT = ["--param", "steps=2", "--param", f"gate={json.dumps(_GATE)}", "--json"]
_STEPS = ("champion", "prepare", "train", "evaluate")


def _ran(workspace: Path, *words: str) -> dict[str, Any]:
    done = cli(workspace, RUN, *_SHORT, *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _here(workspace: Path, run_id: str) -> Iterator[tuple[str, str]]:
    """Files of the steps' outputs by step and name, each with its digest."""
    for step in _STEPS:
        outputs = workspace / "runs" / run_id / "steps" / step / "outputs/outputs"
        for folder, _, names in os.walk(outputs, followlinks=True):
            for name in names:
                file = Path(folder, name)
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                yield f"{step}/{file.relative_to(outputs).as_posix()}", digest


def _there(settings: AwsSettings, run_id: str) -> Iterator[tuple[str, str]]:
    """The same of what lies in S3, beside which SageMaker and the launcher keep their own."""
    import boto3

    s3 = boto3.session.Session().client("s3", region_name=settings.region)
    prefix = f"{settings.prefix}/runs/{run_id}/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket, Prefix=prefix):
        for each in page.get("Contents", ()):
            place, mark, name = each["Key"].removeprefix(prefix).partition("/artifact/")
            if mark and (step := place.partition("/")[0]) in _STEPS:
                body = s3.get_object(Bucket=settings.bucket, Key=each["Key"])["Body"].read()
                output = place.rpartition("/")[2]
                yield f"{step}/{output}/{name}", hashlib.sha256(body).hexdigest()


@pytest.mark.timeout(300)
def test_what_it_leaves_is_what_it_leaves_here_and_its_endpoint_answers(tmp_path: Path) -> None:
    """Another place must give the same model, to the bit, and the same numbers of it."""
    mine, cloud = tmp_path / "mine", tmp_path / "cloud"
    here = _ran(mine)
    endpoint.stop(workspace=mine, name="digits-vae")  # its server would outlive the test
    there = _ran(cloud, "--provider", "aws", "--rehearse", "--set", "image_tag=1")
    assert there["metrics"] == here["metrics"]
    apart = cloud / "rehearsal/aws"
    settings = PROVIDER.made_up(AwsSettings(workspace=str(apart)), apart)
    with PROVIDER.rehearse(settings, apart, None):
        import boto3

        left = dict(_here(mine, here["run_id"]))
        assert "train/model/model.safetensors" in left
        assert dict(_there(settings, there["run_id"])) == left
        runtime = boto3.session.Session().client("sagemaker-runtime", region_name=settings.region)
        asked = json.dumps({"operation": "sample", "n": 2, "seed": 0})
        answer = runtime.invoke_endpoint(
            EndpointName="digits-vae", ContentType="application/json", Body=asked
        )
        assert json.loads(answer["Body"].read())
        assert answer["InvokedProductionVariant"] == "champion"
