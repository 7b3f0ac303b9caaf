"""Which code an image is made of: a commit, and a digest of the content where that differs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError


class Revision(NamedTuple):
    """``tag`` is short and names the content; ``text`` is the commit, with +dirty if it differs."""

    tag: str
    text: str


def of(root: Path, contents: Sequence[str]) -> Revision:
    """The revision of some paths of a checkout. Raises InputError where git knows no commit."""
    commit = _git(root, "rev-parse", "HEAD")
    if not _git(root, "status", "--porcelain", "--untracked-files=all", "--", *contents):
        return Revision(commit[:12], commit)
    return Revision(f"{commit[:12]}-{_digest(root, contents)[:8]}", f"{commit}+dirty")


def _digest(root: Path, contents: Sequence[str]) -> str:
    """SHA-256 of every file, tracked or new, that git does not ignore."""
    listed = _git(root, "ls-files", "-z", "-co", "--exclude-standard", "--", *contents)
    found = hashlib.sha256()
    for name in sorted(set(listed.split("\0"))):
        file = root / name
        if name and file.is_file():  # not if it was deleted
            inner = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(f"{name}\0{inner}\n".encode())
    return found.hexdigest()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError("images are named by commit, and git is not on PATH") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason told"])[-1]
        raise InputError(f"images are named by commit, and git cannot tell it: {reason}")
    return done.stdout.strip()
