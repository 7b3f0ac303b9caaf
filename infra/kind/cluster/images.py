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
    """Load what the node has not; what was loaded. Raises InputError, ToolFailed.

    Docker and the node may count an image's ID in two ways; an annotation of the node says which
    of Docker's IDs it was loaded from.
    """
    tags, notes = in_node(), _notes()
    missing = [
        each
        for each in images
        if full(each.reference) not in tags or notes.get(_note(each)) != each.id
    ]
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
        tools.kubectl("annotate", "--overwrite", "node", NODE, f"{_note(image)}={image.id}")
    return [image.reference for image in missing]


def ours() -> list[str]:
    """The images of ours that the node has, of this code or of older."""
    names = {full(name) for name in IMAGES}
    return [tag for tag in in_node() if tag.rpartition(":")[0] in names]


def in_node() -> list[str]:
    """The tags of every image that the node has."""
    found = json.loads(docker.ask("exec", NODE, "crictl", "images", "--output", "json"))
    return sorted(tag for image in found["images"] for tag in image.get("repoTags") or [])


def full(reference: str) -> str:
    """A reference as the node has it, with the registry that Docker leaves out."""
    return f"docker.io/library/{reference}"


def _note(image: Built) -> str:
    return f"trefoil/{image.name}"


def _notes() -> dict[str, str]:
    node = json.loads(tools.kubectl("get", "node", NODE, "-o", "json"))
    notes: dict[str, str] = node["metadata"].get("annotations") or {}
    return notes
