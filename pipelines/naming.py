"""What a model is called where nobody says: by the data it learnt and the recipe."""

from __future__ import annotations

import re
from pathlib import Path

from infra.errors import InputError
from training import recipes
from training.errors import InputError as BadRecipe
from training.sources import catalogue

_LONGEST = 40


def suit(recipe: str, data: str) -> None:
    """See that the recipe is for such data, as far as its name tells. Raises InputError."""
    try:
        recipes.suit(recipes.get(recipe), data, catalogue.modality(data))
    except BadRecipe as error:
        raise InputError(str(error)) from None


def model_name(data: str, recipe: str) -> str:
    """DATA-RECIPE: ``fashion-mnist-vae``, and ``cats-vae`` for path/to/cats.npz."""
    return f"{slug(data if catalogue.find(data) else Path(data.rstrip('/')).stem)}-{recipe}"


def slug(name: str) -> str:
    """A name that every place takes for an endpoint: a-z, 0-9, inner hyphens, a letter first."""
    plain = re.sub("[^a-z0-9]+", "-", name.lower())[:_LONGEST].strip("-")
    return plain if plain[:1].isalpha() else f"data-{plain}".rstrip("-")
