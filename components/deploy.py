"""Serve a registered model version where the run takes place; traffic moves once it is healthy.

    python -m components.deploy --model DIR --model-name NAME --version V --endpoint NAME --url FILE

The place is TREFOIL_PROVIDER (default local), its workspace TREFOIL_WORKSPACE (default .trefoil).
What was started outlives this step. The endpoint's URL is written to ``--url``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from components import contract
from infra import provider


def main() -> None:
    """Deploy. Raises InputError, and whatever the place raises when it fails."""
    parser = contract.Arguments("components.deploy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="model directory")
    parser.add_argument("--model-name", required=True, help="its name in the registry")
    parser.add_argument("--version", required=True, help="its version in the registry")
    parser.add_argument("--endpoint", required=True, help="name of the endpoint")
    parser.add_argument("--url", type=Path, required=True, help="file to write the URL to")
    parser.add_argument("--port", type=int, help="port of a local endpoint (default: a free one)")
    parser.add_argument(
        "--canary", type=int, default=0, help="percent of the requests that it gets beside the last"
    )
    arguments = parser.parse_args()
    place = provider.get(os.environ.get("TREFOIL_PROVIDER") or "local")
    endpoint = place.endpoint().deploy(
        workspace=Path(os.environ.get("TREFOIL_WORKSPACE") or provider.WORKSPACE),
        name=arguments.endpoint,
        version=arguments.version,
        model=arguments.model,
        model_name=arguments.model_name,
        port=arguments.port,
        canary=arguments.canary,
    )
    contract.write_value(arguments.url, endpoint.url)
    print(
        f"{endpoint.name} serves version {endpoint.version} at {endpoint.url}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    contract.run(main)
