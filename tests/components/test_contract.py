"""What a step leaves appears whole, also where folders cannot be renamed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from components import contract


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system like a mounted bucket's: it renames files, and no folders."""
    rename = Path.rename

    def renamed(self: Path, target: Path) -> Path:
        if self.is_dir():
            raise OSError(errno.EMFILE, "Too many open files", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)


@pytest.mark.usefixtures("mounted")
def test_a_folder_reaches_a_mounted_bucket(tmp_path: Path) -> None:
    """Vertex AI mounts buckets; a model that was trained for hours must not be lost there."""
    for text in ("before", "after"):
        with contract.output_directory(tmp_path / "model") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "weights").write_text(text)
    assert (tmp_path / "model/deep/weights").read_text() == "after"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("mounted")
def test_half_a_folder_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next step would read it as if it were all."""

    def full(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "first").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    with (
        pytest.raises(OSError, match="No space"),
        contract.output_directory(tmp_path / "model") as folder,
    ):
        (folder / "first").write_text("whole")
    assert list(tmp_path.iterdir()) == []
