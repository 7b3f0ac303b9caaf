"""Each platform's wording of the same operations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components.serving.app import App
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    ask,
    call,
    images,
    made_app,
    made_directory,
)
from tests.served import LATENT


def test_sagemaker(app: App) -> None:
    """The hosted endpoint asks by /ping and /invocations alone."""
    assert call(app, "/ping")[0] == 200
    assert ask(app, "/invocations", {"n": 2, "seed": 1}) == ask(app, "/sample", {"n": 2, "seed": 1})
    asked = {"operation": "score", "images": images()}
    assert ask(app, "/invocations", asked) == ask(app, "/score", {"images": images()})
    _, _, picture = call(app, "/sample", {"seed": 3}, headers={"Accept": "image/png"})
    custom = {"Content-Type": "image/png", "X-Amzn-SageMaker-Custom-Attributes": "operation=score"}
    assert "bits_per_dim" in json.loads(call(app, "/invocations", picture, headers=custom)[2])


def test_vertex(app: App) -> None:
    """Vertex passes routes by environment and wraps rows in instances."""
    assert call(app, "/healthz")[0] == 200
    z = np.random.default_rng(1).standard_normal((2, LATENT), dtype=np.float32).tolist()
    for body, path, native, key in [
        ({"instances": [{}, {}], "parameters": {"seed": 4}}, "/sample", {"n": 2, "seed": 4}, ""),
        ({"instances": [{}, {}], "parameters": {"seed": 4.0}}, "/sample", {"n": 2, "seed": 4}, ""),
        ({"instances": [{"z": each} for each in z]}, "/sample", {"z": z}, ""),
        ({"instances": images(), "parameters": {"operation": "reconstruct"}},
         "/reconstruct", {"images": images()}, ""),
        ({"instances": [{"image": each} for each in images()],
          "parameters": {"operation": "score", "seed": 2}},
         "/score", {"images": images(), "seed": 2}, "bits_per_dim"),
    ]:  # fmt: skip
        found = ask(app, "/v1/predict", body)
        assert found == {"predictions": ask(app, path, native)[key or "images"]}


def test_azure(app: App) -> None:
    """Azure ML probes / and posts to /score whatever the operation is."""
    assert [call(app, path)[0] for path in ("/", "/live", "/ready")] == [200, 200, 200]
    sampled = ask(app, "/score", {"operation": "sample", "n": 2, "seed": 1})
    assert sampled == ask(app, "/sample", {"n": 2, "seed": 1})


@pytest.mark.parametrize("base", ["/v2/models/digits", "/v2/models/digits/versions/7"])
def test_kserve(app: App, base: str) -> None:
    """Clients of the v2 protocol send flat tensors and read metadata first."""
    for path in ("/v2/health/live", "/v2/health/ready", f"{base}/ready", "/v2"):
        assert call(app, path)[0] == 200
    about = ask(app, base)
    assert about["name"] == "digits"
    assert {"name": "z", "datatype": "FP32", "shape": [-1, LATENT]} in about["inputs"]
    flat = np.array(images()).reshape(-1).tolist()
    tensor = {"name": "images", "shape": [3, 8, 8], "datatype": "FP32", "data": flat}
    found = ask(
        app,
        f"{base}/infer",
        {"id": "a1", "inputs": [tensor], "parameters": {"operation": "reconstruct"}},
    )
    assert (found["model_name"], found["model_version"], found["id"]) == ("digits", "7", "a1")
    output = found["outputs"][0]
    assert (output["name"], output["datatype"], output["shape"]) == ("images", "FP32", [3, 8, 8])
    native = ask(app, "/reconstruct", {"images": images()})["images"]
    assert np.array(output["data"]).reshape(3, 8, 8).tolist() == native
    numbers = [
        {"name": "n", "shape": [1], "datatype": "INT64", "data": [2]},
        {"name": "seed", "shape": [1], "datatype": "INT64", "data": [3]},
    ]
    sampled = ask(app, f"{base}/infer", {"inputs": numbers})["outputs"][0]
    assert (sampled["name"], sampled["shape"]) == ("images", [2, 8, 8])
