"""Images in a registry, where they are named by the digest of their manifest."""

from __future__ import annotations

import json
from collections.abc import Callable

from infra import docker
from infra.errors import InputError
from infra.images.record import Built


def push(built: Built, registry: str, say: Callable[[str], None]) -> Built:
    """Push an image to REGISTRY/NAME:TAG; returns it with its digest. Raises TrefoilError."""
    name = f"{registry.rstrip('/')}/{built.name}"
    target = f"{name}:{built.tag}"
    if not docker.identities([built.id]):
        raise InputError(
            f"this Docker daemon does not have {built.reference}, built elsewhere or removed; "
            f"build it here: python -m pipelines image build {built.name}"
        )
    docker.ask("tag", built.id, target)
    docker.follow(("push", target), say)
    digests: list[str] = json.loads(
        docker.ask("image", "inspect", "--format={{json .RepoDigests}}", built.id)
    )
    return built._replace(digest=next(each for each in digests if each.startswith(f"{name}@")))
