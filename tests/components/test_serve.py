"""The model server: its numbers, its words, its limits, how it starts and ends."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from components import serve
from components.serving import app as app_module
from components.serving.app import App
from components.serving.calls import MAX_BODY
from components.serving.operations import Model
from tests.served import LATENT, ROOT, decode, server, wait_ready, write_model
from training.errors import InputError

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def app(directory: Path) -> Iterator[App]:
    ready = App("7", "digits", "/healthz", "/v1/predict")
    model = Model(directory)
    ready.ready(model, model.warm_up())
    yield ready
    ready.close()


def call(
    app: App,
    path: str,
    body: object = None,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask the application without a socket; ``body`` is bytes or becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    route, _, query = path.partition("?")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "path": route, "query_string": query.encode(),
        "method": method or ("POST" if body is not None else "GET"),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


def ask(app: App, path: str, body: object = None) -> Any:
    status, _, content = call(app, path, body)
    assert status == 200, content
    return json.loads(content)


def images(count: int = 3) -> list[Any]:
    levels = np.random.default_rng(5).integers(0, 17, (count, 8, 8))
    found: list[Any] = (levels / 16).tolist()
    return found


# The numbers


def test_sample_is_what_the_decoder_gives(app: App, directory: Path) -> None:
    z = np.random.default_rng(1).standard_normal((3, LATENT), dtype=np.float32)
    found = ask(app, "/sample", {"z": z.tolist()})["images"]
    np.testing.assert_allclose(found, decode(directory, z), atol=1e-5)


def test_a_seed_repeats_a_sample_and_a_longer_one_begins_with_it(app: App) -> None:
    first = ask(app, "/sample", {"n": 2, "seed": 9})
    assert first == ask(app, "/sample", {"n": 2, "seed": 9})
    np.testing.assert_allclose(
        ask(app, "/sample", {"n": 300, "seed": 9})["images"][:2], first["images"], atol=2e-6
    )
    assert first["images"] != ask(app, "/sample", {"n": 2, "seed": 10})["images"]


def test_a_drawn_seed_is_told(app: App) -> None:
    first = ask(app, "/sample", {})
    assert len(first["images"]) == 1
    assert first == ask(app, "/sample", {"seed": first["seed"]})
    assert first["seed"] != ask(app, "/sample", {})["seed"]


def test_reconstruct_and_score_are_what_the_graphs_give(app: App) -> None:
    sent = np.array(images(300))
    np.testing.assert_allclose(
        ask(app, "/reconstruct", {"images": sent.tolist()})["images"], sent / 2 + 0.25, atol=1e-5
    )
    noise = np.random.default_rng(4).standard_normal((1, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(
        ask(app, "/score", {"images": sent.tolist(), "seed": 4})["bits_per_dim"],
        (sent * noise).mean(axis=(1, 2)), atol=1e-5,
    )  # fmt: skip


def test_an_image_scores_the_same_wherever_it_stands(app: App) -> None:
    sent = images(5)
    together = ask(app, "/score", {"images": sent})["bits_per_dim"]
    alone = [ask(app, "/score", {"images": [each]})["bits_per_dim"][0] for each in sent]
    assert together == pytest.approx(alone, abs=2e-6)


def test_discrete_models_see_the_nearest_level(app: App) -> None:
    off = [[[value + 0.02 if value < 0.9 else value for value in row] for row in images()[0]]]
    assert ask(app, "/reconstruct", {"images": off}) == ask(
        app, "/reconstruct", {"images": images(1)}
    )


def test_continuous_models_see_what_was_sent(tmp_path: Path) -> None:
    model = Model(write_model(tmp_path / "m", levels=0))
    sent = np.full((1, 8, 8), 0.123, np.float32)
    np.testing.assert_allclose(model.reconstruct(sent), sent / 2 + 0.25)


# Pictures


def test_sample_as_a_picture(app: App) -> None:
    status, headers, body = call(
        app, "/sample", {"n": 5, "seed": 3, "scale": 2}, headers={"Accept": "image/png"}
    )
    assert (status, headers["content-type"]) == (200, "image/png")
    grid = np.asarray(Image.open(io.BytesIO(body)))
    assert grid.shape == (2 * 8 * 2, 3 * 8 * 2)
    want = np.rint(np.array(ask(app, "/sample", {"n": 5, "seed": 3})["images"]) * 255)
    np.testing.assert_array_equal(grid[::2, ::2][8:, 8:16], want[4])
    assert not grid[16:, 32:].any()  # nothing is left for the sixth place


@pytest.mark.parametrize("shape", [(6, 4), (1, 6, 4), (3, 6, 4), (6, 4, 3)])
def test_a_picture_goes_in_as_it_came_out(tmp_path: Path, shape: tuple[int, ...]) -> None:
    app = App("1")
    app.ready(model := Model(write_model(tmp_path / "m", shape=shape, levels=256)), {})
    app._seconds = model.warm_up()
    _, _, picture = call(app, "/sample", {"seed": 3}, headers={"Accept": "image/png"})
    image = np.rint(np.array(ask(app, "/sample", {"seed": 3})["images"]) * 255) / 255
    for path in ("/reconstruct", "/score?seed=2", "/invocations?operation=score&seed=2"):
        status, _, body = call(app, path, picture, headers={"Content-Type": "image/png"})
        assert status == 200, body
        assert json.loads(body) == ask(app, path, {"images": image.tolist()})
    app.close()


def test_rows_that_are_no_pictures(tmp_path: Path) -> None:
    app = App("1")
    model = Model(write_model(tmp_path / "m", shape=(5,)))
    app.ready(model, model.warm_up())
    assert ask(app, "/sample", {"n": 2, "seed": 1})["images"]
    assert call(app, "/sample", {"n": 2}, headers={"Accept": "image/png"})[0] == 415
    app.close()


# Each platform's wording


def test_sagemaker(app: App) -> None:
    assert call(app, "/ping")[0] == 200
    assert ask(app, "/invocations", {"n": 2, "seed": 1}) == ask(app, "/sample", {"n": 2, "seed": 1})
    asked = {"operation": "score", "images": images()}
    assert ask(app, "/invocations", asked) == ask(app, "/score", {"images": images()})
    _, _, picture = call(app, "/sample", {"seed": 3}, headers={"Accept": "image/png"})
    custom = {"Content-Type": "image/png", "X-Amzn-SageMaker-Custom-Attributes": "operation=score"}
    assert "bits_per_dim" in json.loads(call(app, "/invocations", picture, headers=custom)[2])


def test_vertex(app: App) -> None:
    assert call(app, "/healthz")[0] == 200
    z = np.random.default_rng(1).standard_normal((2, LATENT), dtype=np.float32).tolist()
    for body, path, native, key in [
        ({"instances": [{}, {}], "parameters": {"seed": 4}}, "/sample", {"n": 2, "seed": 4}, ""),
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
    assert [call(app, path)[0] for path in ("/", "/live", "/ready")] == [200, 200, 200]
    sampled = ask(app, "/score", {"operation": "sample", "n": 2, "seed": 1})
    assert sampled == ask(app, "/sample", {"n": 2, "seed": 1})


@pytest.mark.parametrize("base", ["/v2/models/digits", "/v2/models/digits/versions/7"])
def test_kserve(app: App, base: str) -> None:
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


# Bad input

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
        ("/sample", b"[" * 100_000, {}, 400, "is not JSON"),
        ("/sample", b'{"z": [[NaN]]}', {}, 400, "NaN is not a JSON number"),
        ("/sample", b'{"seed": ' + b"9" * 5000 + b"}", {}, 400, "is not JSON"),
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
        ("/score", {"images": [[[0] * 8] * 8]}, {"Accept": "image/png"}, 406, "no picture"),
        ("/invocations", {"images": [[[0] * 8] * 8]}, {}, 400, "reconstruct or score"),
        ("/reconstruct", b"\x89PNG\r\n\x1a\n", PNG, 400, "not a PNG"),
        ("/reconstruct", b"GIF89a" * 9, PNG, 400, "not a PNG"),
        ("/reconstruct", png((9, 8)), PNG, 400, "9x8 pixels; this model's are 8x8"),
        ("/reconstruct", png((8, 8))[:-25], PNG, 400, "damaged"),
        ("/reconstruct", png((8, 8), "I;16"), PNG, 400, "16 bits"),
        ("/reconstruct", b"x", {"Content-Type": "image/jpeg"}, 415, "image/jpeg"),
        ("/reconstruct?images=1", png((8, 8)), PNG, 400, "not both"),
        ("/v1/predict", {}, {}, 400, "instances"),
        ("/v1/predict", {"instances": []}, {}, 400, "instances"),
        ("/v1/predict", {"instances": [{}], "parameters": 3}, {}, 400, "instances"),
        ("/v1/predict", {"instances": [{}, [[0]]]}, {}, 400, "none is"),
        ("/v1/predict", {"instances": [{"seed": 1}]}, {}, 400, "is {} or"),
        ("/v1/predict", {"instances": [{"z": [0], "y": 1}]}, {}, 400, "nothing else"),
        (V2, {"inputs": 3}, {}, 400, "list of tensors"),
        (V2, {"inputs": [{"name": "z"}]}, {}, 400, "shape, datatype and data"),
        (V2, tensor(datatype="BYTES"), {}, 400, "datatype"),
        (V2, tensor(shape=[2, 8, 8]), {}, 400, "does not fill"),
        (V2, tensor(shape="8"), {}, 400, "list of whole numbers"),
        (V2, tensor(shape=[-1, 8, 8]), {}, 400, "list of whole numbers"),
        (V2, tensor(data=[[0], [0, 1]]), {}, 400, "does not fill"),
        (V2, tensor(name="pictures"), {}, 400, "pictures is unknown"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_one_sentence(
    app: App, path: str, body: object, headers: dict[str, str], status: int, words: str
) -> None:
    found, told, content = call(app, path, body, method="POST", headers=headers)
    error = json.loads(content)["error"]
    assert (found, told["content-type"]) == (status, "application/json")
    assert words in error
    assert "\n" not in error
    assert len(error) < 300


def test_unknown_route_and_wrong_method(app: App) -> None:
    status, _, body = call(app, "/v2/models/other/infer", {})
    assert (status, "there is no /v2/models/other/infer here" in body.decode()) == (404, True)
    status, headers, _ = call(app, "/sample")
    assert (status, headers["allow"]) == (405, "POST")
    status, headers, _ = call(app, "/ping", method="DELETE")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert call(app, "/ping", method="HEAD")[0] == 200


def test_an_operation_the_model_does_not_have(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    card = json.loads((folder / "serving.json").read_text())
    card["operations"] = {"sample": "sample.onnx"}
    (folder / "serving.json").write_text(json.dumps(card))
    app, model = App("1"), Model(folder)
    app.ready(model, model.warm_up())
    status, _, body = call(app, "/score", {"images": images()})
    assert (status, "not one of this model's: sample" in body.decode()) == (400, True)
    app.close()


# How it starts


def test_while_it_loads_it_lives_but_is_not_ready(directory: Path) -> None:
    app = App("1")
    assert call(app, "/live")[0] == 200
    for path in ("/ping", "/ready", "/v2/health/ready", "/health"):
        assert call(app, path)[0] == 503
    status, headers, body = call(app, "/sample", {})
    assert (status, headers["retry-after"]) == (503, "1")
    assert "still loading" in body.decode()
    model = Model(directory)
    app.ready(model, model.warm_up())
    assert call(app, "/ping")[0] == 200
    app.draining = True
    assert call(app, "/ping")[0] == 200  # another server may have taken the socket over
    app.leaving = True
    assert call(app, "/ping")[0] == 503
    assert call(app, "/live")[0] == 200
    status, headers, _ = call(app, "/sample", {})
    assert (status, headers["connection"]) == (200, "close")
    app.close()


def test_platforms_speak_by_their_environment() -> None:
    plain = serve.parse([], {})
    assert (plain.host, plain.port, str(plain.model)) == ("127.0.0.1", 8080, "/opt/ml/model")
    assert serve.parse(["serve"], {}).host == "0.0.0.0"  # noqa: S104
    vertex = serve.parse(
        ["--model", "m"],
        {"AIP_HTTP_PORT": "9000", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"},
    )
    assert (vertex.host, vertex.port) == ("0.0.0.0", 9000)  # noqa: S104
    assert (vertex.health_route, vertex.predict_route) == ("/h", "/p")
    with pytest.raises(InputError, match="slash"):
        serve.parse([], {"AIP_PREDICT_ROUTE": "predict"})
    with pytest.raises(InputError, match="--port"):
        serve.parse([], {"AIP_HTTP_PORT": "web"})


def with_card(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        file = folder / "serving.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "serving.json").unlink(), "has no serving.json"),
        (lambda folder: (folder / "serving.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "serving.json").write_text("[]"), "not of format 1"),
        (with_card(format=2), "not of format 1"),
        (with_card(shape=[8, "8"]), "shape is the list"),
        (with_card(shape=[2**20, 2**20]), "beyond"),
        (with_card(levels=1), "levels is a whole number"),
        (with_card(operations={"dance": "sample.onnx"}), "operations maps any of"),
        (with_card(operations={"sample": "../m/sample.onnx"}), "not the name of a file beside it"),
        (with_card(operations={"sample": "score.onnx"}), "no input z"),
        (with_card(shape=[4, 4]), "gives [1, 8, 8] for one row where sample wants [1, 4, 4]"),
        (lambda folder: (folder / "sample.onnx").unlink(), "sample.onnx cannot be loaded"),
        (lambda folder: (folder / "sample.onnx").write_bytes(b"junk"), "sample.onnx cannot be"),
        (lambda folder: os.truncate(folder / "sample.onnx", 900), "sample.onnx cannot be loaded"),
    ],
)
def test_a_model_that_cannot_be_served(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    folder = write_model(tmp_path / "m")
    change(folder)
    with pytest.raises(InputError) as caught:
        serve.load(folder, 1)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def run_serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "components.serve", *arguments],
        capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
    )  # fmt: skip


def test_a_broken_model_ends_the_server_with_2(tmp_path: Path) -> None:
    ended = run_serve("--model", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == f"error: {tmp_path} is no model to serve: it has no serving.json"
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_ends_the_server_with_2(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_serve("--model", str(directory), "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in ended.stderr
    assert "--port" in ended.stderr


def test_the_server_needs_neither_torch_nor_mlflow(directory: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from components import serve\n"
        "import components.serving.handover\n"
        f"model, _ = serve.load(Path({str(directory)!r}), 1)\n"
        "model.sample(model.draw(1, 0))\n"
        "heavy = {'torch', 'mlflow', 'sklearn', 'pyarrow', 'onnx', 'kfp', 'pydantic', 'PIL'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ended.stdout.strip() == "[]"


# As a process


def test_a_server_speaks_http(directory: Path) -> None:
    with server("--model", directory) as (process, url), httpx.Client(base_url=url) as client:
        wait_ready(url)
        assert client.get("/").json()["name"] == "tiny"
        assert len(client.post("/sample", json={"n": 3}).json()["images"]) == 3
        assert client.post("/score", json={"images": [1]}).status_code == 400
        assert client.get("/nowhere").status_code == 404

        too_big = client.post("/score", content=b" " * (MAX_BODY + 1))
        assert too_big.status_code == 413
        assert f"longer than {MAX_BODY} bytes" in too_big.json()["error"]
        pieces = (b" " * 2**20 for _ in range(MAX_BODY // 2**20 + 1))
        assert client.post("/score", content=pieces).status_code == 413

        text = client.get("/metrics").text
        assert 'trefoil_requests_total{route="/sample",status="200"} 1.0' in text
        assert 'trefoil_requests_total{route="/score",status="413"} 2.0' in text
        assert 'trefoil_requests_total{route="other",status="404"} 1.0' in text
        assert 'trefoil_request_seconds_count{route="/score"} 3.0' in text
        assert 'trefoil_model_info{name="tiny",version="1"} 1.0' in text
        assert "trefoil_in_flight 1.0" in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "serving tiny version 1\n"  # no access log


def test_sigterm_lets_a_request_finish(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", shape=(64, 64))
    with server("--model", folder) as (process, url):
        wait_ready(url)
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/sample", json={"n": 1024}, timeout=60))
        )
        asking.start()
        while "trefoil_in_flight 2.0" not in httpx.get(f"{url}/metrics").text:
            assert asking.is_alive()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/ping")
        assert process.poll() is None, "it ended before its request"
        asking.join()
        assert process.wait(15) == 0
        assert len(answers[0].json()["images"]) == 1024
        assert answers[0].headers["connection"] == "close"


def test_a_request_that_never_ends_does_not_hold_the_server(directory: Path) -> None:
    with server("--model", directory, "--drain", "3") as (process, url):
        wait_ready(url)
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0)) as slow:
            slow.sendall(b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            time.sleep(0.2)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # asked twice is asked once
            assert process.wait(15) == 0
            assert 1 < time.monotonic() - began < 6


def test_a_kept_connection_is_answered_once_more_while_draining(directory: Path) -> None:
    with (
        server("--model", directory) as (process, url),
        httpx.Client(base_url=url) as client,
    ):
        wait_ready(url)
        assert "connection" not in client.get("/ping").headers
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        answer = client.post("/sample", json={"n": 1})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert process.wait(15) == 0


def test_a_long_sample_does_not_hold_up_a_ping(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", shape=(64, 64))
    with server("--model", folder) as (_, url), httpx.Client(base_url=url) as client:
        wait_ready(url)
        client.get("/ping")
        asking = threading.Thread(
            target=lambda: httpx.post(f"{url}/sample", json={"n": 1000}, timeout=60)
        )
        asking.start()
        times = []
        while asking.is_alive():
            began = time.perf_counter()
            assert client.get("/ping").status_code == 200
            times.append(time.perf_counter() - began)
        asking.join()
        assert len(times) > 10
        assert sorted(times)[len(times) // 2] < 0.1
        assert max(times) < 1.5


def test_too_many_long_requests_are_told_to_come_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "MAX_WAITING", 0)
    assert call(app, "/sample", {"n": 1})[0] == 200
    status, headers, body = call(app, "/sample", {"n": 1000})
    assert (status, headers["retry-after"]) == (503, "1")
    assert "wait already" in body.decode()
