"""Checkpoints: whole or not there, and never another's."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training import checkpoint
from training.checkpoint import Checkpoints, fingerprint


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path: Path, said: list[str]) -> Checkpoints:
    return Checkpoints(tmp_path / "kept", "mine", said.append)


def state(step: int) -> dict[str, Any]:
    values = {"lines": [1, 2.5, "x", None], "nested": {"a": (1, True)}}
    return {"step": step, "weights": {"w": torch.full((100,), float(step))}, **values}


def newest(checkpoints: Checkpoints) -> dict[str, Any]:
    found = checkpoints.newest()
    assert found is not None
    return found


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "kept").iterdir())


def test_what_is_saved_is_found(checkpoints: Checkpoints) -> None:
    checkpoints.save(7, state(7))
    found = newest(checkpoints)
    assert torch.equal(found.pop("weights")["w"], torch.full((100,), 7.0))
    assert found == {k: v for k, v in state(7).items() if k != "weights"}


def test_nothing_saved_is_nothing_and_needs_no_word(
    checkpoints: Checkpoints, said: list[str]
) -> None:
    assert checkpoints.newest() is None
    assert said == []


def test_the_newest_two_are_kept_by_number(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for step in (9, 10, 100, 1000):
        checkpoints.save(step, state(step))
    assert [int(file.name.partition("-")[0]) for file in files(tmp_path)] == [100, 1000]
    assert newest(checkpoints)["step"] == 1000


def flipped(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


@pytest.mark.parametrize(
    "harm", [flipped, lambda raw: raw[:-1], lambda _: b"", lambda raw: raw * 2]
)
def test_a_damaged_one_is_told_and_the_one_before_is_used(
    checkpoints: Checkpoints, tmp_path: Path, said: list[str], harm: Callable[[bytes], bytes]
) -> None:
    checkpoints.save(1, state(1))
    checkpoints.save(2, state(2))
    hurt = files(tmp_path)[-1]
    hurt.write_bytes(harm(hurt.read_bytes()))
    assert newest(checkpoints)["step"] == 1
    assert len(said) == 1
    assert str(hurt) in said[0]
    assert "damaged" in said[0]
    checkpoints.save(2, state(2))
    assert newest(checkpoints)["step"] == 2


def test_all_damaged_is_nothing(checkpoints: Checkpoints, tmp_path: Path, said: list[str]) -> None:
    for step in (1, 2):
        checkpoints.save(step, state(step))
    for file in files(tmp_path):
        file.write_bytes(b"")
    assert checkpoints.newest() is None
    assert [line.rpartition("; ")[2] for line in said] == [
        "the one before is used", "training begins anew",
    ]  # fmt: skip


def test_those_of_another_run_are_left_alone_and_told(
    checkpoints: Checkpoints, tmp_path: Path, said: list[str]
) -> None:
    Checkpoints(tmp_path / "kept", "other", said.append).save(5, state(5))
    assert checkpoints.newest() is None
    assert "another configuration, seed or data; training begins anew" in said[0]
    for step in (1, 2, 3):
        checkpoints.save(step, state(step))
    assert len(files(tmp_path)) == 3
    assert newest(Checkpoints(tmp_path / "kept", "other", said.append))["step"] == 5


def test_a_write_that_was_killed_leaves_nothing_that_counts(
    checkpoints: Checkpoints, tmp_path: Path, said: list[str]
) -> None:
    checkpoints.save(1, state(1))
    (tmp_path / "kept" / ".2.partial").write_bytes(b"half")
    again = Checkpoints(tmp_path / "kept", "mine", said.append)
    assert newest(again)["step"] == 1
    assert len(files(tmp_path)) == 1


def test_a_full_disk_is_an_error_of_the_system_and_spares_the_one_before(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(1, state(1))

    class Disk:
        name = str(tmp_path / "kept" / ".2.partial")

        def write(self, _data: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    make = checkpoint._Hashed
    monkeypatch.setattr(checkpoint, "_Hashed", lambda _: make(Disk()))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left") as error:
        checkpoints.save(2, state(2))
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename.endswith(".2.partial")
    monkeypatch.undo()
    assert newest(checkpoints)["step"] == 1
    assert len(files(tmp_path)) == 1


def test_only_tensors_and_plain_values_are_read(checkpoints: Checkpoints) -> None:
    checkpoints.save(1, {"bad": Path("/")})
    with pytest.raises(Exception, match="Weights only load failed"):
        checkpoints.newest()


def test_a_fingerprint_is_of_all_that_is_described() -> None:
    one = fingerprint({"lr": 1e-3, "data": "x"})
    assert one == fingerprint({"data": "x", "lr": 1e-3})
    assert one != fingerprint({"data": "x", "lr": 2e-3})
    assert one.isalnum()
