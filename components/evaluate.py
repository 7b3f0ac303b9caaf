"""``python -m components.evaluate``: judge a model on held-out data, and decide whether it goes on.

Into the evaluation directory go

    metrics.json    format, features (the space of the distances), and
        metrics     numbers by name, see training.metrics; null where the model gave no finite one
        anchors     the same of real data, of a mixture (gmm), of a pixel sampler, of chance
        champion    the version that was measured on this same data, and its metrics; null where
                    there is none or the gate leaves it out
        gate        passed, and reasons: rule, value, limit, passed, why (a sentence)
    figures/        samples, reconstructions, interpolation, curves, as PNG

The gate is the data's and the recipe's, with ``--gate`` laid over them: ``{"fd": {"max": 2.0}}``
sets a limit, an anchor's name instead of the number means that anchor's, null takes a metric's
limits away. Beyond them a model must not be worse than the champion, see training.metrics.gate;
``{"champion": false}`` leaves that comparison out.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import contract, tracking
from training import recipes
from training.errors import InputError
from training.files import read_json, write_json
from training.metrics import Values, gate, judge

if TYPE_CHECKING:
    from training.metrics import Judge
    from training.metrics.gate import Reason
    from training.model import Model

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Champion:
    """Who holds the title: the version, its numbers on this data, or why there are none."""

    version: str
    metrics: Values | None
    problem: str = ""


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate one model. Raises InputError."""
    arguments = _parser().parse_args(argv)
    asked = gate.parse(arguments.gate)
    with tracking.open() as track:
        _evaluate(arguments, asked, track)


def _parser() -> contract.Arguments:
    parser = contract.Arguments(
        prog="python -m components.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="what prepare wrote")
    add("--model", type=Path, required=True, metavar="DIR", help="what train wrote")
    add("--champion", type=Path, metavar="DIR", help="what champion wrote; absent: there is none")
    add("--gate", default="{}", metavar="JSON", help="limits laid over the recipe's")
    add("--seed", type=int, default=0, help="of the samples that are drawn")
    add("--evaluation", type=Path, required=True, metavar="DIR", help="where to write")
    add("--passed", type=Path, required=True, metavar="FILE", help="takes true or false")
    return parser


def _evaluate(
    arguments: argparse.Namespace,
    asked: gate.Asked,
    track: tracking.Tracker,
) -> None:
    from training import data, export

    dataset = data.load(arguments.dataset)
    model = export.load_model(arguments.model)
    recipe = recipes.get(read_json(arguments.model / "config.json", "model")["recipe"])
    judging = judge(dataset)
    if problem := judging.cannot(model):
        raise InputError(f"{arguments.model} cannot be judged by {arguments.dataset}: {problem}")
    metrics = judging.measure(model, arguments.seed)
    own = {metric: limit for metric, limit in judging.gate.items() if metric in metrics}
    limits = gate.merged(own, recipe.gate, asked.limits)
    track.params({
        "seed": arguments.seed, "gate": limits, "gate.champion": asked.champion,
        "features": judging.space,
    })  # fmt: skip
    track.dataset(dataset.spec.name, dataset.spec.md5, context="evaluation")

    anchors = judging.anchors()
    directory = arguments.champion if asked.champion else None
    champion = _champion(directory, judging, arguments.seed)
    reasons = [gate.unmeasured(metric) for metric in judging.gate if metric not in metrics]
    reasons += gate.decide(limits, metrics, anchors) + _against(champion, metrics)
    passed = all(reason.passed for reason in reasons)

    with contract.output_directory(arguments.evaluation) as directory:
        figures = directory / "figures"
        figures.mkdir()
        judging.pictures(model, arguments.seed, _history(arguments.model), figures)
        track.artifact(figures)
        write_json(
            directory / "metrics.json",
            {
                "format": FORMAT,
                "features": judging.space,
                "metrics": _finite(metrics),
                "anchors": {name: _finite(values) for name, values in anchors.items()},
                "champion": champion and _as_json(champion),
                "gate": {"passed": passed, "reasons": [dataclasses.asdict(r) for r in reasons]},
            },
        )
        track.artifact(directory / "metrics.json")
    contract.write_value(arguments.passed, passed)

    track.metrics({name: v for name, v in metrics.items() if math.isfinite(v)})
    for name, values in anchors.items():
        track.metrics({f"anchor/{name}/{metric}": v for metric, v in values.items()})
    track.tags({"gate.passed": passed}, run=True)
    _tell(metrics, anchors, reasons)


def _champion(directory: Path | None, judging: Judge, seed: int) -> Champion | None:
    """Measure the champion on this data. Raises InputError where its directory is damaged."""
    if directory is None:
        return None
    found = read_json(directory / "champion.json", "champion")
    if not isinstance(found, dict) or "version" not in found:
        raise InputError(f"{directory / 'champion.json'} does not say which version it is of")
    if found["version"] is None:
        return None
    model, problem = _incumbent(directory / "model", judging)
    metrics = judging.measure(model, seed) if model else None
    return Champion(str(found["version"]), metrics, problem)


def _incumbent(directory: Path, judging: Judge) -> tuple[Model | None, str]:
    """The champion's model, or why it cannot be measured here: code and data move on."""
    from training import export

    try:
        model = export.load_model(directory)
    except InputError as error:
        return None, str(error)
    problem = judging.cannot(model)
    return (None, problem) if problem else (model, "")


def _against(champion: Champion | None, metrics: Values) -> list[Reason]:
    if champion is None:
        return []
    name = f"champion {champion.version}"
    if champion.metrics is None:
        why = f"{name} is not compared with: {champion.problem}"
        return [gate.Reason("champion", None, None, True, why)]
    return gate.compare(metrics, champion.metrics, name)


def _as_json(champion: Champion) -> dict[str, Any]:
    metrics = None if champion.metrics is None else _finite(champion.metrics)
    return {"version": champion.version, "metrics": metrics}


def _history(model: Path) -> Mapping[str, Any]:
    """The curves of training; a model from elsewhere may have none."""
    file = model / "history.json"
    found = read_json(file, "history") if file.exists() else {}
    if not isinstance(found, dict):
        raise InputError(f"history {file} is not an object of curves; train anew")
    return found


def _finite(values: Values) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _tell(metrics: Values, anchors: Mapping[str, Values], reasons: list[Reason]) -> None:
    print(f"{'':22}{'model':>9}" + "".join(f"{name:>9}" for name in anchors), file=sys.stderr)
    for metric, value in metrics.items():
        beside = [values.get(metric) for values in anchors.values()]
        row = "".join(f"{'-' if v is None else format(v, '.3f'):>9}" for v in (value, *beside))
        print(f"{metric:22}{row}", file=sys.stderr)
    for reason in reasons:
        print(f"{'ok ' if reason.passed else 'NO '} {reason.why}", file=sys.stderr)


if __name__ == "__main__":
    # Small matrices: a second thread costs more than it saves, and rounds differently.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    contract.run(main)
