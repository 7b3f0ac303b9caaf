"""``python -m pipelines image``: what docker is asked, and what a person is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.images import Built, catalogue, find, record

ID = "sha256:" + "ab" * 32
SBOM = '{"bomFormat": "CycloneDX"}'
Answer = tuple[str, str, int]


class Fake:
    """A docker program that answers by a table: its first one or two words -> what it prints."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.bin = place / "bin"
        self.bin.mkdir()
        program = self.bin / "docker"
        shutil.copy(Path(__file__).with_name("fake_docker.py"), program)
        program.chmod(0o755)
        self.answers: dict[str, Answer] = {
            "version --format": ("28.0.1", "", 0),
            "buildx version": ("github.com/docker/buildx v0.20", "", 0),
            "image inspect": (ID, "", 0),
            "run --rm": (SBOM, "", 0),
        }

    def asked(self, word: str) -> list[dict[str, Any]]:
        lines = (self.place / "asked").read_text().splitlines()
        return [told for told in map(json.loads, lines) if told["words"][0] == word]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A docker program that can do all and does nothing."""
    return Fake(tmp_path)


@pytest.fixture
def image(fake: Fake, workspace: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the verb with the fake docker on PATH."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (fake.place / "answers").write_text(json.dumps(fake.answers))
        return subprocess.run(
            [sys.executable, "-m", "pipelines", "image", *words],
            cwd=catalogue.ROOT,
            env={
                **{name: value for name, value in os.environ.items() if "PIP_" not in name},
                "PATH": f"{fake.bin}:/usr/bin:/bin",
                "FAKE_DOCKER": str(fake.place),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


Image = Callable[..., subprocess.CompletedProcess[str]]


def test_build_notes_the_image_and_its_packages(image: Image, fake: Fake, workspace: Path) -> None:
    """A runner finds an image by this record; without it every build would be lost."""
    done = image("build", "trefoil-server")
    assert done.returncode == 0, done.stderr
    built = find(workspace, "trefoil-server")
    assert built is not None
    assert built.id == ID
    assert done.stdout == f"{built.reference}  {ID}\n"
    assert json.loads((workspace / "trefoil-server.cdx.json").read_text()) == json.loads(SBOM)
    [build] = fake.asked("build")
    assert ["--tag", built.reference] == build["words"][3:5]
    assert f"org.opencontainers.image.revision={built.revision}" in build["words"]
    assert f"BASE_IMAGE={catalogue.BASE}" in build["words"]
    assert build["words"][-1] == str(catalogue.ROOT)


def test_buildkit_is_given_mounts_and_the_ca_as_a_secret(
    image: Image, fake: Fake, tmp_path: Path
) -> None:
    """A secret is in no layer and in no cache, a copied file is."""
    (tmp_path / "ca.pem").write_text("x")
    assert image("build", "trefoil-trainer", "--ca", str(tmp_path / "ca.pem")).returncode == 0
    [build] = fake.asked("build")
    assert build["buildkit"] == "1"
    assert "--mount=type=secret,id=ca" in build["dockerfile"]
    assert f"id=ca,src={tmp_path}/ca.pem" in build["words"]


def test_the_classic_builder_is_given_the_ca_in_an_image_to_build_in(
    image: Image, fake: Fake, tmp_path: Path
) -> None:
    """It knows no secrets; what it copies must stay out of the image itself."""
    (tmp_path / "ca.pem").write_text("x")
    fake.answers["buildx version"] = ("", "docker: unknown command: docker buildx", 1)
    assert image("build", "trefoil-trainer", "--ca", str(tmp_path / "ca.pem")).returncode == 0
    first, second = fake.asked("build")
    assert first["dockerfile"] == f"FROM {catalogue.BASE}\nCOPY ca /run/secrets/ca\n"
    assert second["buildkit"] == "0"
    assert "RUN --mount" not in second["dockerfile"]
    assert "BUILD_IMAGE=trefoil-build:abababababab" in second["words"]
    assert f"BASE_IMAGE={catalogue.BASE}" in second["words"]
    assert "--secret" not in second["words"]


def test_where_packages_are_comes_from_the_environment(
    image: Image, fake: Fake, tmp_path: Path
) -> None:
    """An index with a password on a command line would be for everyone on the machine to read."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    index = "https://me:secret@example.test/simple"
    image("build", "trefoil-trainer", PIP_INDEX_URL=index, PIP_FIND_LINKS=str(wheels))
    first, second = fake.asked("build")
    assert first["words"][-1] == str(wheels)
    assert "PIP_FIND_LINKS=/wheels" in second["words"]
    assert "PIP_INDEX_URL" in second["words"]
    assert "secret@" not in (fake.place / "asked").read_text()


def test_links_that_are_an_address_are_handed_on(image: Image, fake: Fake) -> None:
    """Only a folder of this machine has to be copied to where a build sees it."""
    links = "https://me:secret@example.test/wheels"
    image("build", "trefoil-trainer", PIP_FIND_LINKS=links)
    [build] = fake.asked("build")
    assert "PIP_FIND_LINKS" in build["words"]
    assert build["links"] == links
    assert "secret@" not in " ".join(build["words"])


def test_cuda_is_asked_for_where_there_is_torch(image: Image, fake: Fake, workspace: Path) -> None:
    """A tag shared by a CPU and a CUDA image would run the wrong one on one of the two."""
    assert image("build", "--cuda", "--docker-flag=--no-cache").returncode == 0
    trainer, server = (build["words"] for build in fake.asked("build"))
    assert "TORCH=cuda" in trainer
    assert "TORCH=cuda" not in server
    assert "--no-cache" in trainer
    found = [find(workspace, name) for name in catalogue.IMAGES]
    assert [each.tag.endswith("-cuda") for each in found if each] == [True, False]


def test_a_failing_build_tells_its_last_lines_and_notes_nothing(
    image: Image, fake: Fake, workspace: Path
) -> None:
    """The cause is at the end of what docker printed."""
    lines = "\n".join([*(f"line {number}" for number in range(40)), "no space left on device"])
    fake.answers["build"] = (lines, "", 1)
    done = image("build", "trefoil-server")
    assert done.returncode == 1
    error = done.stderr.partition("error: ")[2]
    assert error.startswith("docker build failed:")
    assert "no space left on device" in error
    assert "line 30" in error
    assert "line 3\n" not in error
    assert find(workspace, "trefoil-server") is None


def test_no_daemon_is_told_in_one_sentence(image: Image, fake: Fake) -> None:
    """The commonest reason on a laptop: Docker Desktop is not started."""
    said = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
    fake.answers["version --format"] = ("", said, 1)
    done = image("build")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Cannot connect to the Docker daemon at unix:///x" in done.stderr


def test_no_docker_is_told_in_one_sentence(image: Image, fake: Fake) -> None:
    """Nobody should read a traceback about a file that is not there."""
    (fake.bin / "docker").unlink()
    (fake.bin / "git").symlink_to(shutil.which("git") or "git")
    done = image("build", PATH=str(fake.bin))
    assert done.returncode == 1
    assert done.stderr == (
        "error: the program docker is not on PATH; install Docker, or run without it\n"
    )


WRONG = [
    (["build", "trefoil-trianer"], "there is no image trefoil-trianer; did you mean trefoil-train"),
    (["build", "--ca", "no/such/file"], "the certificates no/such/file do not exist"),
    (["digest"], "trefoil-trainer has not been built in "),
    (["push", "trefoil-server", "--registry", "r"], "trefoil-server has not been built in "),
    (["rename"], "invalid choice: 'rename'"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_a_mistake_costs_one_sentence(
    image: Image, fake: Fake, words: list[str], said: str
) -> None:
    """Nothing is asked of docker for what cannot be meant."""
    done = image(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (fake.place / "asked").exists()


def test_push_wants_a_registry(image: Image, workspace: Path) -> None:
    """A guess would send an image to a public place."""
    record.remember(workspace, Built("trefoil-server", ID, "a", "a", 1.0))
    done = image("push", "trefoil-server")
    assert (done.returncode, done.stderr) == (
        2, "error: a registry is needed, such as --registry ghcr.io/somebody\n",
    )  # fmt: skip


def test_push_of_an_image_that_is_gone_is_told(image: Image, fake: Fake, workspace: Path) -> None:
    """Another machine built it, or somebody removed it."""
    record.remember(workspace, Built("trefoil-server", ID, "a", "a", 1.0))
    fake.answers["image inspect"] = ("", "Error: No such image", 1)
    done = image("push", "trefoil-server", "--registry", "r/")
    assert done.returncode == 2
    assert "does not have trefoil-server:a" in done.stderr


def test_json_is_the_one_document_on_stdout(image: Image, workspace: Path) -> None:
    """Docker's own lines on stdout would break whoever parses it."""
    done = image("build", "--json")
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == list(catalogue.IMAGES)
    assert json.loads(image("digest", "--json").stdout) == rows
