"""How MLflow's own tools run a registered model. Stored with each version, so it runs without us.

The input is images to score or reconstruct (latents, for a model that only samples). Parameters:
operation (score, reconstruct or sample), n (how many to sample) and seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.serving.operations import Array, Model


class Predictor:
    """What mlflow.pyfunc calls."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Array:
        """Bits per dimension of each image, or images. Raises ValueError on a wrong operation."""
        given = params or {}
        model, seed = self._model, int(given.get("seed", 0))
        operation = given.get("operation") or default_operation(model.operations)
        if operation not in model.operations:
            raise ValueError(f"operation is {operation!r}; this model has {model.operations}")
        rows = np.asarray(model_input, np.float32)
        if operation == "score":
            return model.score(rows, seed)
        if operation == "reconstruct":
            return model.reconstruct(rows, seed)
        if len(model.operations) == 1 and not given.get("n"):
            return model.sample(rows)
        return model.sample(model.draw(int(given.get("n") or len(rows)), seed))


def default_operation(operations: tuple[str, ...]) -> str:
    """What a model is asked for when nobody says: to score, if it can."""
    return next(each for each in ("score", "reconstruct", "sample") if each in operations)


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(Model(Path(path)))
