"""A model becomes a version: once, whole, with its facts."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import contract
from infra.errors import InputError as Refused
from infra.errors import ProviderError
from infra.registry import Registry, Version
from tests.registered import NAME, aliases, call
from tests.tracked import made_template, made_uri, outputs, step  # noqa: F401  fixtures work by being here
from training.errors import InputError


def test_a_version_carries_all_that_is_known_of_it(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = outputs(tmp_path / "a", kid=None)
    assert call(place, uri, monkeypatch) == "1"
    registry = Registry(uri)
    version = registry.version(NAME, "1")
    assert version.tags.items() >= {
        "dataset.name": "digits", "dataset.md5": "0123456789abcdef" * 2, "recipe": "vae",
        "git.commit": "c0ffee", "trefoil.run_id": "run-1", "metric.bits_per_dim": "2.1",
        "metric.fd": "1.5",
    }.items()  # fmt: skip
    assert "metric.kid" not in version.tags
    run = registry.client.get_run(version.run)
    assert run.info.run_name == "run-1"
    assert run.data.metrics == {"bits_per_dim": 2.1, "fd": 1.5}
    assert aliases(uri) == {"champion": "1", "challenger": "1"}


def test_the_same_model_is_registered_once(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds its model in the cache must not fill the registry with copies."""
    place, other = outputs(tmp_path / "a"), outputs(tmp_path / "b", seed=1)
    assert [call(place, uri, monkeypatch, run=f"run-{n}") for n in range(2)] == ["1", "1"]
    assert call(other, uri, monkeypatch) == "2"
    assert len(Registry(uri).versions(NAME)) == 2


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[str, list[object]]]:
    """A server that ends every call unanswered: its address, and who has called."""
    calls: list[object] = []

    class Rude(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rude) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", calls
        server.shutdown()


class Killed(BaseException):
    """The process was killed here."""


def test_killed_anywhere_it_ends_with_one_version(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(Registry(uri).client)
    life = [0]

    def die() -> None:
        life[0] -= 1
        if life[0] == 0:
            raise Killed

    def mortal(real: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            die()
            result = real(*arguments, **named)
            die()
            return result

        return run

    for name in (
        "create_experiment", "create_run", "create_registered_model", "create_model_version",
        "log_artifacts", "log_batch", "set_registered_model_alias", "set_registered_model_tag",
    ):  # fmt: skip
        monkeypatch.setattr(client, name, mortal(getattr(client, name)))
    deaths = 0
    for at in range(1, 40):
        place = outputs(tmp_path / f"a{at}", seed=at)
        life[0] = at
        try:
            call(place, uri, monkeypatch, run=f"run-{at}", rule="always")
            break
        except Killed:
            deaths += 1
            assert call(place, uri, monkeypatch, run=f"run-{at}", rule="always") == str(at)
    assert deaths >= 12
    versions = Registry(uri).versions(NAME)
    assert len(versions) == deaths + 1
    assert aliases(uri) == {"champion": str(deaths + 1), "challenger": str(deaths + 1)}
    registry = Registry(uri)
    where = [each.experiment_id for each in registry.client.search_experiments()]
    runs = registry.client.search_runs(where)
    assert len({run.info.run_name for run in runs}) == len(runs) == deaths + 1
    for version in versions:
        Registry(uri).download(version, tmp_path / "got" / version.version)


def test_a_server_that_does_not_answer_is_asked_a_few_times_and_told_in_one_sentence(
    tmp_path: Path,
) -> None:
    """MLflow's own client would try for minutes."""
    place = outputs(tmp_path / "a")
    with hanging_up() as (address, calls):
        run = step(
            "register", "--dataset", place / "dataset", "--model", place / "model",
            "--evaluation", place / "evaluation", "--model-name", NAME,
            "--version", tmp_path / "v", check=False, TREFOIL_FAILURE=str(tmp_path / "f"),
            MLFLOW_TRACKING_URI=f"http://me:hush-hush-hush@{address}",
        )  # fmt: skip
    assert run.returncode == contract.FAILED
    assert 1 <= len(calls) <= 3
    said = json.loads((tmp_path / "f").read_text())["message"]
    assert f"MLflow at http://***@{address} does not answer" in said
    assert "\n" not in said
    assert "hush" not in run.stderr + said
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: (p / "model" / "serving.json").unlink(), "no serving.json"),
        (lambda p: (p / "model" / "serving.json").write_text("{}"), "serving.json is damaged"),
        (lambda p: (p / "dataset" / "schema.json").write_text("{}"), "lacks what an earlier step"),
        (lambda p: (p / "evaluation" / "metrics.json").write_text("[]"), "lacks what an earlier"),
        (
            lambda p: (p / "evaluation" / "metrics.json").unlink(),
            "is no evaluation: it has no metrics.json",
        ),
    ],
)
def test_what_earlier_steps_did_not_leave_is_named(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, damage: Any, words: str
) -> None:
    place = outputs(tmp_path / "a")
    damage(place)
    with pytest.raises(InputError, match=words):
        call(place, uri, monkeypatch)


def test_a_name_that_mlflow_does_not_take_is_refused(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="'a/b:c' cannot name a model"):
        call(outputs(tmp_path / "a"), uri, monkeypatch, name="a/b:c")


def test_a_model_altered_in_the_store_is_not_handed_out(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(outputs(tmp_path / "a"), uri, monkeypatch)
    [file] = (tmp_path / "ws" / "mlflow" / "mlartifacts").rglob("score.onnx")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    version = Registry(uri).champion(NAME)
    assert isinstance(version, Version)
    with pytest.raises(ProviderError, match="is not what was registered"):
        Registry(uri).download(version, tmp_path / "got")
