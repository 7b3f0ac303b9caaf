"""The daemon of the tests is ended by who uses it last, however that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import dockerd


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done with the daemon, of which there is none."""
    done: list[str] = []
    monkeypatch.setattr(dockerd, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(dockerd, "_RUN", tmp_path / "run")
    monkeypatch.setattr(dockerd, "_start", lambda _: done.append("start"))
    monkeypatch.setattr(dockerd, "_stop", lambda: done.append("stop"))
    monkeypatch.setattr(dockerd.Docker, "answers", lambda _: done[-1:] == ["start"])
    return done


def test_a_failure_ends_it(calls: list[str]) -> None:
    """One that stays after a failed session holds its mounts and its memory for good."""
    with pytest.raises(ZeroDivisionError), dockerd._own():
        raise ZeroDivisionError
    assert calls == ["start", "stop"]


def test_one_that_does_not_come_up_is_ended(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def starts(_: dockerd.Docker) -> None:
        raise dockerd.Unavailable("it says nothing")

    monkeypatch.setattr(dockerd, "_start", starts)
    with pytest.raises(dockerd.Unavailable), dockerd._own():
        pass
    assert calls == ["stop"]


def test_whoever_still_uses_it_keeps_it(calls: list[str]) -> None:
    with dockerd._own():
        with dockerd._own():
            pass
        assert calls == ["start"]
    assert calls == ["start", "stop"]
