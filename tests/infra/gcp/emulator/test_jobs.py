"""CustomJobs of the stand-in: executed by Vertex AI's contract, and told as it tells them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, ProviderError
from infra.gcp.session import Gcp, connected
from tests.infra.gcp.lowering import SETTINGS
from tests.infra.gcp.running import Stood, gcp

_DONE = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


@pytest.fixture
def stood(tmp_path: Path) -> Iterator[Stood]:
    with gcp(tmp_path) as found:
        yield found


def _google() -> Gcp:
    return connected(SETTINGS.project, SETTINGS.region)


def _job(script: str, replicas: int = 1, **more: Any) -> dict[str, Any]:
    container = {"imageUri": "europe-docker.pkg.dev/p/r/i:1", "command": ["python3", "-c", script]}
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": container,
    }
    pools = [pool, {**pool, "replicaCount": str(replicas - 1)}][: min(replicas, 2)]
    output = {"outputUriPrefix": f"gs://{SETTINGS.bucket}/out"}
    spec = {"workerPoolSpecs": pools, "baseOutputDirectory": output, **more}
    return {"displayName": "job", "labels": {"trefoil-run": "r-1"}, "jobSpec": spec}


def _ran(body: dict[str, Any]) -> dict[str, Any]:
    google = _google()
    found = google.ask("customJobs.create", "start", body, parent=google.parent)
    while found["state"] not in _DONE:
        time.sleep(0.05)
        found = google.ask("customJobs.get", "look", name=found["name"])
    return found


_TELLS = """
import json, os
place = os.environ["TREFOIL_GCS"] + os.environ["AIP_MODEL_DIR"].replace("gs:/", "")
os.makedirs(place, exist_ok=True)
spec = json.loads(os.environ["CLUSTER_SPEC"])
name = spec["task"]["type"] + "-" + str(spec["task"]["index"])
open(place + name, "w").write(json.dumps({
    "cluster": spec["cluster"],
    **{n: v for n, v in os.environ.items() if n.startswith(("AIP_", "CLOUD_ML"))},
}))
"""


def test_every_replica_finds_what_vertex_ai_tells(stood: Stood) -> None:
    """A training that reads another contract here than there finds out on rented machines."""
    done = _ran(_job(_TELLS, replicas=3))
    assert done["state"] == "JOB_STATE_SUCCEEDED", done
    place = stood.workspace / "gcs" / SETTINGS.bucket / "out" / "model"
    told = {file.name: json.loads(file.read_text()) for file in place.iterdir()}
    assert set(told) == {"workerpool0-0", "workerpool1-0", "workerpool1-1"}
    first = told["workerpool0-0"]
    assert [len(first["cluster"][f"workerpool{at}"]) for at in (0, 1)] == [1, 2]
    base = f"gs://{SETTINGS.bucket}/out"
    assert first["AIP_MODEL_DIR"] == f"{base}/model/"
    assert first["AIP_CHECKPOINT_DIR"] == f"{base}/checkpoints/"
    assert first["AIP_TENSORBOARD_LOG_DIR"] == f"{base}/logs/"
    assert done["name"].endswith(first["CLOUD_ML_JOB_ID"])


def test_one_replica_that_fails_ends_all_with_its_reason(stood: Stood) -> None:
    script = (
        "import json, os, sys, time\n"
        "task = json.loads(os.environ['CLUSTER_SPEC'])['task']\n"
        "sys.exit(3) if task['type'] == 'workerpool1' else time.sleep(60)"
    )
    done = _ran(_job(script, replicas=2))
    assert done["state"] == "JOB_STATE_FAILED"
    assert "workerpool1-0 exited with a non-zero status of 3" in done["error"]["message"]


def test_a_job_that_is_cancelled_saves_itself(stood: Stood) -> None:
    google = _google()
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(0)))\n"
        "print('waiting', flush=True); time.sleep(60)"
    )
    job = google.ask("customJobs.create", "start", _job(script), parent=google.parent)
    log = stood.workspace / "vertex" / "jobs" / job["name"].rpartition("/")[2]
    while not any("waiting" in file.read_text() for file in log.glob("*/*/log")):
        time.sleep(0.05)
    google.ask("customJobs.cancel", "end", {}, name=job["name"])
    while (found := google.ask("customJobs.get", "look", name=job["name"]))["state"] not in _DONE:
        time.sleep(0.05)
    assert found["state"] == "JOB_STATE_CANCELLED"
    assert any("saved" in file.read_text() for file in log.glob("*/*/log"))


def test_a_job_ends_at_its_timeout(stood: Stood) -> None:
    done = _ran(_job("import time; time.sleep(60)", scheduling={"timeout": "1s"}))
    assert done["state"] == "JOB_STATE_FAILED"
    assert "timeout of 1s" in done["error"]["message"]


def test_an_unknown_account_and_another_project_are_refused(stood: Stood) -> None:
    google = _google()
    own = _job("pass", serviceAccount="nobody@example-project.iam.gserviceaccount.com")
    with pytest.raises(InputError, match=r"nobody@.* does not exist"):
        google.ask("customJobs.create", "start", own, parent=google.parent)
    other = "projects/other/locations/europe-west4"
    with pytest.raises(Exception, match="Permission denied on resource project other"):
        google.ask("customJobs.create", "start", _job("pass"), parent=other)


def test_what_the_stand_in_does_not_do_is_refused_by_its_name(stood: Stood) -> None:
    google = _google()
    with pytest.raises(
        ProviderError, match=r"does not do aiplatform.*hyperparameterTuningJobs\.list"
    ):
        google.ask("hyperparameterTuningJobs.list", "list", parent=google.parent)
