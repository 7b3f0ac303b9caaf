"""``python -m tests.conformance.parity [--write]``: the whole pipeline in every place, compared.

One command in each of them, and then the verb ``outputs``: what a person can see of a run is all
that is compared here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.images.record import Built, remember
from infra.storage import tree, tree_digest
from tests import docker as images
from tests import dockerd
from tests.conformance.places import Place, places

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "parity.md"
STEPS = ("champion", "prepare", "train", "evaluate")
"""Those that leave artefacts. The report is of the place that it tells of."""
_GATE = json.dumps({"fd": None, "bits_per_dim": None, "champion": False})
SHORT = ("--param", "steps=20", "--param", f"gate={_GATE}")
"""A run of seconds that passes the gate, whatever it has learnt."""
_SHOWN = 12
_HEAD = """# One run, everywhere

The pipeline of this repository (digits, VAE; 20 steps, too few to learn much), run by the same
command in every place. Beside each artefact stands the beginning of its SHA-256 digest, beside each
metric its value, as the verb `outputs` gives them. A place that is rehearsed was not run for real.

Made by `python -m tests.conformance.parity --write`; another machine rounds differently and gets
other digests, which are then again the same in every place.

"""


class Left(NamedTuple):
    """What a run left: digests by "step/output", and the metrics of the evaluation."""

    digests: Mapping[str, str]
    metrics: Mapping[str, float]


def left(place: Place, workspace: Path, image: Built | None = None) -> Left:
    """Run the pipeline in a place, and look at what it left. Raises AssertionError.

    ``image`` is that of the steps, for a place that runs them in containers.
    """
    where = _flags(place)
    if image:
        remember(workspace, image)
    run = _said(workspace, "pipelines.run", *where, *_how(place), *SHORT, "--json")
    copies = workspace / "copies"
    asked = ("pipelines", "outputs", run["run_id"], *where)
    found = _said(workspace, *asked, "--out", str(copies), "--json")
    if not place.rehearsed:  # its server would outlive this
        _said(workspace, "pipelines", "stop", "digits-vae", *where, "--json")
    digests = {
        f"{step}/{name}": tree_digest(tree(_place(str(at), step, name, workspace)))
        for step in STEPS
        for name, at in found[step].items()
        if "/" in str(at)
    }
    return Left(digests, run["metrics"])


def written(found: Mapping[str, Left]) -> str:
    """The page, a column for each place."""
    rows: dict[str, list[str]] = {}
    for each in found.values():
        shown = {name: digest.removeprefix("sha256:")[:_SHOWN] for name, digest in
                 each.digests.items()}  # fmt: skip
        shown |= {name: f"{value:.6g}" for name, value in each.metrics.items()}
        for name, value in shown.items():
            rows.setdefault(name, []).append(value)
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Print the table; 1 where a place left something else than the first."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.parity", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {DOCS.name}, if all agree")
    write = parser.parse_args().write
    found: dict[str, Left] = {}
    with tempfile.TemporaryDirectory() as folder, dockerd.daemon() as docker:
        os.environ["DOCKER_HOST"] = docker.host
        image = images.built(docker, "trefoil-trainer", images.options(dockerd.base(docker)))
        for number, place in enumerate(ordered()):
            own = image if place.needs else None
            found[place.label] = left(place, Path(folder, str(number)), own)
    print(written(found))
    first = next(iter(found.values()))
    odd = [label for label, each in found.items() if each != first]
    for label in odd:
        print(f"{label} left something else", file=sys.stderr)
    if write and not odd:
        DOCS.write_text(written(found), encoding="utf-8")
    return min(len(odd), 1)


def ordered() -> list[Place]:
    """Every place, this machine first, then those that are rehearsed."""
    return sorted(places(), key=lambda place: (place.rehearsed, place.needs))


def _flags(place: Place) -> tuple[str, ...]:
    flags = ("--provider", place.provider.name)
    return (*flags, "--rehearse") if place.rehearsed else flags


def _how(place: Place) -> tuple[str, ...]:
    return ("--runner", "docker", "--set", "network=none") if place.needs == "docker" else ()


def _place(at: str, step: str, name: str, workspace: Path) -> Path:
    """Where an artefact lies here.

    Kubeflow Pipelines hands out single files alone: there it is what the stand-in stored.
    """
    stored = f"rehearsal/kind/kubeflow/runs/*/steps/{step}/outputs/outputs/{name}"
    return next(workspace.glob(stored), Path(at))


def _said(workspace: Path, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(workspace)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
