"""The images are built and run for real."""

from __future__ import annotations

from infra.images import Built
from tests.docker import DOCKER
from tests.dockerd import Docker

pytestmark = DOCKER


def test_the_base_image_runs_python_as_nobody(docker: Docker, noop_image: str) -> None:
    """Every test of the docker runner stands on this image."""
    code = "import os, sys; print(os.getuid(), sys.version_info[:2])"
    assert docker.run(noop_image, "python", "-c", code) == "10001 (3, 11)"


def test_the_trainer_imports_every_step(docker: Docker, trainer_image: Built) -> None:
    """A step whose import fails in its image would end every run in a container."""
    code = (
        "import importlib;"
        "steps = 'champion evaluate prepare register deploy report serve train';"
        "[importlib.import_module(f'components.{step}') for step in steps.split()]"
    )
    docker.run(trainer_image.id, "python", "-c", code, flags=("--user=12345:54321",))
