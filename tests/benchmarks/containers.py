"""Five steps that do nothing, each in a container: ``python -m tests.benchmarks containers``.

The floor is five ``docker run --rm``, one after the other, of the same command with its files
mounted. BENCH_IMAGE is an image that is here and has Python in it (default python:3.11-slim);
kfp.local would pull one that is not. BENCH_NETWORK is the network of all (default bridge): what
making one takes is a good part of a container's start.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from infra import docker
from infra.errors import InputError, TrefoilError
from tests.benchmarks.harness import PYTHON, ROOT, Contender, Goal, flags, in_turns, once, tell
from tests.benchmarks.noop import FIRST, NEXT

FLOOR = "floor: 5 x docker run"
OURS, CACHED = "trefoil --runner docker", "trefoil, all cached"
PEER = "kfp.local DockerRunner"
GOALS = [Goal(OURS, FLOOR, 1.3), Goal(OURS, PEER, 1.0)]
NOOP = ROOT / "tests" / "benchmarks" / "noop.yaml"
KFP = ROOT / "tests" / "benchmarks" / "peer" / "kfp_docker_five.py"


def main(argv: list[str] | None = None) -> None:
    """Print the table; without Docker or the image, why there is none."""
    arguments = flags(argv, rounds=7)
    image = os.environ.get("BENCH_IMAGE", "python:3.11-slim")
    network = os.environ.get("BENCH_NETWORK", "bridge")
    try:
        if not docker.identities([image]):
            raise InputError(f"the image {image} is not here; name one that is by BENCH_IMAGE")
    except TrefoilError as error:
        print(f"not measured: {error}")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = in_turns(_contenders(Path(folder), image, network), arguments.rounds)
    tell(found, FLOOR, {"wall": GOALS}, (), arguments.json)


def _contenders(place: Path, image: str, network: str) -> list[Contender]:
    workspace, pipeline = place / "workspace", place / "noop.yaml"
    text = NOOP.read_text(encoding="utf-8").replace("python:3.11-slim", image)
    pipeline.write_text(text.replace("- python\n", "- python3\n"))
    ours = [PYTHON, "-m", "pipelines.run", "--pipeline", str(pipeline), "--runner", "docker"]
    environment = {"TREFOIL_WORKSPACE": str(workspace), "TREFOIL_NETWORK": network}

    def forget() -> None:
        """A fresh workspace, but for the IR."""
        for name in ("runs", "cache"):
            shutil.rmtree(workspace / name, ignore_errors=True)
        (workspace / "ledger.jsonl").unlink(missing_ok=True)

    once(Contender(OURS, ours, environment=environment))
    script = place / "floor.sh"
    run = f"docker run --rm --network {network} -v {place}:/files {image} python3 -c"
    lines = [f"{run} {shlex.quote(FIRST)} /files/f0"]
    lines += [f"{run} {shlex.quote(NEXT)} /files/f{at} /files/f{at + 1}" for at in range(4)]
    script.write_text("\n".join(["set -e", *lines]))
    return [
        Contender(FLOOR, ["sh", str(script)]),
        Contender(OURS, ours, forget, environment),
        Contender(CACHED, ours, environment=environment),
        Contender(PEER, [PYTHON, str(KFP), str(place / "kfp"), image, network], folder=place),
    ]


if __name__ == "__main__":
    main()
