"""Make a model version in the registry, alias it challenger, promote it by rule.

    python -m components.register --dataset DIR --model DIR --evaluation DIR --model-name NAME
        [--promote when-better|always|never] --version FILE --promoted FILE

when-better: it becomes champion where there is none, or where evaluate has compared it with the
present one on the same data, and found it in no number worse than chance explains, and in the first
that they share better than that. A version that was rolled back from waits for a person.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components import contract, mlmodel
from infra import mlflow
from infra.registry import DIGEST, LEFT, MODEL, RUN_ID, Registry, Version
from infra.storage import tree, tree_digest
from training.errors import InputError
from training.files import read_json
from training.metrics import METRICS

RULES = ("when-better", "always", "never")


class Candidate(NamedTuple):
    """What is to be registered, and all that is known of it."""

    name: str
    model: Path
    digest: str
    run_id: str
    facts: dict[str, str]
    metrics: dict[str, float]
    measured_at: int
    evaluation: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Register one model. Raises InputError, and TrefoilError where MLflow cannot be reached."""
    parser = contract.Arguments("components.register", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="what prepare wrote")
    add("--model", type=Path, required=True, metavar="DIR", help="what train wrote")
    add("--evaluation", type=Path, required=True, metavar="DIR", help="what evaluate wrote")
    add("--model-name", required=True, help="its name in the registry")
    add("--promote", choices=RULES, default="when-better", help="when it becomes champion")
    add("--version", type=Path, required=True, metavar="FILE", help="takes the version")
    add("--promoted", type=Path, metavar="FILE", help="takes whether it is champion now")
    arguments = parser.parse_args(argv)
    candidate = _candidate(arguments)
    registry = Registry(mlflow.address(os.environ))
    version = register(registry, candidate)
    said = promote(registry, version, arguments.promote, candidate.evaluation)
    contract.write_value(arguments.version, version.version)
    if arguments.promoted:
        champion = registry.champion(version.name)
        contract.write_value(arguments.promoted, champion == version)
    print(f"{version.name} version {version.version}: {said}", file=sys.stderr)


def register(registry: Registry, candidate: Candidate) -> Version:
    """The version of a candidate: a new one, unless its very bytes have one already.

    So neither a run that was killed here nor one that found everything in the cache adds another.
    """
    name = candidate.name
    registry.ensure(name)
    version = registry.registered(name, candidate.digest)
    if version is None:
        run, source = _store(registry, candidate)
        tags = {
            **candidate.facts,
            **{f"metric.{metric}": repr(value) for metric, value in candidate.metrics.items()},
            RUN_ID: candidate.run_id,
            DIGEST: candidate.digest,
        }
        version = registry.register(name, source, run, tags, _description(candidate))
    registry.challenge(version)
    return version


def promote(registry: Registry, version: Version, rule: str, evaluation: dict[str, Any]) -> str:
    """Make a version champion if the rule says so, and say what became of it and why."""
    champion = registry.champion(version.name)
    if champion and champion.version == version.version:
        return "champion"
    better, why = {"always": (True, "--promote always"), "never": (False, "--promote never")}.get(
        rule, (False, "")
    )
    if rule == "when-better":
        better, why = judge(evaluation, champion.version if champion else None)
        if better and LEFT in version.tags:
            better, why = False, "it was rolled back from"
        if not better:
            why = f"{why}; decide with: python -m pipelines promote {version.version}"
    if not better:
        newest = registry.challenger(version.name) == version
        return f"{'challenger; ' * newest}not promoted: {why}"
    registry.promote(version)
    return f"champion; {why}"


def judge(evaluation: Mapping[str, Any], champion: str | None) -> tuple[bool, str]:
    """Whether what evaluate found makes a model better than the present champion, and why."""
    if champion is None:
        return True, "there was no champion"
    against = evaluation.get("champion")
    if not isinstance(against, dict):
        return False, f"it was not compared with champion {champion}"
    if str(against["version"]) != champion:
        return False, f"it was compared with champion {against['version']}, now that is {champion}"
    mine, theirs = _numbers(evaluation.get("metrics")), _numbers(against.get("metrics"))
    shared = [
        name
        for name, about in METRICS.items()
        if about.tolerance is not None and name in mine and name in theirs
    ]
    if not shared:
        return False, f"it could not be compared with champion {champion}"
    for reason in evaluation.get("gate", {}).get("reasons", ()):
        if not reason["passed"]:
            return False, str(reason["why"])
    first = shared[0]
    chance = (METRICS[first].tolerance or 0.0) * abs(theirs[first])
    better = mine[first] < theirs[first] - chance
    word = "better" if better else "not better"
    told = f"{first} {mine[first]:.4g} is {word} than champion {champion}'s {theirs[first]:.4g}"
    by_chance = not better and mine[first] < theirs[first]
    return better, told + f" by more than chance (tolerance {chance:.2g})" * by_chance


def _candidate(arguments: Any) -> Candidate:
    """Read what the earlier steps wrote. Raises InputError."""
    model = arguments.model
    file = arguments.evaluation / "metrics.json"
    evaluation = read_json(file, "evaluation")
    data = read_json(arguments.dataset / "schema.json", "dataset")
    config = read_json(model / "config.json", "model")
    if not (model / "serving.json").is_file():
        raise InputError(f"{model} is no model to register: it has no serving.json")
    try:
        facts = {
            "dataset.name": data["name"],
            "dataset.md5": data["source"]["md5"],
            "recipe": config["recipe"],
            "git.commit": os.environ.get("TREFOIL_GIT_COMMIT", ""),
            "plan.digest": os.environ.get("TREFOIL_PLAN_DIGEST", ""),
        }
        metrics = _numbers(evaluation["metrics"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}, {arguments.dataset / 'schema.json'} or {model / 'config.json'} lacks "
            f"what an earlier step writes there: {error}"
        ) from None
    digest = tree_digest(tree(model))
    return Candidate(
        name=arguments.model_name,
        model=model,
        digest=digest,
        run_id=os.environ.get("TREFOIL_RUN_ID") or f"register-{digest[:12]}",
        facts={name: str(value) for name, value in facts.items() if value},
        metrics=metrics,
        measured_at=file.stat().st_mtime_ns // 1_000_000,
        evaluation=evaluation,
    )


def _store(registry: Registry, candidate: Candidate) -> tuple[str, str]:
    """Put the model and its numbers into the MLflow run; its id, and where the model lies there."""
    client, uri = registry.client, registry.uri
    with mlflow.told(uri):
        run = os.environ.get("MLFLOW_RUN_ID", "")
        if not run:
            where = mlflow.experiment(client, uri, os.environ)
            run = mlflow.pipeline_run(client, uri, where, candidate.run_id, {})
        path = f"model-{candidate.digest[:12]}"
        with tempfile.TemporaryDirectory() as place:
            mlmodel.dress(Path(place), candidate.model, candidate.digest, run, path)
            client.log_artifacts(run, str(candidate.model), f"{path}/{MODEL}")
            client.log_artifacts(run, place, path)
        from mlflow.entities import Metric

        at = candidate.measured_at
        client.log_batch(run, [Metric(name, v, at, 0) for name, v in candidate.metrics.items()])
        return run, f"{client.get_run(run).info.artifact_uri}/{path}"


def _numbers(found: object) -> dict[str, float]:
    """The finite numbers among what a JSON object holds."""
    values = found.items() if isinstance(found, dict) else ()
    return {
        name: float(value)
        for name, value in values
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _description(candidate: Candidate) -> str:
    facts = candidate.facts
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in candidate.metrics.items())
    return f"{facts['recipe']} on {facts['dataset.name']}, by {candidate.run_id}: {numbers}"


if __name__ == "__main__":
    contract.run(main)
