"""Have a model answer for many rows at once, where no server is needed.

    python -m components.batch --model DIR --dataset DIR --operation score --answers DIR

``score`` and ``reconstruct`` take the held-out rows of what prepare wrote; ``sample`` draws ``--n``
images. Into ``answers.parquet`` goes a row each, in their order: ``bits_per_dim``, or ``image`` of
values 0..1. The same seed gives the same answers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components import contract
from training.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.serving.operations import Array, Model

OPERATIONS = ("score", "reconstruct", "sample")


def main(argv: Sequence[str] | None = None) -> None:
    """Answer. Raises InputError where the model cannot, or the data do not fit it."""
    parser = contract.Arguments("components.batch", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="model directory")
    add("--dataset", type=Path, required=True, metavar="DIR", help="what prepare wrote")
    add("--operation", choices=OPERATIONS, default="score", help="what is asked of the model")
    add("--n", type=int, default=64, help="how many samples are drawn")
    add("--seed", type=int, default=0, help="of what is drawn")
    add("--answers", type=Path, required=True, metavar="DIR", help="where to write")
    arguments = parser.parse_args(argv)
    import pyarrow.parquet as pq

    from components.serving.operations import Model

    model = Model(arguments.model)
    if arguments.operation not in model.operations:
        can = ", ".join(model.operations)
        raise InputError(f"{arguments.model} cannot {arguments.operation}; it can {can}")
    if arguments.n < 1:
        raise InputError(f"--n is {arguments.n}; it is at least 1")
    if arguments.seed < 0:
        raise InputError(f"--seed is {arguments.seed}; it is at least 0")
    if arguments.operation == "sample":
        found = model.sample(model.draw(arguments.n, arguments.seed))
    else:
        rows = _rows(arguments.dataset, model)
        found = getattr(model, arguments.operation)(rows, arguments.seed)
    with contract.output_directory(arguments.answers) as directory:
        pq.write_table(_table(arguments.operation, found), directory / "answers.parquet")
    print(f"{len(found)} answers are in {arguments.answers}", file=sys.stderr)


def _rows(dataset: Path, model: Model) -> Array:
    """The held-out images, with values 0..1. Raises InputError where they are of another shape."""
    import numpy as np

    from training.data import load

    found = load(dataset)
    if tuple(found.spec.shape)[-len(model.shape) :] != model.shape:
        raise InputError(
            f"{dataset} has images of {list(found.spec.shape)}, and the model takes "
            f"{list(model.shape)}"
        )
    most = found.spec.levels - 1 if found.spec.levels else 1
    pixels = found.test["image"].numpy().astype(np.float32) / np.float32(most)
    return pixels.reshape(-1, *model.shape)


def _table(operation: str, found: Array) -> pa.Table:
    import pyarrow as pa

    if operation == "score":
        return pa.table({"bits_per_dim": pa.array(found, pa.float32())})
    flat = pa.array(found.reshape(-1), pa.float32())
    each = pa.FixedSizeListArray.from_arrays(flat, found[0].size)
    return pa.table({"image": each})


if __name__ == "__main__":
    contract.run(main)
