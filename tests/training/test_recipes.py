"""Recipes and what a person may lay over them."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from training import recipes
from training.errors import InputError
from training.metrics import distances, gate
from training.schedules import Ramp

ROOT = Path(__file__).parents[2]


def test_nothing_laid_over_a_recipe_is_the_recipe() -> None:
    assert recipes.configure("vae", {}) == recipes.get("vae")
    assert recipes.names() == ["vae"]


def test_what_is_enough_to_train_on_is_enough_to_judge_by() -> None:
    """The number stands twice, so that training need not import the judge."""
    assert distances.NEIGHBOURS + 1 == recipes.FEWEST


@pytest.mark.parametrize("name", recipes.names())
def test_no_setting_is_both_the_models_and_the_loops(name: str) -> None:
    recipe = recipes.get(name)
    own = {field.name for field in dataclasses.fields(recipe.config)}
    loops = {field.name for field in dataclasses.fields(recipe.loop)}
    assert not own & loops
    assert own | loops == set(recipe.settings())


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipes_own_settings_fit_it_as_json(name: str) -> None:
    as_json = json.loads(json.dumps(recipes.get(name).settings()))
    assert recipes.configure(name, as_json) == recipes.get(name)


def test_text_from_a_command_line_is_read_as_what_the_setting_is() -> None:
    recipe = recipes.configure(
        "vae",
        {"steps": "500", "lr": "3e-4", "schedule": "cosine", "betas": "[0.5, 0.9]",
         "beta": '{"ramp": [0, 4, 1000]}', "hidden": 64.0},
    )  # fmt: skip
    assert (recipe.loop.steps, recipe.loop.lr, recipe.loop.schedule) == (500, 3e-4, "cosine")
    assert recipe.loop.betas == (0.5, 0.9)
    assert recipe.config.beta == Ramp((0.0, 4.0, 1000))
    assert recipe.config.hidden == 64  # kfp makes floats of whole numbers
    assert recipe.config.latent == recipes.get("vae").config.latent


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lrr": 1}, "the recipe vae has no setting 'lrr'; did you mean lr?"),
        ({"hiden": 1}, "did you mean hidden?"),
        ({"zzzzz": 1}, "known are latent, hidden, "),
        ({"steps": "many"}, 'steps is "many"; it must be a whole number'),
        ({"steps": 1.5}, "steps is 1.5; it must be a whole number"),
        ({"steps": True}, "it must be a whole number"),
        ({"steps": None}, "steps is null; it must be a whole number"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"ema": 1.0}, "ema is 1; it must be at most 0.999999"),
        ({"validation": "a tenth"}, "it must be a number"),
        ({"lr": "nan"}, "it must be a number, or {"),
        ({"lr": float("inf")}, "it must be a number, or {"),
        ({"schedule": "cos"}, 'schedule is "cos"; it must be one of fixed, cosine, '),
        ({"beta": {"rump": [0, 4, 10]}}, "it must be a number, or {"),
        ({"beta": {"ramp": [0, 4]}}, "it must be a number, or {"),
        ({"beta": "[1,"}, "it must be a number, or {"),
        ({"beta": {"ramp": [0, 4, 0]}}, "a ramp lasts one step or more, not 0"),
        ({"beta": {"ramp": [0, -4, 9]}}, "beta is -4; it must be at least 0"),
        ({"betas": [0.9]}, "it must be a list of two numbers"),
        ({"betas": [0.9, 1]}, "each must be at least 0 and below 1"),
        ({"validation": 0}, "set patience to 0 too"),
        ({"validation": 0, "patience": 0, "schedule": "plateau"}, "needs validation above 0"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        recipes.configure("vae", settings)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipes_gate_is_a_gate() -> None:
    for name in recipes.names():
        assert gate.parse(json.dumps(recipes.get(name).gate)).limits == recipes.get(name).gate


def test_an_unknown_recipe_is_told_its_nearest() -> None:
    with pytest.raises(InputError, match="there is no recipe 'vea'; did you mean vae"):
        recipes.configure("vea", {})
    with pytest.raises(InputError, match="known are vae"):
        recipes.get("gpt")


def loaded(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_to_ask_for_a_recipe_loads_next_to_nothing() -> None:
    found = loaded("from training import recipes; recipes.configure('vae', {})")
    assert not found & {"torch", "numpy", "pydantic", "pyarrow", "yaml"}
    found = loaded("from training import recipes; recipes.configure('vae', {'steps': '5'})")
    assert "pydantic" in found
    assert not found & {"torch", "numpy", "pyarrow"}
