"""A model directory in MLflow's clothes: what MLflow stores of a version besides the model itself.

    MLmodel            says that code/ has a loader (components.pyfunc), and what goes in
    model/             the model directory, as train wrote it
    code/              the few files of ours that it takes to run it with ONNX Runtime
    requirements.txt, python_env.yaml, conda.yaml
                       what must be installed, for MLflow's environment managers

No pickle is in it, and no torch is needed.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from infra.registry import MODEL
from training.errors import InputError
from training.files import read_json

_ROOT = Path(__file__).parents[1]
_CODE = (
    "components/__init__.py",
    "components/pyfunc.py",
    "components/serving/__init__.py",
    "components/serving/operations.py",
    "training/__init__.py",
    "training/errors.py",
    "training/files.py",
    "training/runtime.py",
)
_NEEDED = ("mlflow", "numpy", "onnxruntime")


def dress(directory: Path, model: Path, digest: str, run: str, artifact_path: str) -> None:
    """Write everything but model/ into an empty directory. Raises InputError."""
    for name in _CODE:
        target = directory / "code" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_ROOT / name, target)
    python, needed = platform.python_version(), _requirements()
    (directory / "requirements.txt").write_text("\n".join([*needed, ""]), encoding="utf-8")
    _write(
        directory / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]},
    )
    _write(
        directory / "conda.yaml",
        {
            "name": "mlflow-env",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": needed}],
        },
    )
    _write(
        directory / "MLmodel",
        {
            "artifact_path": artifact_path,
            "flavors": {
                "python_function": {
                    "loader_module": "components.pyfunc",
                    "data": MODEL,
                    "code": "code",
                    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                    "python_version": python,
                }
            },
            "mlflow_version": version("mlflow"),
            "model_size_bytes": sum(f.stat().st_size for f in model.rglob("*") if f.is_file()),
            "model_uuid": digest[:32],
            "run_id": run,
            "signature": _signature(model),
            "utc_time_created": time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime()),
        },
    )


def _signature(model: Path) -> dict[str, str]:
    """What goes in, as MLflow says it. Raises InputError where serving.json is not as it should."""
    card = read_json(model / "serving.json", "model")
    try:
        operations, shape = set(card["operations"]), [int(size) for size in card["shape"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{model / 'serving.json'} is damaged ({error}); train anew") from None
    if operations == {"sample"}:
        from components.serving.operations import Model

        shape = [*Model(model).latent]
    spec = {"dtype": "float32", "shape": [-1, *shape]}
    params = [
        {"name": "operation", "type": "string", "default": "", "shape": None},
        {"name": "n", "type": "long", "default": 0, "shape": None},
        {"name": "seed", "type": "long", "default": 0, "shape": None},
    ]
    return {
        "inputs": json.dumps([{"type": "tensor", "tensor-spec": spec}]),
        "params": json.dumps(params),
    }


def _requirements() -> list[str]:
    found = []
    for name in _NEEDED:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # where it is registered it need not run
            found.append(name)
    return found


def _write(file: Path, value: Any) -> None:
    import yaml

    file.write_text(yaml.safe_dump(value, sort_keys=True), encoding="utf-8")
