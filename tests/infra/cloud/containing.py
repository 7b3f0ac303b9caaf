"""What the tests of ``--runner docker`` share: a step's command, and what is left of containers."""

from __future__ import annotations

from pathlib import Path

from infra.plan import Argument, Token
from tests.docker import Docker


def words(code: str) -> tuple[Argument, ...]:
    """A command that runs Python code, which is told where its output ``out`` is to lie."""
    out = (Token("output_path", "out"),)
    return ((Token("text", "python3"),), (Token("text", "-c"),), (Token("text", code),), out)


def left_running(docker: Docker, folder: Path) -> list[str]:
    """The containers that see a folder, running or not."""
    return [
        name
        for name in docker("ps", "--all", "--format", "{{.Names}}").splitlines()
        if str(folder) in docker("inspect", "--format", "{{json .Mounts}}", name)
    ]
