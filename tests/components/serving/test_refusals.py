"""Bad input: one status, one sentence, nothing computed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.serving.app import App
from components.serving.operations import Model
from tests.components.serving.asking import (  # noqa: F401  fixtures work by being here
    call,
    images,
    made_app,
    made_directory,
)
from tests.served import write_model

PNG = {"Content-Type": "image/png"}
V2 = "/v2/models/digits/infer"


def tensor(**changes: object) -> dict[str, object]:
    right = {"name": "images", "shape": [1, 8, 8], "datatype": "FP32", "data": [0] * 64}
    return {"inputs": [right | changes], "parameters": {"operation": "score"}}


def png(size: tuple[int, int], mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "words"),
    [
        ("/sample", b"n=4", {}, 400, "is not JSON"),
        ("/sample", b'{"n": 4', {}, 400, "is not JSON"),
        ("/sample", b"\xff\xfe", {}, 400, "is not JSON"),
        ("/sample", b'{"n": "\xff"}', {}, 400, "it is not UTF-8"),
        ("/sample", b"[" * 100_000, {}, 400, "nested too deeply"),
        ("/sample", b'{"z": [[NaN]]}', {}, 400, "NaN is not a JSON number"),
        ("/sample", b'{"seed": ' + b"9" * 5000 + b"}", {}, 400, "too many digits"),
        ("/sample", [1], {}, 400, "must be a JSON object"),
        ("/sample", {"n": 0}, {}, 400, "n must be a whole number in 1..1024, not 0"),
        ("/sample", {"n": 1025}, {}, 400, "n must be"),
        ("/sample", {"n": 2.0}, {}, 400, "n must be"),
        ("/sample", {"n": True}, {}, 400, "n must be"),
        ("/sample", {"n": "2"}, {}, 400, 'not "2"'),
        ("/sample?n=many", b"", {}, 400, 'not "many"'),
        ("/sample", {"seed": -1}, {}, 400, "seed must be"),
        ("/sample", {"seed": 2**63}, {}, 400, "seed must be"),
        ("/sample", {"sed": 1}, {}, 400, "sed is unknown"),
        ("/sample", {"z": [[0.0] * 15]}, {}, 400, "the shape [1, 15]; this model wants [n, 16]"),
        ("/sample", {"z": [0.0] * 16}, {}, 400, "has the shape [16]"),
        ("/sample", {"z": []}, {}, 400, "has the shape [0]"),
        ("/sample", {"z": [[0.0] * 16, [0.0]]}, {}, 400, "ragged"),
        ("/sample", {"z": [["0.5"] * 16]}, {}, 400, "no number"),
        ("/sample", {"z": [[None] * 16]}, {}, 400, "no number"),
        ("/sample", {"z": {"a": 1}}, {}, 400, "no number"),
        ("/sample", b'{"z": [[' + b"1e999," * 15 + b"0]]}", {}, 400, "finite"),
        ("/sample", {"z": [[0.0] * 16], "n": 2}, {}, 400, "leave n out"),
        ("/sample", {"operation": "dance"}, {}, 400, 'the operation "dance" is not one'),
        ("/sample", {"operation": ["sample"]}, {}, 400, "is not one"),
        ("/sample", {"scale": 1000}, {}, 400, "scale must be"),
        ("/score", {}, {}, 400, "images is missing"),
        ("/score", {"images": [[[0.5] * 8] * 7]}, {}, 400, "this model wants [n, 8, 8]"),
        ("/score", {"images": [[[1.5] * 8] * 8]}, {}, 400, "must lie in 0..1"),
        ("/score", {"images": [[[-0.1] * 8] * 8]}, {}, 400, "must lie in 0..1"),
        ("/score", {"images": [[[True] * 8] * 8]}, {}, 400, "no number"),
        ("/score", {"images": [[[10**30] * 8] * 8]}, {}, 400, "no number"),
        ("/score", {"images": np.zeros((1025, 8, 8), int).tolist()}, {}, 400, "at most 1024"),
        ("/score", {"images": [[[0] * 8] * 8]}, {"Accept": "image/png"}, 406, "application/json"),
        ("/invocations", {"images": [[[0] * 8] * 8]}, {}, 400, "reconstruct or score"),
        ("/reconstruct", b"\x89PNG\r\n\x1a\n", PNG, 400, "not a PNG"),
        ("/reconstruct", b"GIF89a" * 9, PNG, 400, "not a PNG"),
        ("/reconstruct", png((9, 8)), PNG, 400, "9x8 pixels; this model's are 8x8"),
        ("/reconstruct", png((8, 8))[:-25], PNG, 400, "damaged"),
        ("/reconstruct", png((8, 8))[:24] + b"junk" * 9, PNG, 400, "damaged"),
        ("/reconstruct", png((8, 8), "I;16"), PNG, 400, "16 bits"),
        ("/reconstruct", b"x", {"Content-Type": "image/jpeg"}, 415, "image/jpeg"),
        ("/reconstruct", b"x", {"Content-Type": "image/" + "x" * 999}, 415, "not understood"),
        ("/reconstruct?images=1", png((8, 8)), PNG, 400, "not both"),
        ("/v1/predict", {}, {}, 400, "instances"),
        ("/v1/predict", {"instances": []}, {}, 400, "instances"),
        ("/v1/predict", {"instances": [{}], "parameters": 3}, {}, 400, "instances"),
        ("/v1/predict", {"instances": [{}, [[0]]]}, {}, 400, "none is"),
        ("/v1/predict", {"instances": [{"seed": 1}]}, {}, 400, "is {} or"),
        ("/v1/predict", {"instances": [{"z": [0], "y": 1}]}, {}, 400, "nothing else"),
        (V2, {"inputs": 3}, {}, 400, "list of tensors"),
        (V2, {"inputs": []}, {}, 400, "inputs is empty"),
        (V2, {"inputs": [{"name": "z"}]}, {}, 400, "shape, datatype and data"),
        (V2, tensor(datatype="BYTES"), {}, 400, "datatype"),
        (V2, tensor(shape=[2, 8, 8]), {}, 400, "does not fill"),
        (V2, tensor(shape="8"), {}, 400, "list of whole numbers"),
        (V2, tensor(shape=[-1, 8, 8]), {}, 400, "list of whole numbers"),
        (V2, tensor(data=[[0], [0, 1]]), {}, 400, "does not fill"),
        (V2, tensor(name="pictures"), {}, 400, "pictures is unknown"),
        (V2, tensor(name=["n"]), {}, 400, "the name of a tensor is a string"),
        (V2, tensor(name="n"), {}, 400, "n is one value, not a tensor of shape [1, 8, 8]"),
        (V2, tensor(name="operation"), {}, 400, "operation is one value"),
        (V2, tensor(shape=[2**70], data=[]), {}, 400, "does not fill"),
        (V2, tensor(shape=[0, 2**70], data=[]), {}, 400, "does not fill"),
        (V2, tensor(shape=[1] * 9999), {}, 400, "does not fill"),
        (V2, tensor(name="x" * 9999, shape="8"), {}, 400, "list of whole numbers"),
        (V2, {"id": 7}, {}, 400, "id must be a string, not 7"),
        ("/sample", {"x" * 9999: 1}, {}, 400, "is unknown"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_one_sentence(
    app: App, path: str, body: object, headers: dict[str, str], status: int, words: str
) -> None:
    """Whoever wrote the request is told what to change in it."""
    found, told, content = call(app, path, body, method="POST", headers=headers)
    error = json.loads(content)["error"]
    assert (found, told["content-type"]) == (status, "application/json")
    assert words in error
    assert "\n" not in error
    assert len(error) < 300
    for inside in (" object at 0x", "recursion", "codec", "sys.", "NoneType"):
        assert inside not in error


def test_unknown_route_and_wrong_method(app: App) -> None:
    """The answer leads to what there is."""
    status, _, body = call(app, "/v2/models/other/infer", {})
    assert (status, "there is no /v2/models/other/infer here" in body.decode()) == (404, True)
    status, headers, _ = call(app, "/sample")
    assert (status, headers["allow"]) == (405, "POST")
    status, headers, _ = call(app, "/ping", method="DELETE")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert call(app, "/ping", method="HEAD")[0] == 200


def test_an_operation_the_model_does_not_have(tmp_path: Path) -> None:
    """Not every model has a likelihood."""
    folder = write_model(tmp_path / "m")
    card = json.loads((folder / "serving.json").read_text())
    card["operations"] = {"sample": "sample.onnx"}
    (folder / "serving.json").write_text(json.dumps(card))
    app, model = App("1"), Model(folder)
    app.ready(model, model.warm_up())
    status, _, body = call(app, "/score", {"images": images()})
    assert (status, "not one of this model's: sample" in body.decode()) == (400, True)
    app.close()


STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = ("operation", "n", "z", "images", "seed", "scale", "id", "instances", "inputs")
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(FIELDS) | STRANGE, "shape": st.lists(st.integers()) | STRANGE,
        "datatype": st.just("FP32"), "data": STRANGE,
    }
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(["/sample", "/score", "/reconstruct", "/invocations", "/v1/predict", V2]),
    body=st.dictionaries(st.sampled_from(FIELDS), STRANGE | st.lists(TENSOR, max_size=2)),
)
def test_no_body_however_strange_makes_the_server_fail(
    app: App, path: str, body: dict[str, object]
) -> None:
    """A 500 tells a client nothing about a request, and an operator of a fault that is not."""
    status, _, content = call(app, path, json.dumps(body).encode())
    assert status in {200, 400}, content
