"""Azure's own SDK as a second opinion: what it finds of our documents, and what it makes of them.

The bodies that it puts are golden, too: a version of it that writes them otherwise is noticed.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from infra.azure import client
from infra.azure.names import node
from infra.azure.sending import loaded
from infra.plan import Plan, Resources
from tests.infra.azure.lowering import GOLDEN, SETTINGS, generative, lowered
from tests.infra.azure.running import RUN, azure

_WIRE = GOLDEN / "generative.azure.wire.json"
_HASH = re.compile(r"azureml_anonymous/versions/[0-9a-f-]{36}")


def _wide() -> Plan:
    """Our own pipeline, its training on two spot machines."""
    plan = generative()
    spot = Resources(spot=True, nodes=2, accelerator="T4", accelerators=4)
    steps = (s._replace(resources=spot) if s.name == "train" else s for s in plan.steps)
    return plan._replace(steps=tuple(steps))


def _found(document: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return loaded(document)._validate()


def test_the_sdk_finds_nothing_wrong_with_our_documents() -> None:
    """`az ml job create -f` takes them as they are."""
    body: Any = lowered(_wide()).body
    for each in (body["pipeline"], *body["after"]):
        found = _found(each)
        assert found.passed, found
    alone = generative()
    one: Any = lowered(alone._replace(steps=(alone.step("prepare"),))).body
    assert _found(one["job"]).passed


def test_the_sdk_would_find_what_is_no_tier() -> None:
    """Else the test above would pass whatever the SDK looks at."""
    body: Any = lowered(_wide()).body
    body["pipeline"]["jobs"]["train"]["queue_settings"] = {"job_tier": "cheap"}
    with pytest.raises(Exception, match="job_tier"):
        _found(body["pipeline"])


def _bodies(folder: Path) -> dict[str, Any]:
    """What the SDK puts to ARM for our pipeline, without what is different in every run."""
    unseen = {"host": "azurecr", "status": 403, "times": 99}
    with azure(folder, SETTINGS, missing_images=".", faults=[unseen]) as stood:
        stood.submitted(_wide())
        client.cancel(RUN, stood.settings)
        sent = {kind: stood.sent(f"ARM PUT {kind}") for kind in (
            "environments/versions", "components/versions", "jobs",
        )}  # fmt: skip
    for each in sent["jobs"]:  # where this working tree is from
        own = each["properties"].get("properties", {})
        each["properties"]["properties"] = {n: v for n, v in own.items() if "git" not in n}
    text = json.dumps(sent, sort_keys=True)
    text = re.sub(r"launch/[0-9a-f]{32}", "launch/DIGEST", text)
    return dict(json.loads(_HASH.sub("azureml_anonymous/versions/HASH", text)))


def test_what_the_sdk_puts_is_what_it_put_before(tmp_path: Path) -> None:
    """A trial lost the machine type and the GPU silently, and "it passed".

    After a change that is meant: python -m tests.infra.azure.test_sdk
    """
    found = _bodies(tmp_path)
    (pipeline,) = (each["properties"] for each in found["jobs"] if "jobs" in each["properties"])
    train = pipeline["jobs"][node("train")]
    assert train["queue_settings"] == {"job_tier": "Spot"}
    assert train["resources"]["instance_type"] == "Standard_NC64as_T4_v3"
    assert train["resources"]["instance_count"] == 2
    assert found == json.loads(_WIRE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("step", ["champion", "prepare"])
def test_a_node_says_what_a_job_by_itself_says(step: str) -> None:
    """--step prepare must prepare as the pipeline does."""
    plan = generative()
    pipeline: Any = lowered(plan).body
    one: Any = lowered(plan._replace(steps=(plan.step(step),))).body
    whole, job = pipeline["pipeline"]["jobs"][step], one["job"]
    component = whole["component"]
    assert job["command"] == component["command"]
    assert job["environment"] == component["environment"]
    assert job["resources"] == component["resources"]
    assert job["outputs"] == whole["outputs"]
    assert job["limits"] == whole["limits"]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        told = json.dumps(_bodies(Path(name)), indent=1, sort_keys=True)
    _WIRE.write_text(f"{told}\n", encoding="utf-8")
