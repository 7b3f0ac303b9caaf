"""What the server tells of itself and its model: at ``/``, and in KServe's words."""

from __future__ import annotations

from components.serving.operations import Model


def server(name: str, version: str, model: Model | None, ready: bool) -> dict[str, object]:
    """What is served, and what it can do."""
    about: dict[str, object] = {"name": name, "version": version, "ready": ready}
    if model is not None:
        about |= {
            "operations": model.operations,
            "shape": model.shape,
            "levels": model.levels,
            "latent": model.latent,
        }
    return about


def kserve_server(version: str) -> dict[str, object]:
    """KServe's metadata of a server."""
    return {"name": "trefoil", "version": version, "extensions": []}


def kserve_model(name: str, version: str, model: Model) -> dict[str, object]:
    """KServe's metadata of a model: its tensors."""
    inputs = [_tensor("z", model.latent)] if model.latent else []
    if {"reconstruct", "score"} & {*model.operations}:
        inputs.append(_tensor("images", model.shape))
    outputs = [_tensor("images", model.shape)]
    if "score" in model.operations:
        outputs.append(_tensor("bits_per_dim", ()))
    return {
        "name": name, "versions": [version], "platform": "onnxruntime_onnx",
        "inputs": inputs, "outputs": outputs,
    }  # fmt: skip


def _tensor(name: str, row: tuple[int, ...]) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": [-1, *row]}
