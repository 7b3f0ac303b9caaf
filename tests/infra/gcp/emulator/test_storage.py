"""Cloud Storage's stand-in, by Google's own client as it is.

What it does not keep to would be kept to by nobody: records of runs are put once by a condition.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.gcp.emulator.cloud import standing
from tests.infra.gcp.lowering import SETTINGS
from tests.infra.gcp.running import ACCOUNT

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The bucket, by a client that finds it by the environment alone."""
    with standing(ACCOUNT, tmp_path_factory.mktemp("cloud"), {}):
        from google.cloud import storage

        yield storage.Client(project=SETTINGS.project).bucket(SETTINGS.bucket)


def test_objects_come_back_as_they_were_put(bucket: Any) -> None:
    for name, content in {"a/text": b"abc", "a/none": b"", "a/all": bytes(range(256))}.items():
        blob = bucket.blob(name)
        blob.upload_from_string(content)
        assert bucket.blob(name).download_as_bytes() == content
        blob.reload()
        assert blob.size == len(content)


def test_large_objects_come_in_pieces(bucket: Any, tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 17)
    file = tmp_path / "large"
    file.write_bytes(content)
    blob = bucket.blob("large", chunk_size=2**20)
    blob.upload_from_filename(str(file))
    assert bucket.blob("large").download_as_bytes() == content
    assert bucket.blob("large").download_as_bytes(start=5, end=9) == content[5:10]
    back = tmp_path / "back"
    bucket.blob("large", chunk_size=2**20).download_to_filename(str(back))
    assert back.read_bytes() == content


def test_an_object_is_put_once_by_its_generation(bucket: Any) -> None:
    from google.api_core.exceptions import PreconditionFailed

    bucket.blob("once").upload_from_string(b"first", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("once").upload_from_string(b"second", if_generation_match=0)
    blob = bucket.get_blob("once")
    blob.upload_from_string(b"third", if_generation_match=blob.generation)
    assert bucket.blob("once").download_as_bytes() == b"third"
    with pytest.raises(PreconditionFailed):
        bucket.blob("once").delete(if_generation_match=1)


def test_lists_know_prefixes_and_folders(bucket: Any) -> None:
    for name in ("l/a", "l/b/c", "l/b/d"):
        bucket.blob(name).upload_from_string(name)
    assert [each.name for each in bucket.list_blobs(prefix="l/")] == ["l/a", "l/b/c", "l/b/d"]
    listed = bucket.list_blobs(prefix="l/", delimiter="/")
    assert [each.name for each in listed] == ["l/a"]
    assert set(listed.prefixes) == {"l/b/"}
    assert len(list(bucket.list_blobs(prefix="l/", page_size=1))) == 3


def test_objects_are_copied_and_removed(bucket: Any) -> None:
    from google.api_core.exceptions import NotFound

    source = bucket.blob("from")
    source.upload_from_string(b"x")
    bucket.copy_blob(source, bucket, "to")
    source.delete()
    assert not bucket.blob("from").exists()
    assert bucket.blob("to").download_as_bytes() == b"x"
    with pytest.raises(NotFound):
        bucket.blob("from").delete()
    with pytest.raises(NotFound):
        bucket.client.get_bucket("nobodys")
