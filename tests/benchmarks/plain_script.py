"""The main job as one would write it without a pipeline: one process, one step after the other.

The same work with the same parts: read digits, train, judge, log to and register in MLflow on
SQLite, start a server and ask it. No isolation, cache, ledger, retries, checkpoints or report.
``python -m tests.benchmarks.plain_script FOLDER``.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path


def main(place: Path) -> None:
    """Do all of it, leaving everything below ``place``."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["TREFOIL_WORKSPACE"] = str(place)
    from components import deploy, evaluate, prepare, train

    dataset, model, found = place / "dataset", place / "model", place / "evaluation"
    nobody = place / "champion"
    nobody.mkdir(parents=True)
    (nobody / "champion.json").write_text('{"version": null}')
    prepare.main(["--data", "digits", "--md5", "", "--seed", "0", "--dataset", str(dataset)])
    train.main(["--dataset", str(dataset), "--seed", "0", "--model", str(model)])
    evaluate.main(
        ["--dataset", str(dataset), "--model", str(model), "--champion", str(nobody),
         "--gate", "{}", "--seed", "0", "--evaluation", str(found),
         "--passed", str(place / "passed")]
    )  # fmt: skip
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place / 'mlflow.db'}"
    log(place, model, found)
    from components import register

    version = place / "version"
    register.main(
        ["--dataset", str(dataset), "--model", str(model), "--evaluation", str(found),
         "--model-name", "digits-vae", "--version", str(version)]
    )  # fmt: skip
    sys.argv = [
        "deploy", "--model", str(model), "--model-name", "digits-vae",
        "--version", version.read_text(), "--endpoint", "digits-vae", "--url", str(place / "url"),
    ]  # fmt: skip
    deploy.main()
    url = (place / "url").read_text()
    with urllib.request.urlopen(f"{url}/ping") as answer:  # noqa: S310  our own server
        assert answer.status == 200


def log(place: Path, model: Path, found: Path) -> None:
    """Parameters, curves, metrics and pictures, in one run, in batches."""
    from infra import mlflow as ours

    client = ours.connect(os.environ["MLFLOW_TRACKING_URI"])
    from mlflow.entities import Metric, Param

    experiment = client.create_experiment("plain", artifact_location=str(place / "artifacts"))
    run = client.create_run(experiment).info.run_id
    config = json.loads((model / "config.json").read_text())
    params = [Param(name, str(value)) for name, value in config["config"].items()]
    curves = json.loads((model / "history.json").read_text())
    points = [
        Metric(f"{part}/{name}", value, 0, step)
        for part, columns in curves.items()
        if isinstance(columns, dict) and "step" in columns
        for name, values in columns.items()
        for step, value in zip(columns["step"], values, strict=True)
        if name != "step"
    ]
    client.log_batch(run, points[:1000], params)
    client.log_artifacts(run, str(found / "figures"), "figures")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
