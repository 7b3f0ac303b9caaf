"""From flags to a request: what a person asked for is in it, or is refused before anything runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.errors import InputError, TrefoilError, UnsupportedError
from pipelines.flags import add_flags
from pipelines.ledger import Ledger, Line
from pipelines.request import Prepared, prepare

GOLDEN = Path(__file__).parent.parent / "golden" / "generative.json"
NOOP = str(Path(__file__).parent.parent / "benchmarks" / "noop.yaml")


@pytest.fixture
def pipeline(workspace: Path, tmp_path: Path) -> str:
    """Our pipeline, compiled already, and a workspace of the test's own."""
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(json.loads(GOLDEN.read_text(encoding="utf-8"))["pipeline"]))
    return str(file)


def asked(pipeline: str, *words: str) -> Prepared:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return prepare(parser.parse_args(["--pipeline", pipeline, *words]))


def parameters(prepared: Prepared) -> dict[str, Any]:
    return dict(prepared.request.plan.parameters)


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place like local that can do everything, at $12.50."""
    local = providers.get("local")
    monkeypatch.setattr(providers, "get", lambda name: local._replace(missing={}))
    monkeypatch.setattr("infra.local.lower.price", lambda plan, settings: 12.5)
    monkeypatch.setenv("TREFOIL_RUNNER", "docker")  # processes take whatever the machine has


def test_what_only_the_recipe_knows_goes_into_its_config(pipeline: str) -> None:
    found = parameters(asked(pipeline, "--param", "latent=7", "--param", "seed=3"))
    assert (json.loads(found["config"])["latent"], found["seed"]) in [(7, 3), ("7", 3)]


def test_a_config_and_single_values_come_together(pipeline: str) -> None:
    words = ["--param", 'config={"latent": 3, "steps": 9}', "--param", "latent=7"]
    found = json.loads(parameters(asked(pipeline, *words))["config"])
    assert {name: int(value) for name, value in found.items()} == {"latent": 7, "steps": 9}


def test_the_last_of_a_repeated_parameter_holds(pipeline: str) -> None:
    words = ["--param", "seed=1", "--param", "seed=2"]
    assert parameters(asked(pipeline, *words))["seed"] == 2


def test_a_parameter_may_hold_equals_signs(pipeline: str) -> None:
    assert parameters(asked(pipeline, "--param", "model_name=a=b"))["model_name"] == "a=b"


def test_the_same_request_has_the_same_name_and_another_one_another(pipeline: str) -> None:
    names = {
        words: asked(pipeline, *words).request.run_id
        for words in [(), ("--param", "seed=5"), ("--no-cache",), ("--step", "train")]
    }
    assert len(set(names.values())) == len(names)
    assert asked(pipeline).request.run_id == names[()]
    assert names[()].startswith("generative-")


def test_after_a_success_the_next_attempt_begins(pipeline: str, workspace: Path) -> None:
    first = asked(pipeline)
    line = Line("finished", first.request.run_id, "local", first.digest, 1, "succeeded")
    Ledger(workspace).append(line)
    second = asked(pipeline)
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.request.run_id == first.request.run_id.removesuffix("1") + "2"


def test_no_cache_turns_the_cache_off_for_every_step(pipeline: str) -> None:
    assert not any(step.cache for step in asked(pipeline, "--no-cache").request.plan.steps)
    assert any(step.cache for step in asked(pipeline).request.plan.steps)


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("prepare", {"prepare"}),
        ("train", {"prepare", "train"}),
        ("evaluate", {"prepare", "champion", "train", "evaluate"}),
    ],
)
def test_one_step_and_those_it_needs(pipeline: str, step: str, kept: set[str]) -> None:
    assert {each.name for each in asked(pipeline, "--step", step).request.plan.steps} == kept


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("words", "resources"),
    [
        (["--gpu", "A100"], ("A100", 1, False)),
        (["--gpu", "H100-80GB:8"], ("H100-80GB", 8, False)),
        (["--spot"], (None, 0, True)),
        (["--gpu", "L4:2", "--spot"], ("L4", 2, True)),
    ],
)
def test_accelerators_and_spot_are_for_the_training_step(
    pipeline: str, words: list[str], resources: tuple[Any, ...]
) -> None:
    steps = asked(pipeline, *words).request.plan.steps
    found = {
        step.name: (step.resources.accelerator, step.resources.accelerators, step.resources.spot)
        for step in steps
    }
    assert found.pop("train") == resources
    assert set(found.values()) == {(None, 0, False)}


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("text", "step"), [("4", "train"), ("evaluate=4", "evaluate")])
def test_nodes_are_for_the_training_step_or_another(pipeline: str, text: str, step: str) -> None:
    steps = asked(pipeline, "--nodes", text).request.plan.steps
    assert {each.name: each.resources.nodes for each in steps if each.resources.nodes > 1} == {
        step: 4
    }


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "--nodes 0 is not N or STEP=N"), ("two", "--nodes two is not N or STEP=N"),
        ("train=", "--nodes train= is not N or STEP=N"), ("-1", "--nodes -1 is not N or STEP=N"),
        ("trian=2", r"the pipeline has no step trian; did you mean train\?"),
    ],
)  # fmt: skip
def test_a_wrong_number_of_nodes_is_refused(pipeline: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        asked(pipeline, f"--nodes={text}")


@pytest.mark.usefixtures("able")
def test_a_pipeline_without_training_must_name_the_step(workspace: Path) -> None:
    with pytest.raises(InputError, match="no step train; name one: --nodes STEP=N"):
        asked(NOOP, "--nodes", "2")


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("gpu", ["", "8", ":8", "A100:", "A100:0", "A100:-1", "A100:x", "A 100"])
def test_a_wrong_accelerator_is_refused(pipeline: str, gpu: str) -> None:
    with pytest.raises(InputError, match="is not KIND:COUNT"):
        asked(pipeline, "--gpu", gpu)


@pytest.mark.usefixtures("able")
def test_a_pipeline_without_training_has_nothing_to_accelerate(workspace: Path) -> None:
    with pytest.raises(InputError, match="this pipeline has neither"):
        asked(NOOP, "--spot")


@pytest.mark.parametrize("words", [["--gpu", "A100"], ["--spot"], ["--nodes", "2"]])
def test_a_place_that_cannot_says_why(pipeline: str, words: list[str]) -> None:
    with pytest.raises(
        UnsupportedError, match=r"step train asks for [\w-]+, and local cannot: \w+"
    ):
        asked(pipeline, *words)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("limit", "enough"), [("12.5", True), ("12.49", False), ("0", False)])
def test_a_plan_that_may_cost_more_is_refused(pipeline: str, limit: str, enough: bool) -> None:
    if enough:
        asked(pipeline, f"--max-cost={limit}")
        return
    with pytest.raises(InputError, match=r"may cost up to \$12.50, and --max-cost is"):
        asked(pipeline, f"--max-cost={limit}")


WRONG: list[list[str]] = [
    ["--param", "latent"], ["--param", "=1"], ["--param", "latent=\udcff"],
    ["--param", "seed=\udcff"], ["--param", "config=7"], ["--param", "config={"],
    ["--param", 'config={"latnt": 1}'], ["--param", "latent=[1"], ["--recipe", ""],
    ["--data", ""], ["--data", "/dev/null"], ["--data", "no such"], ["--step", " "],
]  # fmt: skip


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_mistake_is_one_sentence(pipeline: str, words: list[str]) -> None:
    with pytest.raises(TrefoilError) as refusal:
        asked(pipeline, *words)
    assert "\n" not in str(refusal.value)


def test_data_of_ones_own_is_pinned_by_its_content(pipeline: str, tmp_path: Path) -> None:
    """The same path with other content must not be taken from the cache."""
    file = tmp_path / "own.csv"
    file.write_text("a,b,label\n0,1,0\n")
    first = asked(pipeline, "--data", str(file))
    file.write_text("a,b,label\n1,1,0\n")
    second = asked(pipeline, "--data", str(file))
    assert parameters(first)["data"] == parameters(second)["data"]
    assert first.request.run_id != second.request.run_id


@pytest.mark.parametrize(
    ("words", "model", "endpoint"),
    [
        (["--data", "fashion-mnist"], "fashion-mnist-vae", "fashion-mnist-vae"),
        (["--param", "data=Cats 9.npz"], "cats-9-vae", "cats-9-vae"),
        (["--data", "9 lives.npz"], "data-9-lives-vae", "data-9-lives-vae"),
        (["--param", "model_name=Foo.Bar"], "Foo.Bar", "foo-bar"),
        (["--data", "fashion-mnist", "--param", "endpoint=e"], "fashion-mnist-vae", "e"),
        ([], "digits-vae", "digits-vae"),
    ],
)
def test_another_data_set_is_another_model(
    pipeline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    model: str,
    endpoint: str,
) -> None:
    """Else cats would become the next version of the digits, and take their endpoint."""
    monkeypatch.chdir(tmp_path)
    for name in ("Cats 9.npz", "9 lives.npz"):
        (tmp_path / name).write_bytes(b"x")
    found = parameters(asked(pipeline, *words))
    assert (found["model_name"], found["endpoint"]) == (model, endpoint)


@pytest.mark.parametrize("word", ["tiny-shakespeare", "corpus.TXT"])
def test_data_that_no_recipe_is_for_is_refused_before_it_is_fetched(
    pipeline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.TXT").write_text("so it goes")
    with pytest.raises(InputError, match=r"the recipe vae is for image data, and .* is text"):
        asked(pipeline, "--data", word)
