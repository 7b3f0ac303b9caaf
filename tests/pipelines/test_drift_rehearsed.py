"""The drift pipeline in every cloud, rehearsed: recent data from the cloud's own storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

from infra import provider as providers
from infra.cloud.store import Store
from infra.plan import Json
from pipelines import compile
from tests.pipelines.one_step import ROOT

pytestmark = pytest.mark.timeout(300)


KEY = "recent/new.npz"


class There(NamedTuple):
    """A cloud that is up: its verbs, how a run is sent, its storage, and an address in that."""

    ran: Callable[..., Any]
    plan_of: Callable[..., Any]
    client: Any
    run: Any
    settings: Any
    store: Store
    address: str


@contextmanager
def on_aws(folder: Path, key: str) -> Iterator[There]:
    from infra.aws import client, session, store
    from tests.infra.aws import running

    with running.aws(folder) as stood:
        kept = store.S3(session.connected(stood.settings.region), stood.settings)
        yield There(
            stood.ran, running.plan_of, client, running.RUN, stood.settings, kept, kept.uri(key)
        )


@contextmanager
def on_gcp(folder: Path, key: str) -> Iterator[There]:
    from infra.gcp import client, session
    from tests.infra.gcp import running

    with running.gcp(folder) as stood:
        own = stood.settings
        kept = session.connected(own.project, own.region).store(own.bucket)
        yield There(stood.ran, running.plan_of, client, running.RUN, own, kept, kept.uri(key))


@contextmanager
def on_azure(folder: Path, key: str) -> Iterator[There]:
    from infra.azure import client, session, store
    from tests.infra.azure import running

    with running.azure(folder) as stood:
        kept = store.Blobs(session.connected(stood.settings), stood.settings.datastore)
        yield There(
            stood.ran, running.plan_of, client, running.RUN, stood.settings, kept, kept.uri(key)
        )


PLACES = {"aws": on_aws, "gcp": on_gcp, "azure": on_azure}


def test_every_cloud_is_among_them() -> None:
    rehearsed = {n for n in providers.names() if "rehearsal" not in providers.get(n).missing}
    assert rehearsed - {"kind"} == PLACES.keys(), "a cluster imports from its own storage"


def inverted(file: Path) -> Path:
    """Digits in white on black, which any test of drift must see."""
    images, labels = load_digits(return_X_y=True)
    pixels = (16 - images[:120]).reshape(-1, 8, 8).astype(np.uint8)
    np.savez(file, images=pixels, labels=labels[:120], levels=np.array(17))
    return file


@pytest.mark.parametrize("place", PLACES)
def test_drift_is_found_in_what_lies_in_the_clouds_storage(
    place: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From an address to a verdict: what only a container sees of it shows nowhere else."""
    ir = compile.load(
        str(ROOT / "pipelines/drift.py"), tmp_path_factory.getbasetemp().parent / "drift-ir"
    )
    with PLACES[place](tmp_path / "w", KEY) as there:
        there.store.put(KEY, inverted(tmp_path / "new.npz").read_bytes())
        given: dict[str, Json] = {"recent": there.address, "significance": 0.2}
        events = there.ran(there.plan_of(ir, **given))
        assert events[-1].state == "succeeded", [each for each in events if each.message]
        left = there.client.outputs(there.run, there.settings)["drift"]
    assert left["drifted"] is True
    told = json.loads(left["dispatch"])["client_payload"]
    assert told["data"] == "digits"
    report = Path(left["report"])
    assert json.loads((report / "report.json").read_text())["recent"]["md5"] == told["id"]
    assert json.loads((report / "event.json").read_text())["client_payload"] == told
