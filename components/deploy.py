"""Serve a registered model version where the run takes place; traffic moves once it is healthy.

    python -m components.deploy --model DIR --model-name NAME --version V --endpoint NAME --url FILE
        [--promoted true|false] [--canary PERCENT]

A version that was not promoted is served as a canary alone: an endpoint answers as the champion.

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
    parser.add_argument(
        "--promoted", choices=("true", "false"), default="true", help="whether it is champion"
    )
    arguments = parser.parse_args()
    place = provider.get(os.environ.get("TREFOIL_PROVIDER") or "local").endpoint()
    workspace = Path(os.environ.get("TREFOIL_WORKSPACE") or provider.WORKSPACE)
    if arguments.promoted == "false" and not arguments.canary:
        there = place.endpoints(workspace=workspace)
        url = next((each.url for each in there if each.name == arguments.endpoint), "")
        contract.write_value(arguments.url, url)
        print(_left(arguments.endpoint, arguments.version, url), file=sys.stderr)
        return
    endpoint = place.deploy(
        workspace=workspace,
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


def _left(endpoint: str, version: str, url: str) -> str:
    served = f"{endpoint} goes on serving what it did at {url}" if url else "nothing is served"
    by_hand = f"python -m pipelines deploy {version}"
    return f"version {version} was not promoted: {served}; to serve it: {by_hand}"


if __name__ == "__main__":
    contract.run(main)
