"""Write a registered version's model, verified, where a server will read it.

    python -m components.fetch --model-name NAME --version V --model DIR

A server's pod runs this before it starts: its own image does not know MLflow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from components import contract
from infra import mlflow


def main(argv: Sequence[str] | None = None) -> None:
    """Fetch. Raises InputError where there is no such version, ProviderError if it is altered."""
    parser = contract.Arguments("components.fetch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model-name", required=True, help="its name in the registry")
    parser.add_argument("--version", required=True, help="its version in the registry")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to write")
    arguments = parser.parse_args(argv)
    from infra.registry import Registry

    registry = Registry(mlflow.address(os.environ))
    found = registry.version(arguments.model_name, arguments.version)
    with contract.output_directory(arguments.model) as directory:
        registry.download(found, directory / "found")
        for each in (directory / "found").iterdir():
            each.rename(directory / each.name)
        (directory / "found").rmdir()
    print(f"version {found.version} of {found.name} is at {arguments.model}", file=sys.stderr)


if __name__ == "__main__":
    contract.run(main)
