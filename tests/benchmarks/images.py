"""What images weigh and what building them takes: ``python -m tests.benchmarks images``.

Built from a copy of the checkout by the verb that a person uses. *Cold* makes every layer anew, but
BuildKit keeps what it fetched before; *warm* is after a change to one line of a step.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from infra.images import catalogue
from tests import dockerd
from tests.benchmarks.harness import PYTHON, Contender, flags, in_turns, once
from tests.docker import with_buildkit
from tests.dockerd import Docker

GOAL = 10.0
"""Seconds of a warm build."""


def main(argv: list[str] | None = None) -> None:
    """Print sizes and times, or in one line why there are none."""
    arguments = flags(argv, rounds=3)
    try:
        with dockerd.daemon() as docker, tempfile.TemporaryDirectory() as place:
            rows = {
                name: measured(docker, name, dockerd.base(docker), Path(place), arguments.rounds)
                for name in catalogue.IMAGES
            }
    except dockerd.Unavailable as reason:
        print(json.dumps({"missing": str(reason)}) if arguments.json else f"no Docker: {reason}")
        return
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':<18}{'MB':>8}{'base MB':>9}{'code MB':>9}{'cold s':>9}{'same s':>9}{'warm s':>9}")
    for name, row in rows.items():
        print(
            f"{name:<18}"
            + "".join(f"{value:{9 if i else 8}.1f}" for i, value in enumerate(row.values()))
        )
    for name, row in rows.items():
        word = "reached" if row["warm s"] < GOAL else "NOT REACHED"
        print(f"{name}, code changed: {row['warm s']:.1f} s, goal < {GOAL:g} s: {word}")


def measured(docker: Docker, name: str, base: str, place: Path, rounds: int) -> dict[str, float]:
    """Sizes and medians of one image."""
    root = copied(place / name)
    environment = {
        "DOCKER_HOST": docker.host,
        "PATH": with_buildkit(docker.host) or os.environ["PATH"],
        "TREFOIL_WORKSPACE": str(place / "workspace"),
    }
    ca = os.environ.get("SSL_CERT_FILE")
    command = [
        PYTHON, "-m", "pipelines", "image", "build", name, f"--base-image={base}",
        "--docker-flag=--network=host", *([f"--ca={ca}"] if ca else []),
    ]  # fmt: skip

    def changed() -> None:
        with (root / "components/serve.py").open("a") as file:
            file.write("# changed\n")

    cold = Contender(
        "cold", [*command, "--docker-flag=--no-cache"], lambda: None, environment, root
    )
    same = Contender("same", command, lambda: None, environment, root)
    warm = Contender("warm", command, changed, environment, root)
    seconds = once(cold).wall
    found = in_turns([same, warm], rounds)
    built = json.loads((place / "workspace/images.json").read_text())[name]
    layers = docker("history", "--human=false", "--format={{.Size}} {{.CreatedBy}}", built["id"])
    code = next(line for line in layers.splitlines() if "COPY" in line and "/app" in line)
    return {
        "MB": size(docker, built["id"]),
        "base MB": size(docker, base),
        "code MB": int(code.split()[0]) / 1e6,
        "cold s": seconds,
        **{
            f"{each} s": statistics.median(run.wall for run in runs) for each, runs in found.items()
        },
    }


def size(docker: Docker, image: str) -> float:
    """Megabytes of an image, unpacked."""
    return int(docker("image", "inspect", "--format={{.Size}}", image)) / 1e6


def copied(root: Path) -> Path:
    """What of the checkout builds images, committed, where it may be changed."""
    for name in (*catalogue.CONTENTS, ".dockerignore", "pipelines"):
        source = catalogue.ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            root.mkdir(exist_ok=True, parents=True)
            shutil.copy(source, root / name)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copy"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(root), *identity, *words], check=True)
    return root


if __name__ == "__main__":
    main()
