"""What a task says that it left: where it lies decides whether it is brought here."""

from __future__ import annotations

import json
from pathlib import Path

from infra.cloud.looking import Task
from infra.cloud.store import Store
from infra.gcp.outputs import Outputs
from infra.gcp.session import Gcp
from infra.plan import Step
from tests.infra.cloud.storing import Memory
from tests.infra.gcp.lowering import SETTINGS

STEP = Step("train", "i", (), artifacts={"model": "system.Model"}, parameters={"fd": "STRING"})


class Bucket(Gcp):
    """A project whose bucket lies in memory."""

    def __init__(self) -> None:
        super().__init__("example-project", "europe-west4")
        self.memory = Memory()
        self.memory.put("runs/r-1/model", b"weights")

    def store(self, bucket: str) -> Store:
        return self.memory


def left(uri: str) -> str:
    return json.dumps({"values": {"fd": "good"}, "artifacts": {"model": uri}})


def test_what_came_from_a_cache_has_no_job_and_is_brought_all_the_same(tmp_path: Path) -> None:
    found = Outputs(Bucket(), SETTINGS._replace(workspace=str(tmp_path)), "r-1").of(
        STEP, Task("cached", left=left("mem://bucket/runs/r-1/model"))
    )
    assert found["fd"] == "good"
    assert Path(str(found["model"])).read_bytes() == b"weights"


def test_what_lies_in_another_bucket_is_told_by_its_address(tmp_path: Path) -> None:
    """An empty folder in its place would look like what the step made."""
    found = Outputs(Bucket(), SETTINGS._replace(workspace=str(tmp_path)), "r-1").of(
        STEP, Task("succeeded", job="1", left=left("gs://another/model"))
    )
    assert found["model"] == "gs://another/model"
    assert not list(tmp_path.rglob("model"))
