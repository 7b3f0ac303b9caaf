"""Models in their versions: numbers, aliases that move, and what cannot be taken away."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from infra.errors import TrefoilError
from infra.gcp.emulator.serving.models import Models
from infra.gcp.emulator.world import Record
from infra.gcp.serving import operations
from tests.infra.gcp.serving.place import BUCKET, IMAGE, PARENT, Place, threaded

pytestmark = pytest.mark.timeout(180)
_VAE = f"{PARENT}/models/vae"


def _upload(there: Place, **given: Any) -> dict[str, Any]:
    """Upload one, and wait; ``model`` of it lies over what every one has."""
    model = {
        "displayName": "vae",
        "artifactUri": f"gs://{BUCKET}/a/",
        "containerSpec": {"imageUri": IMAGE},
        **given.pop("model", {}),
    }
    there.gcp.store(BUCKET).put("a/serving.json", b"{}")
    found = operations.done(
        there.gcp, "models.upload", "upload", 30.0, parent=PARENT, body={"model": model, **given}
    )
    assert found is not None
    return found


def _aliases(there: Place) -> dict[str, list[str]]:
    listed = there.gcp.pages("models.listVersions", "models", "list", name=_VAE)
    return {each["versionId"]: sorted(each["versionAliases"]) for each in listed}


def _refused(there: Place, method: str, **asked: Any) -> str:
    with pytest.raises(TrefoilError) as caught:
        operations.done(there.gcp, method, "try it", 30.0, **asked)
    return str(caught.value)


def test_versions_have_numbers_and_aliases_move(tmp_path: Path) -> None:
    """What is found by an alias is served by it: two versions with one would both be champion."""
    with threaded(tmp_path) as there:
        first = _upload(there, modelId="vae", model={"versionAliases": ["best"]})
        assert (first["model"].rpartition("/")[2], first["modelVersionId"]) == ("vae", "1")
        assert _upload(there, parentModel=_VAE, model={"versionAliases": ["best"]})[
            "modelVersionId"
        ] == ("2")
        assert _aliases(there) == {"1": ["default"], "2": ["best"]}
        asked = {"versionAliases": ["default", "-best"]}
        there.gcp.ask("models.mergeVersionAliases", "move", asked, name=f"{_VAE}@best")
        assert _aliases(there) == {"1": [], "2": ["default"]}
        names = {name: there.gcp.ask("models.get", "read", name=f"{_VAE}{name}")["versionId"]
                 for name in ("", "@default", "@1")}  # fmt: skip
        assert names == {"": "2", "@default": "2", "@1": "1"}
        (listed,) = there.gcp.pages("models.list", "models", "list", parent=PARENT)
        assert listed["versionId"] == "2"
        assert listed["supportedDeploymentResourcesTypes"] == ["DEDICATED_RESOURCES"]


def test_what_cannot_be_uploaded_or_taken_away(tmp_path: Path) -> None:
    """The very words by which a client knows a repeat, and what it must do first."""
    with threaded(tmp_path) as there:
        there.deploy("1")
        body = {"modelId": "vae", "model": {"displayName": "vae"}}
        assert "already exists" in _refused(there, "models.upload", parent=PARENT, body=body)
        body = {"parentModel": f"{PARENT}/models/none", "model": {"displayName": "vae"}}
        assert "does not exist" in _refused(there, "models.upload", parent=PARENT, body=body)
        body = {"modelId": "new", "model": {"displayName": "new", "artifactUri": "gs://none/a/"}}
        assert "bucket does not exist" in _refused(there, "models.upload", parent=PARENT, body=body)
        body["model"]["artifactUri"] = f"gs://{BUCKET}/none/"  # type: ignore[index]
        assert "no files under" in _refused(there, "models.upload", parent=PARENT, body=body)
        assert "is deployed at an endpoint" in _refused(there, "models.delete", name=_VAE)
        assert "default version" in _refused(there, "models.deleteVersion", name=f"{_VAE}@1")
        asked = {"versionAliases": ["-default"]}
        with pytest.raises(TrefoilError, match="default version alias cannot be removed"):
            there.gcp.ask("models.mergeVersionAliases", "move", asked, name=_VAE)
        there.ask("stop")
        operations.done(there.gcp, "models.delete", "delete", 30.0, name=_VAE)
        assert there.gcp.find("models.get", "read", name=_VAE) is None


def test_a_version_keeps_its_files(tmp_path: Path) -> None:
    """Vertex AI copies them: whoever cleans a bucket up takes no endpoint down."""
    with threaded(tmp_path) as there:
        there.deploy("1")
        store = there.gcp.store(BUCKET)
        store.remove(each.key for each in store.list(""))
        there.ask("stop")
        there.environment["TREFOIL_RUN_ID"] = "r-2"
        assert there.deploy("1").state == "serving"
        assert len(there.sent("models.upload")) == 1


def test_the_number_of_a_version_is_never_given_again(tmp_path: Path) -> None:
    """Whoever remembers a version by it, as for a rollback, would be led to another model."""
    with threaded(tmp_path) as there:
        _upload(there, modelId="vae")
        _upload(there, parentModel=_VAE)
        operations.done(there.gcp, "models.deleteVersion", "delete", 30.0, name=f"{_VAE}@2")
        assert _upload(there, parentModel=_VAE)["modelVersionId"] == "3"
        operations.done(there.gcp, "models.delete", "delete", 30.0, name=_VAE)
        assert _upload(there, modelId="vae")["modelVersionId"] == "1"


def test_of_uploads_at_once_one_makes_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that both passed would be two versions of what each believes it has made."""
    with threaded(tmp_path) as there:
        there.gcp.store(BUCKET).put("a/serving.json", b"{}")
        both = threading.Barrier(2)

        def late(models: Models, model: str) -> list[Record]:
            found = of(models, model)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # both have looked now, unless one waits for the other
            return found

        of = Models._of
        monkeypatch.setattr(Models, "_of", late)
        body = {"modelId": "vae", "model": {"displayName": "vae"}}
        told: list[str] = []

        def upload() -> None:
            try:
                there.gcp.ask("models.upload", "upload", body, parent=PARENT)
                told.append("begun")
            except TrefoilError as error:
                told.append(str(error))

        threads = [threading.Thread(target=upload) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begun, refused = sorted(told, key=len)
        assert begun == "begun"
        assert "already exists" in refused
