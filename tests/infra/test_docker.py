"""Calls of the docker program that take long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra import docker
from tests.infra.local.driven import ends


def test_an_interrupt_ends_what_docker_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build is a plugin that docker starts: it would go on, and the command wait for it."""
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nsleep 600 &\necho $!\nwait\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        docker.follow(["build"], say)
    assert ends(int(lines[0]))
