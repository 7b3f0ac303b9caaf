"""A model as a directory: read back, served, the same bytes, refused where it is none."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from components.serving.operations import Model as Served
from tests.prepared import small
from training import export, recipes
from training import model as models
from training.errors import InputError
from training.loop import Outcome
from training.model import Graph, Model, build
from training.models.vae import DRAWS, VAE

CURVES = {"train": {"step": [5.0, 10.0], "loss": [2.0, None]}, "validation": {"step": []}}
OUTCOME = Outcome(10, 5, 0, CURVES)  # type: ignore[arg-type]
RECIPE = recipes.configure("vae", {"hidden": 8, "latent": 3, "steps": 10})


def made(levels: int = 5) -> Model:
    return build(RECIPE.model, RECIPE.config, small(levels=levels).spec, 0).eval()


def write(directory: Path, model: Model | None = None) -> Path:
    directory.mkdir()
    export.save(directory, model or made(), RECIPE, 7, OUTCOME)
    return directory


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


def test_a_model_is_read_back_as_it_was(saved: Path) -> None:
    model, found = made(), export.load_model(saved)
    assert isinstance(found, VAE)
    assert (found.config, found.spec, found.training) == (model.config, model.spec, False)
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)


def test_it_says_how_it_came_about(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["recipe"] == "vae"
    assert (config["seed"], config["steps"], config["best_step"]) == (7, 10, 5)
    assert config["loop"]["steps"] == 10
    assert json.loads((saved / "history.json").read_text()) == {**CURVES, "best_step": 5}


def test_the_same_model_is_the_same_files(saved: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again")
    names = sorted(file.name for file in saved.iterdir())
    assert names == [
        "config.json", "history.json", "model.safetensors", "reconstruct.onnx", "sample.onnx",
        "score.onnx", "serving.json",
    ]  # fmt: skip
    for name in names:
        assert (saved / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.parametrize("levels", [5, 0])
def test_it_is_served_as_torch_computes_it(levels: int, tmp_path: Path) -> None:
    vae = made(levels)
    assert isinstance(vae, VAE)
    served = Served(write(tmp_path / "model", vae))
    served.warm_up()
    assert (served.name, served.shape, served.latent) == ("small-vae", (1, 2, 3), (3,))
    assert served.levels == (levels or 256)
    z = served.draw(300, 0)  # more than one batch of the server
    torch_images = vae.decode(torch.from_numpy(z)).detach().numpy()
    np.testing.assert_allclose(served.sample(z), torch_images, atol=1e-5)

    stored = small(levels=levels).train["image"]
    images = vae.fractions(stored).reshape(-1, 1, 2, 3).numpy()
    rebuilt = vae.reconstruct(stored).numpy()
    np.testing.assert_allclose(served.reconstruct(images), rebuilt, atol=1e-5)

    bits = vae.bits_per_dim(stored, 2000, torch.Generator().manual_seed(0))["bits_per_dim"]
    seeds = [served.score(images, seed) for seed in range(200)]
    np.testing.assert_allclose(np.mean(seeds, 0), bits.numpy(), rtol=0.03)


def test_a_score_is_the_bound_over_its_noise(saved: Path) -> None:
    vae = export.load_model(saved)
    assert isinstance(vae, VAE)
    graph = vae.operations()["score"]
    stored = small().train["image"][:3]
    noise = torch.randn(3, DRAWS, 3, generator=torch.Generator().manual_seed(0))
    x = vae.fractions(stored)
    with torch.no_grad():
        mean, log_var = vae.encode(x)
        nats = torch.stack([
            vae.likelihood.code_length(x, vae.decoder(mean + noise[:, k] * (log_var / 2).exp()))
            for k in range(DRAWS)
        ]).mean(0)  # fmt: skip
        nats = nats - vae.likelihood.constant(x) + vae.divergence(mean, log_var)
        found = graph.module(x.reshape(3, 1, 2, 3), noise)
    torch.testing.assert_close(found, nats / 6 / np.log(2))


def test_graphs_are_one_file_of_any_batch(saved: Path) -> None:
    for file in saved.glob("*.onnx"):
        graph = onnx.load(file, load_external_data=False).graph
        assert not any(tensor.external_data for tensor in graph.initializer)
        for value in (*graph.input, *graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "n"


def test_a_graph_that_differs_from_torch_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moody(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return z * (1.0 if torch.onnx.is_in_onnx_export() else 1.001)

    with pytest.raises(RuntimeError, match="the exported graph y differs from torch by"):
        export.to_onnx(Graph(Moody(), {"z": torch.zeros(1, 3)}, "y"))


def edit(file: str, **fields: object) -> Callable[[Path], object]:
    def change(saved: Path) -> None:
        path = saved / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda d: (d / "config.json").unlink(), "is no model: it has no config.json"),
        (lambda d: (d / "config.json").write_text("{"), "cannot be read"),
        (edit("config.json", format=2), "is not of format 1"),
        (edit("config.json", spec=None), "lacks what train writes"),
        (edit("config.json", config={"latent": "many"}), "latent is .* a whole number"),
        (edit("config.json", model="os:system"), "os:system is no model of this code"),
        (edit("config.json", model="training.models.vae:nn"), "is no model"),
        (edit("config.json", model="training.models.gone:X"), "is no model of this code"),
        (edit("config.json", config={"hidden": 9}), "does not fit its config.json"),
        (lambda d: (d / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda d: (d / "model.safetensors").write_bytes(b"{}"), "does not fit its config.json"),
    ],
)
def test_what_is_no_model_is_refused(
    saved: Path, harm: Callable[[Path], object], sentence: str
) -> None:
    harm(saved)
    with pytest.raises(InputError, match=sentence) as error:
        export.load_model(saved)
    assert "\n" not in str(error.value)


def test_weights_are_those_of_the_seed() -> None:
    first, again, other = (
        models.build(RECIPE.model, RECIPE.config, small().spec, seed) for seed in (0, 0, 1)
    )
    one, two, three = (next(model.parameters()) for model in (first, again, other))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
