"""A file of requests, answered by a version without an endpoint."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.serving.batch import pairs
from infra.gcp.serving import batch, requests
from infra.gcp.serving.requests import Release, Version
from infra.gcp.serving.state import At
from tests.infra.gcp.serving.place import BUCKET, IMAGE, PARENT, Place, place

pytestmark = pytest.mark.timeout(300)


def _version(there: Place, **card: object) -> At:
    """A version that was never deployed, and what is asked with it."""
    store = there.gcp.store(BUCKET)
    store.put("models/a/serving.json", json.dumps({"operations": {}, **card}).encode())
    at = At("digits", requests.told_by(there.environment), 60.0)
    body = requests.upload(
        Release("vae", "7"), IMAGE, f"gs://{BUCKET}/models/a/", at.serving, there=False
    )
    there.gcp.ask("models.upload", "upload", body, parent=PARENT)
    while not there.kept("ModelVersion"):
        there.endpoints()
    return at


def test_every_line_is_answered_and_asked_once(tmp_path: Path) -> None:
    """What is asked again costs machines again, unless it is known that it was."""
    with place(tmp_path) as there:
        at, store = _version(there), there.gcp.store(BUCKET)
        store.put("in/a.jsonl", b'{"x": 1}\n{"x": 2}\n')
        store.put("in/b.jsonl", b'{"x": 3}\n')
        store.put("in/c.txt", b"not this\n")
        found = batch.predict(at, Version("vae", "1"), f"gs://{BUCKET}/in/*.jsonl", {"seed": 3})
        assert (found.good, found.bad) == (3, 0)
        key = found.uri.removeprefix(f"gs://{BUCKET}/")
        lines = (store.get(f"{key}/predictions_0001.jsonl") or b"").splitlines()
        assert [json.loads(line) for line in lines] == [
            {"instance": {"x": n}, "prediction": {"version": "7", "asked": {"x": n}}}
            for n in (1, 2, 3)
        ]
        again = batch.predict(at, Version("vae", "1"), f"gs://{BUCKET}/in/*.jsonl", {"seed": 3})
        assert again == found
        (sent,) = there.sent("batchPredictionJobs.create")
        assert sent["dedicatedResources"]["machineSpec"] == {"machineType": "n1-standard-2"}
        assert sent["modelParameters"] == {"seed": 3}


def test_a_batch_that_cannot_be_answered_says_why(tmp_path: Path) -> None:
    """It would wait for its deadline, and be said to be late."""
    with place(tmp_path) as there:
        at = _version(there)
        there.gcp.store(BUCKET).put("in/a.jsonl", b'{"x": 1}\n')
        with pytest.raises(InputError, match="There are no instances in the input files"):
            batch.predict(at, Version("vae", "1"), f"gs://{BUCKET}/none/*.jsonl")
        bad = batch.predict(at, Version("vae", "1"), f"gs://{BUCKET}/in/a.jsonl", {"bad": True})
        assert (bad.good, bad.bad) == (0, 1)


def test_a_line_that_is_no_instance_is_told_as_wrong(tmp_path: Path) -> None:
    """One comma too many in a night's file must not leave the job running for ever."""
    with place(tmp_path) as there:
        at, store = _version(there), there.gcp.store(BUCKET)
        store.put("in/a.jsonl", b'{"x": 1}\n{"x": 2,}\n')
        found = batch.predict(at, Version("vae", "1"), f"gs://{BUCKET}/in/a.jsonl")
        assert (found.good, found.bad) == (1, 1)
        key = found.uri.removeprefix(f"gs://{BUCKET}/")
        (line,) = (store.get(f"{key}/errors_0001.jsonl") or b"").splitlines()
        assert json.loads(line)["instance"] == '{"x": 2,}'


def test_a_batch_whose_version_is_gone_fails(tmp_path: Path) -> None:
    """So that a later rehearsal, which goes on with it, does not wait for ever."""
    with place(tmp_path, {"startup": 60}) as there:
        at = _version(there)
        there.gcp.store(BUCKET).put("in/a.jsonl", b'{"x": 1}\n')
        body = requests.batch(
            "night", Version("vae", "1"), f"gs://{BUCKET}/in/a.jsonl", {}, at.serving
        )
        made = there.gcp.ask("batchPredictionJobs.create", "do", body, parent=PARENT)
        store = there.world.store
    record = store.get("BatchPredictionJob", made["name"].rpartition("/")[2])
    assert record
    record["state"] = "JOB_STATE_PENDING"  # as a rehearsal leaves it that is killed
    store.save("BatchPredictionJob", record)
    store.remove("ModelVersion", "vae@1")
    with place(tmp_path) as there:
        found = there.gcp.ask("batchPredictionJobs.get", "look", name=made["name"])
        while found["state"] == "JOB_STATE_PENDING":
            time.sleep(0.05)
            found = there.gcp.ask("batchPredictionJobs.get", "look", name=made["name"])
        assert found["state"] == "JOB_STATE_FAILED"
        assert "does not exist" in found["error"]["message"]


def test_as_many_predictions_as_instances() -> None:
    with pytest.raises(Refused, match="1 predictions for 2 instances"):
        pairs([{}, {}], [1])
