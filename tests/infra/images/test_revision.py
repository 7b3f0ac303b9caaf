"""An image's tag says which code is in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.images import revision

CONTENTS = ("lock", "rooms")


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(root), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/a.py").write_text("a = 1\n")
    (tmp_path / "lock").write_text("b==1\n")
    (tmp_path / "README").write_text("c\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_a_commit_names_the_image(checkout: Path) -> None:
    """From the tag alone one must find the code."""
    commit = git(checkout, "rev-parse", "HEAD")
    assert revision.of(checkout, CONTENTS) == revision.Revision(commit[:12], commit)


@pytest.mark.parametrize("what", ["changed", "new", "staged", "deleted"])
def test_what_is_not_committed_is_told(checkout: Path, what: str) -> None:
    """An image that claims a commit it is not made of cannot be looked into later."""
    commit = git(checkout, "rev-parse", "HEAD")
    if what == "changed":
        (checkout / "rooms/a.py").write_text("a = 2\n")
    elif what == "deleted":
        (checkout / "rooms/a.py").unlink()
    else:
        (checkout / "rooms/b.py").write_text("b = 2\n")
    if what == "staged":
        git(checkout, "add", "rooms/b.py")
    found = revision.of(checkout, CONTENTS)
    assert found.text == f"{commit}+dirty"
    assert len(found.tag) == 21
    assert found.tag.startswith(f"{commit[:12]}-")


def test_two_uncommitted_states_have_two_tags_and_one_has_one(checkout: Path) -> None:
    """Otherwise a cluster would run an old image under the tag of a new one."""
    tags = []
    for text in ("a = 2\n", "a = 3\n", "a = 2\n"):
        (checkout / "rooms/a.py").write_text(text)
        tags.append(revision.of(checkout, CONTENTS).tag)
    assert tags[0] == tags[2] != tags[1]


def test_what_no_image_holds_makes_none_dirty(checkout: Path) -> None:
    """A note in the README or a compiled file must not cost a new image."""
    before = revision.of(checkout, CONTENTS)
    (checkout / "README").write_text("d\n")
    (checkout / "rooms/a.pyc").write_text("")
    assert revision.of(checkout, CONTENTS) == before


def test_a_folder_without_git_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """An archive of the code has no commit to name an image by."""
    with pytest.raises(InputError, match="images are named by commit, and git cannot tell it"):
        revision.of(tmp_path, CONTENTS)
