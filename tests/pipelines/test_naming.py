"""Models of different data must not be called alike: one would become the other's next version."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import naming


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits-vae"),
        ("fashion-mnist", "fashion-mnist-vae"),
        ("path/to/cats.npz", "cats-vae"),
        ("My Cats (2).parquet", "my-cats-2-vae"),
        ("2024.npz", "data-2024-vae"),
    ],
)
def test_a_name_is_of_the_data_and_the_recipe(data: str, name: str) -> None:
    """It is what people type and read: a digest in each would be none."""
    assert naming.model_name(data, "vae") == name


def test_a_folder_has_no_suffix_to_lose(tmp_path: Path) -> None:
    """imgs.v2 would go on where imgs.v1 left off."""
    for name in ("imgs.v1", "imgs.v2"):
        (tmp_path / name).mkdir()
    found = [naming.model_name(str(tmp_path / f"imgs.v{n}"), "vae") for n in (1, 2)]
    assert found == ["imgs-v1-vae", "imgs-v2-vae"]


@pytest.mark.parametrize(("one", "other"), [("кошки", "собаки"), ("a" * 50, "a" * 60)])
def test_where_letters_are_lost_a_digest_keeps_names_apart(one: str, other: str) -> None:
    """Every name in another script would be data-vae."""
    names = [naming.model_name(f"{each}.npz", "vae") for each in (one, other)]
    assert names[0] != names[1]
    assert all(len(naming.slug(name)) <= 50 for name in names)
    assert all(naming.slug(name) == name for name in names)
