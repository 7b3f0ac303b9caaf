"""Fetch the registered champion, if there is one, for evaluate to compare with.

    python -m components.champion --model-name NAME --champion DIR

Into the directory go

    champion.json   name, version (null: there is no champion), run, tags
    model/          its model directory; absent where MLflow has none of ours
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from components import contract
from infra import mlflow
from infra.errors import InputError as Refused
from training.files import write_json

_IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""A server that hangs is told before the training beside this step has ended."""


def main(argv: Sequence[str] | None = None) -> None:
    """Fetch. Raises ProviderError where MLflow does not answer: not to know is not to have none."""
    parser = contract.Arguments("components.champion", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model-name", required=True, help="its name in the registry")
    parser.add_argument(
        "--champion", type=Path, required=True, metavar="DIR", help="where to write"
    )
    arguments = parser.parse_args(argv)
    for variable, value in _IMPATIENT.items():
        os.environ.setdefault(variable, value)
    with contract.output_directory(arguments.champion) as directory:
        said = fetch(mlflow.address(os.environ), arguments.model_name, directory)
    print(said, file=sys.stderr)


def fetch(uri: str, name: str, directory: Path) -> str:
    """Write what there is of a champion into an empty directory. Raises TrefoilError."""
    found = None
    if mlflow.exists(uri):
        from infra.registry import Registry

        registry = Registry(uri)
        found = registry.champion(name)
    if found is None:
        write_json(directory / "champion.json", {"name": name, "version": None})
        return f"{name} has no champion yet"
    told = {"name": name, "version": found.version, "run": found.run, "tags": dict(found.tags)}
    write_json(directory / "champion.json", told)
    try:
        registry.download(found, directory / "model")
    except Refused as error:
        return f"the champion is version {found.version}, but cannot be compared with: {error}"
    return f"the champion of {name} is version {found.version}"


if __name__ == "__main__":
    contract.run(main)
