"""An image in a registry is named by the digest of its manifest."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from infra.errors import ProviderError
from infra.images import Built, push
from tests.docker import DOCKER, Docker
from tests.infra.images.registry import registry

pytestmark = DOCKER


@pytest.fixture
def small(docker: Docker, tmp_path: Path) -> Built:
    """An image of one file."""
    tar = tmp_path / "image.tar"
    with tarfile.open(tar, "w") as file:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        file.addfile(entry, io.BytesIO(b"hello"))
    return Built("trefoil-server", docker("import", str(tar)), "0123456789ab", "0123", 1.0)


def test_a_pushed_image_is_known_by_its_digest(small: Built) -> None:
    """A cloud starts what the digest names; a wrong one starts nothing, or something else."""
    lines: list[str] = []
    with registry() as found:
        pushed = push.push(small, f"{found.host}/team/", lines.append)
        name = f"{found.host}/team/trefoil-server"
        digest, manifest = found.manifest("team/trefoil-server", small.tag)
        assert pushed.digest == f"{name}@{digest}"
        assert manifest["config"]["digest"] == small.id  # type: ignore[index]
        assert small.id in found.blobs
        assert pushed._replace(digest="") == small
        assert any("Pushed" in line for line in lines)
        again = push.push(pushed, f"{found.host}/other", lines.append)
        assert again.digest.startswith(f"{found.host}/other/trefoil-server@")


def test_a_registry_that_cannot_be_reached_is_told_in_docker_s_words(small: Built) -> None:
    """The reason, such as a login that is missing, is docker's to tell."""
    with pytest.raises(ProviderError, match="docker push failed:"):
        push.push(small, "127.0.0.1:1/nobody", lambda _: None)
