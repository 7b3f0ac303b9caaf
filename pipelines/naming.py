"""What a model is called where nobody says: by the data it learnt and the recipe."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from infra.errors import InputError
from training import recipes
from training.errors import InputError as BadRecipe
from training.sources import catalogue

_LONGEST, _OF_DATA = 50, 40
"""Letters of an endpoint's name, as the most demanding place has it, and of what data adds."""


def suit(recipe: str, data: str) -> None:
    """See that the recipe is for such data, as far as its name tells. Raises InputError."""
    try:
        recipes.suit(recipes.get(recipe), data, catalogue.modality(data))
    except BadRecipe as error:
        raise InputError(str(error)) from None


def model_name(data: str, recipe: str) -> str:
    """DATA-RECIPE: ``fashion-mnist-vae``, and ``cats-vae`` for path/to/cats.npz."""
    if catalogue.find(data):
        return f"{slug(data, _OF_DATA)}-{recipe}"
    path = Path(data)
    return f"{slug(path.name if path.is_dir() else path.stem, _OF_DATA)}-{recipe}"


def slug(name: str, longest: int = _LONGEST) -> str:
    """A name that every place takes for an endpoint: a-z, 0-9, inner hyphens, a letter first.

    Where letters are lost, a digest keeps two names apart.
    """
    plain = re.sub("[^a-z0-9]+", "-", name.lower())
    short = plain[:longest].strip("-")
    if re.search(r"[^\W\d_a-zA-Z]", name) or len(plain) > longest:
        short = f"{short[: longest - 7]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".strip("-")
    return short if short[:1].isalpha() else f"data-{short}".rstrip("-")
