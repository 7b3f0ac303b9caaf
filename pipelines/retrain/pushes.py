"""What a push means: which pins it changed, from which MD5 to which.

The list of commits in the event is not asked: GitHub cuts it off, and what an action is given has
no files in it. Git compares the trees before and after. Where it has not the one before (a new
branch, a force push, a shallow clone), nobody can say what changed, and every pin is held against
what the last run learnt from.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError
from pipelines.data.pins import DATA, Pin, parse, pin_of
from pipelines.retrain.trigger import Trigger


class Change(NamedTuple):
    """A pin that a push changed, or may have.

    ``name`` is what the repository calls its file, from wherever one looks; ``was`` the MD5 before,
    empty where it was not pinned, None where nobody knows. ``pin`` is None where it was deleted.
    """

    file: Path
    name: str
    was: str | None
    pin: Pin | None

    def words(self) -> str:
        """What became of it."""
        if self.pin is None:
            return f"{self.name} was deleted: there is nothing to learn from"
        if self.was is None:
            return f"{self.name} pins {self.pin.md5}, and what it was before cannot be seen here"
        if not self.was:
            return f"{self.name} is new: {self.pin.md5}"
        if self.was == self.pin.md5:
            return f"{self.name} pins what it pinned before, {self.was}"
        return f"{self.name} changed from {self.was} to {self.pin.md5}"

    @property
    def matters(self) -> bool:
        """Whether there is something new to learn, as far as is known."""
        return self.pin is not None and self.was != self.pin.md5


def ignored(trigger: Trigger, branch: str) -> str:
    """Why a push is none to retrain for, whatever it changed; empty where it may be one."""
    wanted = f"refs/heads/{branch or trigger.branch}"
    if trigger.ref != wanted:
        return f"it is a push to {trigger.ref}, and models are retrained from {wanted}"
    return "" if trigger.after else f"{trigger.ref} was deleted"


def changes(trigger: Trigger) -> list[Change]:
    """The pins that a push changed, or may have. Raises InputError where one is damaged."""
    before, after = trigger.before, trigger.after
    if not (before and _has(before) and _has(after)):
        pins = map(_here, sorted(_data().glob("*.dvc")))
        return [Change(pin.file, _named(pin.file), None, pin) for pin in pins]
    words = ("diff", "--name-only", "--no-renames", "-z", before, after, "--", ":(top)*.dvc")
    return [_change(name, before, after) for name in (_git(*words) or "").split("\0") if name]


def _change(name: str, before: str, after: str) -> Change:
    old, new = (_git("show", f"{commit}:{name}") for commit in (before, after))
    file = Path(os.path.relpath(_top() / name))
    was = _was(old, file) if old is not None else ""
    if new is None:
        return Change(file, name, was, None)
    pushed = parse(new, file)
    here = _here(file) if file.is_file() else None
    if here != pushed:
        raise InputError(
            f"the push has {name} at {pushed.md5}, and this checkout "
            f"{f'at {here.md5}' if here else 'has none'}: check out {after}"
        )
    return Change(file, name, was, pushed)


def _top() -> Path:
    """The way from here to the top of the repository."""
    return Path((_git("rev-parse", "--show-cdup") or "").rstrip())


def _data() -> Path:
    """Where pins lie: here, else at the top of the repository."""
    return DATA if DATA.is_dir() else Path(os.path.relpath(_top() / DATA))


def _named(file: Path) -> str:
    """What the repository calls a file."""
    return os.path.normpath(f"{(_git('rev-parse', '--show-prefix') or '').rstrip()}{file}")


def _was(text: str, file: Path) -> str:
    """The MD5 before; a pin that was damaged and is mended is a new one."""
    try:
        return parse(text, file).md5
    except InputError:
        return ""


def _here(file: Path) -> Pin:
    found = pin_of(str(file).removesuffix(".dvc"))
    if found is None:
        raise InputError(f"{file} is not here any more; give the same command again")
    return found


def _has(commit: str) -> bool:
    return _git("cat-file", "-e", f"{commit}^{{commit}}") is not None


def _git(*words: str) -> str | None:
    """What git says; None where it fails. Raises InputError without git."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("what a push changed is asked of git, which is not on PATH") from None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
