"""A trained model as a directory: what evaluate loads, what serve runs, what a person reads.

    model.safetensors   the weights
    config.json         format, model (module:Class), config, spec of the data: what builds it
                        again; recipe, loop, seed, steps, best_step: how it came about
    history.json        the curves: by part (train, validation) the numbers of each point, by name,
                        and best_step, of which the weights are
    serving.json        name, shape, levels, operations: see components.serving.operations
    sample.onnx, reconstruct.onnx, score.onnx
                        the operations, batch first and of any size, float32, one file each

The same model gives the same bytes. Every graph is checked against torch before it counts.
"""

from __future__ import annotations

import dataclasses
import io
import warnings
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from training import model as models
from training import recipes
from training.data import Spec
from training.errors import InputError
from training.files import read_object, write_json
from training.loop import Outcome
from training.model import Graph, Model
from training.runtime import onnxruntime

FORMAT = 1
OPSET = 18
TOLERANCE = 1e-5
"""Between ONNX Runtime and torch, of what is of order 1."""


def save(
    directory: Path, model: Model, recipe: recipes.Recipe, seed: int, outcome: Outcome
) -> None:
    """Write all files into an empty directory. Raises RuntimeError as ``to_onnx`` does."""
    model = model.cpu().eval()
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    (directory / "model.safetensors").write_bytes(safetensors.torch.save(weights))
    write_json(
        directory / "config.json",
        {
            "format": FORMAT,
            "model": recipe.model,
            "config": dataclasses.asdict(recipe.config),
            "spec": dataclasses.asdict(model.spec),
            "recipe": recipe.name,
            "loop": dataclasses.asdict(recipe.loop),
            "seed": seed,
            "steps": outcome.steps,
            "best_step": outcome.best_step,
        },
    )
    write_json(
        directory / "history.json", {**outcome.curves, "best_step": outcome.best_step}, indent=None
    )
    operations = {}
    for name, graph in model.operations().items():
        operations[name] = f"{name}.onnx"
        (directory / operations[name]).write_bytes(to_onnx(graph))
    write_json(
        directory / "serving.json",
        {
            "format": FORMAT,
            "name": f"{model.spec.name}-{recipe.name}",
            "shape": model.spec.shape,
            "levels": model.levels,
            "operations": operations,
        },
    )


def load_model(directory: Path) -> Model:
    """Build a saved model again, with its weights, to be evaluated. Raises InputError."""
    file = directory / "config.json"
    saved = read_object(file, "model", FORMAT, "train anew")
    try:
        spec = recipes.checked(Spec, saved["spec"])
        kind = models.find(saved["model"])
        config = recipes.checked(type(recipes.get(saved["recipe"]).config), saved["config"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{file} lacks what train writes ({error}); train anew") from None
    model = kind(config, spec)
    _load_weights(model, directory / "model.safetensors")
    return model.eval()


def to_onnx(graph: Graph) -> bytes:
    """One ONNX file, checked against torch. Raises RuntimeError if they differ."""
    module = graph.module.eval()
    examples = tuple(_examples(graph, rows=2).values())
    names = list(graph.inputs)
    out = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter that is not deprecated takes seconds and a second package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, examples, out,  # type: ignore[arg-type]  # a file in memory will do
            input_names=names, output_names=[graph.output],
            dynamic_axes={name: {0: "n"} for name in (*names, graph.output)},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    raw = out.getvalue()
    difference = _difference(raw, graph)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the exported graph {graph.output} differs from torch by {difference}")
    return raw


def _difference(raw: bytes, graph: Graph) -> float:
    """The largest between ONNX Runtime and torch, relative to what is above 1; 0 without it."""
    try:
        ort = onnxruntime()
    except ImportError:  # it is of the extra that serves; a trainer can do without
        return 0.0
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    inputs = _examples(graph, rows=3)
    with torch.no_grad():
        expected: Tensor = graph.module(*inputs.values())
    [found] = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    apart = (torch.from_numpy(found) - expected).abs() / expected.abs().clamp(min=1)
    return float(apart.max())


def _examples(graph: Graph, rows: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, row in graph.inputs.items():
        draw = torch.rand if name == "images" else torch.randn
        found[name] = draw((rows, *row.shape[1:]), generator=generator)
    return found


def _load_weights(model: Model, file: Path) -> None:
    try:
        model.load_state_dict(safetensors.torch.load_file(file))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; train anew") from None
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} does not fit its config.json: {reason}; train anew") from None
