"""Google's own SDK sends, for the same plan, what we send.

google-cloud-aiplatform, unmodified, over its REST transport, is given what a person would give it,
and the stand-in keeps what it sent. What is different between the two is written down in
``normalised``, each with its reason; anything else would be a fault of one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.gcp.emulator.cloud import standing
from infra.rehearsal.log import lines
from tests.infra.gcp.lowering import SETTINGS, generative, lowered
from tests.infra.gcp.running import ACCOUNT

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project, and the SDK led there by the environment alone."""
    workspace = tmp_path_factory.mktemp("cloud")
    with standing(ACCOUNT, workspace, {"grace": 1}):
        from google.cloud import aiplatform

        aiplatform.init(
            project=SETTINGS.project, location=SETTINGS.region, api_transport="rest",
            staging_bucket=f"gs://{SETTINGS.bucket}",
        )  # fmt: skip
        yield workspace


def _sent(workspace: Path, name: str) -> dict[str, Any]:
    """The newest body of a method."""
    bodies = [
        json.loads(line["body"])
        for line in lines(workspace / "requests.jsonl")
        if line["name"] == name
    ]
    found: dict[str, Any] = bodies[-1]
    return found


def normalised(body: Any) -> Any:
    """A body as both would have it.

    Enumerations are numbers in the SDK's, by the protobufs of google.cloud.aiplatform_v1: ours are
    names. 64-bit numbers are text in ours, as JSON has them. What is empty is not sent by us.
    """
    from google.cloud.aiplatform_v1.types import AcceleratorType, PipelineFailurePolicy, Scheduling

    enums = {
        "strategy": Scheduling.Strategy, "acceleratorType": AcceleratorType,
        "failurePolicy": PipelineFailurePolicy,
    }  # fmt: skip
    if isinstance(body, list):
        return [normalised(each) for each in body]
    if not isinstance(body, dict):
        return body
    found = {}
    for name, value in body.items():
        if name in enums and isinstance(value, int):
            found[name] = enums[name](value).name
        elif value not in ("", [], {}, None):
            found[name] = normalised(value)
    return found


def test_a_custom_job_is_the_same_body(cloud: Path) -> None:
    from google.cloud import aiplatform

    plan = generative()
    train = plan.step("train")
    spot = train.resources._replace(spot=True, nodes=3, accelerator="L4", accelerators=1)
    alone = plan._replace(steps=(train._replace(resources=spot, inputs={}),))
    body: Any = lowered(alone._replace(steps=(_without_inputs(alone.steps[0]),))).body
    ours = body["job"]
    spec = ours["jobSpec"]
    pools = [
        {
            "machine_spec": {
                "machine_type": pool["machineSpec"]["machineType"],
                "accelerator_type": pool["machineSpec"]["acceleratorType"],
                "accelerator_count": pool["machineSpec"]["acceleratorCount"],
            },
            "replica_count": int(pool["replicaCount"]),
            "disk_spec": {"boot_disk_size_gb": 100},
            "container_spec": {
                "image_uri": pool["containerSpec"]["imageUri"],
                "command": pool["containerSpec"]["command"],
                "args": pool["containerSpec"]["args"],
            },
        }
        for pool in spec["workerPoolSpecs"]
    ]
    job = aiplatform.CustomJob(
        display_name=ours["displayName"],
        worker_pool_specs=pools,
        base_output_dir=spec["baseOutputDirectory"]["outputUriPrefix"],
        labels=ours["labels"],
    )
    job.submit(
        service_account=spec["serviceAccount"],
        timeout=86400,
        restart_job_on_worker_restart=True,
        scheduling_strategy=aiplatform.gapic.Scheduling.Strategy.SPOT,
    )
    theirs = normalised(_sent(cloud, "aiplatform customJobs.create"))
    job.cancel()
    assert theirs == normalised(ours)


def _without_inputs(step: Any) -> Any:
    words = tuple(word for word in step.argv if all(token.kind == "text" for token in word))
    return step._replace(argv=words)


def test_a_pipeline_job_is_the_same_body(cloud: Path, tmp_path: Path) -> None:
    """The SDK is given the very IR: what it adds of its own would be seen."""
    from google.cloud import aiplatform

    body: Any = lowered(generative()).body
    ours = body["pipeline"]["job"]
    template = tmp_path / "pipeline.json"
    template.write_text(json.dumps(ours["pipelineSpec"]))
    job = aiplatform.PipelineJob(
        display_name=ours["displayName"],
        template_path=str(template),
        job_id=body["pipeline"]["id"],
        pipeline_root=ours["runtimeConfig"]["gcsOutputDirectory"],
        parameter_values=ours["runtimeConfig"]["parameterValues"],
        labels=ours["labels"],
        failure_policy="slow",
    )
    job.submit(service_account=ours["serviceAccount"])
    theirs = normalised(_sent(cloud, "aiplatform pipelineJobs.create"))
    job.cancel()
    mine = normalised(ours)
    for each in (theirs, mine):
        each["pipelineSpec"] = _plain(each["pipelineSpec"])
    # the SDK writes into the IR which directory it was given, beside telling it
    assert theirs["pipelineSpec"].pop("defaultPipelineRoot", None) is None
    assert theirs == mine


def _plain(spec: Any) -> Any:
    """Numbers of the IR are floats to a protobuf's Struct, which is what the SDK makes of it."""
    if isinstance(spec, list):
        return [_plain(each) for each in spec]
    if isinstance(spec, dict):
        return {name: _plain(value) for name, value in spec.items()}
    return float(spec) if isinstance(spec, int) and not isinstance(spec, bool) else spec
