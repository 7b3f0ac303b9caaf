"""Against MLflow's own server, over HTTP: down at first, then up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components import champion as champion_step
from components import register, tracking
from infra import mlflow
from infra.registry import Registry
from infra.storage import tree
from tests.spooled import RUN, check, told
from tests.tracked import (  # noqa: F401  fixtures work by being here
    made_template,
    outputs,
)


@contextlib.contextmanager
def serving(port: int, place: Path) -> Iterator[None]:
    """A server process, with its artefacts behind it, until the block ends."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name("mlflow"), "server", "--host", "127.0.0.1",
         "--port", str(port), "--workers", "1", "--backend-store-uri",
         f"sqlite:///{place / 'mlflow.db'}", "--artifacts-destination", str(place / "artifacts")],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                    break
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < until
            time.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_down_then_up_nothing_is_lost_and_the_registry_works(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    folder, place = tmp_path / "tracking" / RUN, tmp_path / "server"
    place.mkdir()
    shutil.copyfile(template, place / "mlflow.db")

    environment = {"MLFLOW_TRACKING_URI": address, "TREFOIL_PROVIDER": "local"}
    tracking.start_sender(folder, environment)
    sender = tracking._started.pop()
    told(folder)
    tracking.finish(folder, "succeeded")
    until = time.monotonic() + 60
    while "does not answer" not in (folder / "deliver.log").read_text():
        assert sender.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    with serving(port, place):
        assert sender.wait(120) == 0, (folder / "deliver.log").read_text()
        check(address)
        assert not folder.exists()

        made = outputs(tmp_path / "a")
        arguments = [
            "--dataset", made / "dataset", "--model", made / "model", "--evaluation",
            made / "evaluation", "--model-name", "m", "--version", tmp_path / "version",
        ]  # fmt: skip
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("TREFOIL_RUN_ID", RUN)
        for _ in range(2):
            register.main([str(each) for each in arguments])
            assert (tmp_path / "version").read_text() == "1"
        champion = Registry(address).champion("m")
        assert champion is not None
        assert champion.source.startswith("mlflow-artifacts:")
        run = mlflow.connect(address).get_run(champion.run)
        assert run.info.run_name == RUN, "the model is of the run that the sender made"
        champion_step.main(["--model-name", "m", "--champion", str(tmp_path / "champion")])
        found = json.loads((tmp_path / "champion" / "champion.json").read_text())
        assert found["version"] == "1"
        assert tree(tmp_path / "champion" / "model") == tree(made / "model")
