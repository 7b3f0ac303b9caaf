"""The docker program: the only file that calls it.

The program rather than an SDK: it knows the person's contexts, sockets and credential helpers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from infra import group
from infra.errors import ProviderError

_NOTHING: Mapping[str, str] = MappingProxyType({})
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TOLD = 15
"""Lines of failed work that are told."""
_PATIENCE = 60.0
"""Seconds within which a daemon answers a question."""


def ask(*words: str) -> str:
    """What docker answers. Raises ProviderError in its own words, or where nothing answers."""
    done = attempt(*words)
    if done.returncode:
        raise ProviderError(said(done.stderr) or f"docker {words[0]} failed without a word")
    return done.stdout


def attempt(*words: str) -> subprocess.CompletedProcess[str]:
    """Call docker. Raises ProviderError where it is not installed or its daemon does not answer."""
    try:
        done = subprocess.run(
            [program(), *words], capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise ProviderError(
            f"the Docker daemon did not answer `docker {words[0]}` within {_PATIENCE:g} s; "
            "restart it and give the same command again"
        ) from None
    if done.returncode and "docker daemon" in done.stderr.lower():
        reason = said(done.stderr).partition(". Is ")[0]  # "Is the docker daemon running?"
        raise ProviderError(f"{reason}; start Docker, or point DOCKER_HOST to a daemon")
    return done


def labels() -> list[str]:
    """Options by which the rehearsal that goes on, if one does, finds a container of its own."""
    mark = os.environ.get(group.MARK)
    return ["--label", f"{group.MARK}={mark}"] if mark else []


def follow(
    words: Sequence[str], say: Callable[[str], None], environment: Mapping[str, str] = _NOTHING
) -> None:
    """Call docker for long work, such as a build; each line goes to ``say`` as it comes.

    Raises ProviderError with its last lines where it fails.
    """
    last: deque[str] = deque(maxlen=_TOLD)
    argv, environment = [program(), *words], {**os.environ, **environment}
    with group.started(argv, subprocess.DEVNULL, environment) as process:
        for line in process.stdout or ():
            text = _COLOUR.sub("", line).rstrip()
            if text:
                last.append(text)
                say(text)
    if process.returncode:
        raise ProviderError("\n  ".join([f"docker {words[0]} failed:", *last]))


def program() -> str:
    """Where docker is. Raises ProviderError where it is not on PATH."""
    found = shutil.which("docker")
    if found is None:
        raise ProviderError("the program docker is not on PATH; install Docker, or run without it")
    return found


def identities(images: Iterable[str]) -> dict[str, str]:
    """The ID (``sha256:...``) of each image that is here. Raises ProviderError."""
    found = {}
    for image in images:
        done = attempt("image", "inspect", "--format", "{{.Id}}", image)
        if done.returncode == 0:
            found[image] = done.stdout.strip()
    return found


def state(container: str) -> dict[str, Any]:
    """How a container is or ended; empty where there is no such container."""
    done = attempt("container", "inspect", "--format", "{{json .State}}", container)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def said(text: str) -> str:
    """The reason in what docker printed, without its preambles and its hint to read its help."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = next((line for line in lines if not line.startswith("See '")), "")
    for preamble in ("docker: ", "Error response from daemon: ", "Error: ", "ERROR: "):
        reason = reason.removeprefix(preamble)
    return reason.rstrip(".")
