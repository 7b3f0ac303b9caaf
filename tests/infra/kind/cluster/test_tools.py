"""Outside tools are limited in time, and their last lines are told."""

from __future__ import annotations

import pytest

from infra.errors import InputError
from infra.kind.cluster import tools
from tests.infra.local.driven import ends


def test_a_tool_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl waits for ever on a server that takes the connection and says nothing."""
    words = "took more than 0.2 s:\n    now$"
    with pytest.raises(tools.ToolFailed, match=words):
        tools.run("sh", "-c", "echo now; exec sleep 60", timeout=0.2)
    lines: list[str] = []
    with pytest.raises(tools.ToolFailed, match=words):
        tools.follow("sh", "-c", "echo now; exec sleep 60", timeout=0.2, say=lines.append)
    assert lines == ["    now"]


def test_what_a_hanging_tool_has_started_is_ended_with_it() -> None:
    """A credential helper that holds the pipe would keep the command waiting past any limit."""
    lines: list[str] = []
    with pytest.raises(tools.ToolFailed, match="took more than"):
        tools.follow("sh", "-c", "sleep 600 & echo $!; wait", timeout=0.2, say=lines.append)
    assert ends(int(lines[0]))


def test_only_the_last_lines_are_told_and_no_line_is_endless() -> None:
    """kubectl prints whole objects in one line of an error."""
    script = "for i in 1 2 3 4 5 6 7 8; do echo line $i; done; printf '%01000d\\n' 0; exit 3"
    with pytest.raises(tools.ToolFailed) as caught:
        tools.run("sh", "-c", script)
    told = str(caught.value).splitlines()
    assert told[0].endswith("failed with exit code 3:")
    assert [line.strip() for line in told[1:-1]] == [f"line {number}" for number in range(4, 9)]
    assert len(told[-1]) < 500
    assert "line 1" in caught.value.said


def test_lines_of_a_long_call_come_as_they_are_printed() -> None:
    """Minutes without a word look like a hang."""
    lines: list[str] = []
    tools.follow("sh", "-c", "cat; echo two >&2", timeout=10, say=lines.append, text="one\n")
    assert lines == ["    one", "    two"]
    with pytest.raises(tools.ToolFailed, match=r"exit code 3:\n    two"):
        tools.follow("sh", "-c", "echo two; exit 3", timeout=10, say=lines.append)


def test_a_tool_that_does_not_read_its_input_is_no_fault_of_ours() -> None:
    tools.follow("true", timeout=10, say=lambda _: None, text="x" * 1_000_000)


def test_a_tool_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="no-such-tool is not on PATH"):
        tools.run("no-such-tool")
