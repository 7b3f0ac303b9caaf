"""``docker build`` of one image, with BuildKit where it is there and without where it is not."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from infra import docker
from infra.errors import InputError
from infra.images import revision
from infra.images.catalogue import BASE, CONTENTS, ROOT, SBOM, Image
from infra.images.record import Built
from infra.plan import SCHEMA

Say: TypeAlias = Callable[[str], None]

_MOUNT = re.compile(r"--mount=\S+\s+(?:\\\n\s+)?")


class Options(NamedTuple):
    """How to build. ``ca`` is a file of certificates to trust while packages are fetched.

    ``flags`` are for ``docker build`` itself.
    """

    base: str = BASE
    cuda: bool = False
    ca: Path | None = None
    flags: tuple[str, ...] = ()


def build(image: Image, options: Options, say: Say) -> Built:
    """Build an image, docker's lines going to ``say``. Raises TrefoilError."""
    if options.ca and not options.ca.is_file():
        raise InputError(f"the certificates {options.ca} do not exist")
    text = image.file.read_text(encoding="utf-8")
    code = revision.of(ROOT, CONTENTS)
    cuda = options.cuda and "ARG TORCH" in text
    tag = f"{code.tag}-cuda" if cuda else code.tag
    labels = {"org.opencontainers.image.revision": code.text, "trefoil.plan.schema": str(SCHEMA)}
    mounts = knows_mounts()
    arguments = ["--tag", f"{image.name}:{tag}", *_arguments(options, mounts, say)]
    if cuda:
        arguments += ["--build-arg", "TORCH=cuda"]
    for name, value in labels.items():
        arguments += ["--label", f"{name}={value}"]
    found = _docker_build(ROOT, text if mounts else without_mounts(text), arguments, mounts, say)
    return Built(image.name, found, tag, code.text, time.time())


def packages(built: Built) -> str:
    """What an image lists of its packages: CycloneDX's JSON. Raises TrefoilError."""
    return docker.ask("run", "--rm", "--network=none", "--entrypoint=cat", built.id, SBOM)


def knows_mounts() -> bool:
    """Whether ``docker build`` is BuildKit: built in until version 22, a plugin from 23 on."""
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        return False
    major = docker.ask("version", "--format", "{{.Client.Version}}").partition(".")[0]
    built_in = major.isdigit() and int(major) < 23
    return built_in or docker.attempt("buildx", "version").returncode == 0


def without_mounts(dockerfile: str) -> str:
    """The same Dockerfile for the classic builder, which refuses one that mounts."""
    return _MOUNT.sub("", dockerfile)


def _arguments(options: Options, mounts: bool, say: Say) -> list[str]:
    """What the Dockerfile is told. Where to find packages, the environment alone says.

    There may be a password in it, and a command line is for everyone to read.
    """
    arguments = [*options.flags, "--build-arg", f"BASE_IMAGE={options.base}"]
    arguments += ["--build-arg", "PIP_INDEX_URL", "--build-arg", "PIP_EXTRA_INDEX_URL"]
    links = os.environ.get("PIP_FIND_LINKS", "")
    folder = Path(links) if links and Path(links).is_dir() else None
    arguments += ["--build-arg", "PIP_FIND_LINKS=/wheels" if folder else "PIP_FIND_LINKS"]
    if options.ca and mounts:
        arguments += ["--secret", f"id=ca,src={options.ca.absolute()}"]
    ca = None if mounts else options.ca
    if ca or folder:
        place = _build_image(options.base, ca, folder, mounts, say)
        arguments += ["--build-arg", f"BUILD_IMAGE={place}"]
    return arguments


def _build_image(base: str, ca: Path | None, folder: Path | None, mounts: bool, say: Say) -> str:
    """Make the image to fetch packages in: the base with a CA, or with a folder of wheels.

    It stays on this daemon, and nothing but installed packages is copied out of it.
    """
    if ca:
        with tempfile.TemporaryDirectory() as place:
            shutil.copy(ca, Path(place, "ca"))
            text = f"FROM {base}\nCOPY ca /run/secrets/ca\n"
            base = _tagged(_docker_build(Path(place), text, [], mounts, say))
    if folder:
        base = _tagged(_docker_build(folder, f"FROM {base}\nCOPY . /wheels\n", [], mounts, say))
    return base


def _tagged(found: str) -> str:
    """A name for an image, since BuildKit takes an id in FROM for a name to pull."""
    name = f"trefoil-build:{found.removeprefix('sha256:')[:12]}"
    docker.ask("tag", found, name)
    return name


def _docker_build(
    context: Path, dockerfile: str, arguments: list[str], mounts: bool, say: Say
) -> str:
    """Run ``docker build``; returns the image's id."""
    with tempfile.TemporaryDirectory() as place:
        file, told = Path(place, "Dockerfile"), Path(place, "id")
        file.write_text(dockerfile, encoding="utf-8")
        docker.follow(
            ["build", f"--file={file}", f"--iidfile={told}", *arguments, str(context)],
            say,
            {"DOCKER_BUILDKIT": str(int(mounts))},
        )
        return told.read_text(encoding="utf-8").strip()
