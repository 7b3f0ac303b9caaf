"""Our images in the node, by their tags: it asks no registry for them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from infra import docker
from infra.errors import InputError
from infra.images import record
from infra.images.catalogue import IMAGES
from infra.images.record import Built
from infra.kind.cluster import NAME, NODE, tools
from infra.kind.cluster.tools import Say


def built(workspace: Path) -> list[Built]:
    """The images that ``image build`` noted; none where none was. Raises InputError."""
    found = [record.find(workspace, name) for name in IMAGES]
    return [each for each in found if each]


def load(images: Iterable[Built], say: Say) -> list[str]:
    """Load what the node has not; what was loaded. Raises InputError, ToolFailed."""
    there = in_node()
    missing = [each for each in images if there.get(full(each.reference)) != each.id]
    here = docker.identities(each.reference for each in missing)
    for image in missing:
        if here.get(image.reference) != image.id:
            raise InputError(
                f"Docker has no {image.reference} as it was built; build it again: "
                f"python -m pipelines image build {image.name}"
            )
        say(f"▶ loading {image.reference}")
        tools.follow("kind", "load", "docker-image", image.reference, "--name", NAME,
                     timeout=600, say=say)  # fmt: skip
    return [image.reference for image in missing]


def ours() -> list[str]:
    """The images of ours that the node has, newest code or not."""
    return sorted(tag for tag in in_node() if tag.partition(":")[0] in {full(n) for n in IMAGES})


def in_node() -> dict[str, str]:
    """Tag -> ID of every image that the node has."""
    found = json.loads(docker.ask("exec", NODE, "crictl", "images", "--output", "json"))
    return {tag: image["id"] for image in found["images"] for tag in image.get("repoTags") or []}


def full(reference: str) -> str:
    """A reference as the node has it, with the registry that Docker leaves out."""
    return f"docker.io/library/{reference}"
