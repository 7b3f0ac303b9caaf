"""The files that images are made by: well-formed, in step with the project, and nothing more."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infra.images import build, catalogue
from infra.images.catalogue import IMAGES, ROOT, Image

EVERY = pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)


@EVERY
def test_hadolint_finds_nothing(image: Image) -> None:
    """What it finds is a known trap: a shell form that swallows signals, a tag that moves."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, image.file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@EVERY
def test_nothing_moves_under_an_image(image: Image) -> None:
    """A frontend or a base that nobody chose would change an image behind our back."""
    text = image.file.read_text()
    bases = re.findall(r"(?m)^FROM (\S+)", text)
    assert set(bases) <= {"${BASE_IMAGE}", "${BUILD_IMAGE}", "tools"}
    assert "syntax=" not in text
    assert f"ARG BASE_IMAGE={catalogue.BASE}\n" in text


@EVERY
def test_the_last_stage_takes_nothing_but_packages_and_code(image: Image) -> None:
    """A CA, an index or a wheel that a last stage sees would travel with the image."""
    last = image.file.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"(?m)^(?:COPY|ADD) .*", last) == [
        "COPY --from=packages /opt/venv /opt/venv",
        "COPY --from=code /app /app",
    ]
    assert not re.search(r"(?m)^(ARG|RUN) ", last)
    assert "PIP_" not in last


@EVERY
def test_the_classic_builder_is_given_the_same_file_less_its_mounts(image: Image) -> None:
    """Docker without BuildKit refuses the whole file for one --mount."""
    text = image.file.read_text()
    plain = build.without_mounts(text)
    assert "--mount" in text
    assert "--mount" not in plain
    assert re.findall(r"(?m)^RUN (.*)", plain)[0] == "sh packages.sh tools"
    assert len(re.findall(r"(?m)^[A-Z]+ ", plain)) == len(re.findall(r"(?m)^[A-Z]+ ", text))


@EVERY
def test_the_extras_of_an_image_are_those_of_the_project(image: Image) -> None:
    """uv only warns of an extra that there is not, and the image would lack its packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = re.findall(r"packages\.sh choose (.*)", image.file.read_text())
    assert set(found[0].split()) <= set(project["project"]["optional-dependencies"])


def test_the_builder_is_given_the_contents_and_nothing_else() -> None:
    """What is dirty is judged by these paths, and a builder sees no data, keys or workspace."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert tuple(rule[1:] for rule in rules if rule[0] == "!") == catalogue.CONTENTS
    assert {"**/.*", "**/__pycache__", "**/*.pem", "**/*.key"} <= set(rules)


def test_images_are_made_by_the_uv_that_makes_the_environment() -> None:
    """Two versions would resolve one lock file in two ways."""
    makefile = re.findall(r"uv==([\d.]+)", (ROOT / "Makefile").read_text())
    inside = re.findall(r"uv==([\d.]+)", (ROOT / "infra/images/packages.sh").read_text())
    assert set(makefile) == set(inside)
    assert len(inside) == 1
