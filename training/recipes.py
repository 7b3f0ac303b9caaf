"""Named, complete ways to train something: a model, its settings, the loop's, the gate's limits.

A recipe is a function; its name is the function's. ``configure`` lays a person's settings over
it, flat, by field name of either config::

    recipes.configure("vae", {"steps": "500", "beta": '{"ramp": [0, 4, 1000]}'})

The command line asks here before a run begins, so this imports no torch, and pydantic only where
there is something to validate.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from training.configs import LoopConfig, VAEConfig
from training.errors import InputError, nearest
from training.files import read_schema
from training.schedules import Ramp, Scheduled

if TYPE_CHECKING:
    from training.metrics import Gate

Config = TypeVar("Config")

_SHOWN = 80
"""Letters of a wrong value that a message repeats."""
FEWEST = 6
"""Images of each split to judge by: a row and its five neighbours, see training.metrics."""


@dataclass(frozen=True)
class Recipe:
    """What to train, on which kind of data, and what to hold it to. ``model`` is "module:Class"."""

    name: str
    modality: str
    model: str
    config: Any
    loop: LoopConfig
    gate: Gate

    def settings(self) -> dict[str, Any]:
        """Every setting by name, flat, as JSON has it."""
        return dataclasses.asdict(self.config) | dataclasses.asdict(self.loop)


def vae() -> Recipe:
    """Train an MLP VAE under its exact likelihood: on digits near 2.03 bits/dim in ten seconds.

    That is the binomial's, the process that made the digits; with ``likelihood=logistic``, which
    learns how sharp each pixel is, they come to 1.90 at a third more time a step.

    By five-fold cross-validation on the training rows of digits, in bits/dim: layer norm and
    weight decay together gain 0.033 (the gain differs by 0.008 between folds), the average of the
    weights 0.019 over a cosine schedule. A KL annealed up from 0 costs 0.010: under the true
    likelihood no unit collapses. One that weighs more at first cannot be told from a constant one.
    """
    return Recipe(
        name="vae",
        modality="image",
        model="training.models.vae:VAE",
        config=VAEConfig(beta=Ramp((3.0, 1.0, 1000))),
        loop=LoopConfig(steps=4000, lr=1e-3, warmup=100, weight_decay=0.2, ema=0.998, patience=10),
        gate={
            "bits_per_dim": {"max": "pixels"},
            "fd": {"max": "pixels"},
            "active_units": {"min": 2},
        },
    )


_RECIPES: dict[str, Callable[[], Recipe]] = {make.__name__: make for make in (vae,)}


def names() -> list[str]:
    """Every recipe's name."""
    return list(_RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name. Raises InputError."""
    if name not in _RECIPES:
        raise InputError(f"there is no recipe {name!r}; {nearest(name, _RECIPES)}")
    return _RECIPES[name]()


def require(recipe: Recipe, dataset: Path) -> None:
    """See that a prepared data set can be trained on and judged by. Raises InputError."""
    described = read_schema(dataset)
    try:
        name, modality = described["name"], described["modality"]
        train, test = (described["splits"][part]["rows"] for part in ("train", "test"))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{dataset / 'schema.json'} lacks what prepare writes ({error}); prepare anew"
        ) from None
    suit(recipe, name, modality)
    if modality == "image" and min(train, test) < FEWEST:
        raise InputError(
            f"{name} has {train} training and {test} held-out images, and a model is judged by "
            f"{FEWEST} of each at least; give more data"
        )


def suit(recipe: Recipe, name: str, modality: str) -> None:
    """See that a recipe is for the kind of data that ``name`` is. Raises InputError."""
    if modality == recipe.modality:
        return
    others = [each for each in names() if get(each).modality == modality]
    hint = f"take {' or '.join(others)}" if others else f"there is none for {modality} yet"
    raise InputError(
        f"the recipe {recipe.name} is for {recipe.modality} data, and {name} is {modality}; {hint}"
    )


def configure(name: str, overrides: Mapping[str, object]) -> Recipe:
    """Lay settings over a recipe's own; text is read as what the setting is. Raises InputError."""
    recipe = get(name)
    known = recipe.settings()
    for setting in overrides:
        if setting not in known:
            near = nearest(setting, known)
            raise InputError(f"the recipe {name} has no setting {setting!r}; {near}")
    return dataclasses.replace(
        recipe,
        config=_overlaid(recipe.config, overrides),
        loop=_overlaid(recipe.loop, overrides),
    )


def _overlaid(config: Config, overrides: Mapping[str, object]) -> Config:
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    given = {name: _decoded(value) for name, value in overrides.items() if name in names}
    return checked(type(config), vars(config) | given) if given else config


def checked(kind: type[Config], values: Mapping[str, object]) -> Config:
    """Make a config of plain values, as JSON has them. Raises InputError."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        # What our own check says is a sentence already; pydantic's words are put into one.
        errors = error.errors()
        for each in errors:
            if each["type"] == "value_error":
                raise InputError(str(each["ctx"]["error"])) from None
        name = str(errors[0]["loc"][0])
        expected = _words(get_type_hints(kind)[name])
        found = json.dumps(values[name], default=str)[:_SHOWN]
        raise InputError(f"{name} is {found}; it must be {expected}") from None


def _decoded(value: object) -> object:
    """Numbers, lists and objects given as text; true, which pydantic takes for a 1, stays text."""
    if isinstance(value, bool):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return read if isinstance(read, list | dict) or type(read) in (int, float) else value


def _words(hint: Any) -> str:
    plain = {
        int: "a whole number",
        float: "a number",
        Scheduled: 'a number, or {"ramp": [from, to, steps]}',
        tuple[float, float]: "a list of two numbers",
    }
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    return plain.get(hint, f"of type {hint}")
