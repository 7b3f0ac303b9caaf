"""DVC, in a process of its own: its import takes a second that only add and pull may cost."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence

from infra.errors import InputError
from pipelines import cli
from pipelines.data.pins import Pin

_EXTRAS = {"dvc-s3": "aws", "dvc-gs": "gcp", "dvc-azure": "azure"}
_NOBODYS = ("//amzn-s3-demo-", "//goog-")
_NOT_A_REASON = ("<", "Having any troubles", "Is your cache up to date?")


def run(*words: str) -> None:
    """Run a command of DVC. Raises InputError with its reason where it fails."""
    if importlib.util.find_spec("dvc") is None:
        raise InputError("this needs DVC, which is not installed: make setup, or the extra data")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    if done.returncode:
        raise InputError(f"dvc {words[0]} failed: {_reason(done.stderr)}")


def pull(pins: Sequence[Pin], remote: str) -> None:
    """Fetch what is pinned, from the remote of that name or the usual one. Raises InputError."""
    require_remote(remote)
    cli.say(f"pulling {', '.join(str(pin.path) for pin in pins)}")
    named = ["--remote", remote] if remote else []
    run("pull", *named, *(str(pin.file) for pin in pins))


def require_remote(name: str) -> None:
    """Refuse a remote that is still as the repository has it. Raises InputError."""
    import configparser

    config = configparser.ConfigParser(strict=False, interpolation=None)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    name = name or config.get("core", "remote", fallback="")
    section = f"'remote \"{name}\"'"
    if not config.has_section(section):
        return  # perhaps in the person's own configuration; if not, DVC will say so
    url = config.get(section, "url", fallback="")
    setting = f"python -m dvc remote modify --local {name}"
    if any(word in url for word in _NOBODYS):
        scheme = url.partition("://")[0]
        raise InputError(
            f"the remote {name} names no bucket of yours yet: {setting} url {scheme}://BUCKET/PATH"
        )
    signs = {"account_name", "connection_string"} & set(config.options(section))
    known = {"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"} & set(os.environ)
    if url.startswith("azure:") and not signs and not known:
        raise InputError(
            f"the remote {name} names no account of yours yet: {setting} account_name ACCOUNT"
        )


def _reason(stderr: str) -> str:
    """DVC's own reason in one line, or what to do about a common one."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    said = " ".join(line for line in lines[start:] if not line.startswith(_NOT_A_REASON))
    said = said.removeprefix("ERROR:").strip().removeprefix("unexpected error - ")
    if match := re.search(r"requires '(dvc-\w+)'", said):
        extra = _EXTRAS.get(match[1], "data")
        return f"it lacks {match[1]}; install the extra {extra} of pyproject.toml"
    if match := re.search(r"'(?:\./)?([^']+\.dvc)'(?: is invalid|, is not valid)", said):
        return (
            f"it reads every pin, and {match[1]} is damaged; restore that from git, or remove it "
            "and pin its data anew"
        )
    if "Checkout failed" in said:
        return "the remote does not hold this data; run python -m dvc push where it was pinned"
    return said or "it gives no reason"
