"""What the images are for: steps and a server, in containers that reach and change nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from infra.images import Built
from tests.docker import DOCKER, Docker
from tests.dockerd import SHUT
from tests.prepared import write_digits
from tests.served import decode, write_model

pytestmark = DOCKER
ANYBODY = "--user=12345:54321"
STEPS = """
set -e
cd /tmp
python -m components.champion --model-name m --champion champion
python -m components.prepare --data digits --md5 "" --seed 0 --dataset data
python -m components.train --dataset data --recipe vae --seed 0 --model model \
    --config '{"steps": 9}'
python -m components.evaluate --dataset data --model model --champion champion --gate '{}' \
    --seed 0 --evaluation evaluation --passed passed
python -m components.register --dataset data --model model --evaluation evaluation \
    --model-name m --promote when-better --version version
cat version
"""

CLIENTS = """
import kubernetes, regex
import azure.core.rest, azure.identity, azure.storage.blob
import google.auth.transport.requests, googleapiclient.http
from botocore.config import Config
from infra.aws.validate import problems
from infra.gcp.validate import problems as of_gcp
from infra.azure.validate import problems as of_azure
from infra.aws.session import connected
from googleapiclient.discovery import build
connected("eu-west-1").client("sagemaker")
build("aiplatform", "v1", http=object(), static_discovery=True)
azure.identity.DefaultAzureCredential()
print("all")
"""


@contextlib.contextmanager
def started(docker: Docker, *arguments: str) -> Iterator[str]:
    """A container that runs meanwhile; its name."""
    name = docker("run", "--detach", *SHUT, *arguments)
    try:
        yield name
    finally:
        docker("rm", "--force", name)


def until(true: Callable[[], bool], docker: Docker, name: str) -> None:
    """Wait until something is true of a container. Raises AssertionError with its log."""
    end = time.monotonic() + 120
    while not true():
        running = docker("inspect", "--format", "{{.State.Running}}", name) == "true"
        assert running, docker.attempt("logs", name).stderr
        assert time.monotonic() < end, docker.attempt("logs", name).stderr
        time.sleep(0.05)


def ended(docker: Docker, name: str) -> int:
    """Ask a container to end, as every platform does; its exit code, 137 if it had to be killed."""
    docker("stop", "--time", "60", name)
    return int(docker("inspect", "--format", "{{.State.ExitCode}}", name))


def test_every_step_runs_in_the_trainer(docker: Docker, trainer_image: Built) -> None:
    """A package or a file that the image lacks ends a run in a cloud after the machine was paid."""
    flags = (ANYBODY, "--env=MLFLOW_TRACKING_URI=sqlite:////tmp/mlflow.db")
    assert docker.run(trainer_image.id, "sh", "-c", STEPS, flags=flags) == "1"


def test_the_trainer_can_deploy_to_every_place(docker: Docker, trainer_image: Built) -> None:
    """deploy runs in a container of the place itself: without its SDK a run ends at its last step.

    Each place makes its client, with credentials that nobody has; none is sent.
    """
    flags = ("--env=AWS_ACCESS_KEY_ID=x", "--env=AWS_SECRET_ACCESS_KEY=x")
    assert docker.run(trainer_image.id, "python", "-c", CLIENTS, flags=flags) == "all"


def test_a_step_that_is_the_first_process_ends_when_it_is_asked_to(
    docker: Docker, trainer_image: Built
) -> None:
    """The kernel drops SIGTERM for process 1: a platform would wait for long, and then kill it."""
    code = (
        "import time; from components import contract;"
        "contract.run(lambda: (print('began', flush=True), time.sleep(600)))"
    )
    with started(docker, trainer_image.id, "python", "-c", code) as name:
        until(lambda: docker("logs", name) == "began", docker, name)
        assert ended(docker, name) == 143


def test_training_saves_a_checkpoint_before_it_ends(
    docker: Docker, trainer_image: Built, tmp_path: Path
) -> None:
    """What a spot machine has trained when it is taken away must not be lost."""
    write_digits(tmp_path / "data")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    kept = tmp_path / "out/kept"
    flags = (
        ANYBODY, f"--volume={tmp_path}/data:/data:ro", f"--volume={tmp_path}/out:/out",
        "--env=TREFOIL_CHECKPOINTS=/out/kept",
    )  # fmt: skip
    config = json.dumps({"steps": 1_000_000, "hidden": 32, "checkpoint_seconds": 3600})
    command = [
        "python", "-m", "components.train", "--dataset", "/data", "--recipe", "vae",
        "--seed", "0", "--model", "/out/model", "--config", config,
    ]  # fmt: skip
    with started(docker, *flags, trainer_image.id, *command) as name:
        until(lambda: "step" in docker.attempt("logs", name).stderr, docker, name)
        assert not list(kept.glob("*"))
        assert ended(docker, name) == 143
        assert "stopped on request" in docker.attempt("logs", name).stderr
    assert list(kept.glob("*"))
    assert not (tmp_path / "out/model").exists()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model that everybody may read."""
    return write_model(tmp_path / "model")


def asked(docker: Docker, name: str, path: str, body: object = None) -> str:
    """What the server answers within its container, at an address that is not loopback's first.

    Whoever listens on 127.0.0.1 alone does not hear it, and no published port would reach it.
    """
    code = (
        "import sys, urllib.request as r;"
        "data = sys.argv[2].encode() or None;"
        "print(r.urlopen(r.Request(f'http://127.0.0.2:8080{sys.argv[1]}', data)).read().decode())"
    )
    text = "" if body is None else json.dumps(body)
    done = docker.attempt("exec", name, "python", "-c", code, path, text)
    return done.stdout


def test_the_server_serves_a_model_mounted_read_only(
    docker: Docker, server_image: Built, model: Path
) -> None:
    """This is how every platform starts it: a model at /opt/ml/model, and nothing else."""
    flags = (ANYBODY, f"--volume={model}:/opt/ml/model:ro")
    with started(docker, *flags, server_image.id) as name:
        until(lambda: bool(asked(docker, name, "/ready")), docker, name)
        z = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 16)
        answer = json.loads(asked(docker, name, "/sample", {"z": z.tolist()}))
        np.testing.assert_allclose(answer["images"], decode(model, z), rtol=1e-3, atol=1e-5)
        assert ended(docker, name) == 0


def test_the_server_is_started_as_sagemaker_does(
    docker: Docker, server_image: Built, model: Path
) -> None:
    """SageMaker gives the one argument ``serve`` and asks /ping."""
    with started(docker, f"--volume={model}:/opt/ml/model:ro", server_image.id, "serve") as name:
        until(lambda: bool(asked(docker, name, "/ready")), docker, name)
        assert docker.attempt("exec", name, "python", "-c", _PING).returncode == 0


_PING = "import urllib.request as r; assert r.urlopen('http://127.0.0.1:8080/ping').status == 200"


def test_the_server_says_what_is_wrong_with_a_model(
    docker: Docker, server_image: Built, tmp_path: Path
) -> None:
    """A folder mounted in the wrong place is the first mistake one makes."""
    done = docker.attempt("run", "--rm", *SHUT, server_image.id)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "/opt/ml/model" in done.stderr


def test_the_server_holds_neither_torch_nor_the_steps(docker: Docker, server_image: Built) -> None:
    """What is not there needs no update, and no pickle can be loaded by what is not there."""
    code = (
        "import importlib.util as u;"
        "print([n for n in ('torch', 'mlflow', 'sklearn', 'infra', 'components.train', 'pip')"
        " if u.find_spec(n)])"
    )
    assert docker.run(server_image.id, "-c", code, flags=("--entrypoint=python",)) == "[]"
