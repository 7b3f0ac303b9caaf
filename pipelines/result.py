"""What a run came to: states, metrics, the gate, the model version, the endpoint."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from infra.plan import Event, Json, RunRef
from pipelines import cli
from pipelines.request import Prepared


class Result(NamedTuple):
    """The end of a run, for people and machines.

    ``passed`` is the gate's word, ``gate`` its reasons; None where the pipeline has no gate or did
    not reach it. ``seconds`` is wall time.
    """

    run_id: str
    provider: str
    state: str
    seconds: float
    message: str
    steps: list[Event]
    metrics: dict[str, Json]
    passed: bool | None
    gate: Json
    model_version: str | None
    endpoint_url: str | None

    def data(self) -> Json:
        """As the JSON document that ``run --json`` ends with."""
        return {
            "run_id": self.run_id,
            "provider": self.provider,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "message": self.message,
            "steps": [
                {
                    "name": event.step,
                    "state": event.state,
                    "seconds": round(event.seconds, 3),
                    "attempt": event.attempt,
                    "message": event.message,
                }
                for event in self.steps
            ],
            "metrics": self.metrics,
            "gate": {"passed": self.passed, "reasons": self.gate},
            "model_version": self.model_version,
            "endpoint_url": self.endpoint_url,
        }


def collect(prepared: Prepared, run: RunRef, last: Event) -> Result:
    """Read what the steps left. The names passed, version and url are the contract's."""
    place, plan = prepared.provider, prepared.request.plan
    status = place.status(run, prepared.settings)
    outputs = place.outputs(run, prepared.settings)
    values = {name: value for step in outputs.values() for name, value in step.items()}
    judged: dict[str, Json] = {}
    for step in plan.steps:
        for name, kind in step.artifacts.items():
            if kind == "system.Metrics" and step.name in outputs:
                judged.update(_metrics(str(outputs[step.name][name])))
    metrics, gate = judged.get("metrics"), judged.get("gate")
    passed, version, url = values.get("passed"), values.get("version"), values.get("url")
    return Result(
        run_id=run.run_id,
        provider=run.provider,
        state=last.state,
        seconds=last.seconds,
        message=last.message,
        steps=[status.steps.get(step.name, Event(step.name, "waiting")) for step in plan.steps],
        metrics=metrics if isinstance(metrics, dict) else {},
        passed=passed if isinstance(passed, bool) else None,
        gate=gate.get("reasons") if isinstance(gate, dict) else None,
        model_version=version if isinstance(version, str) else None,
        endpoint_url=url if url and isinstance(url, str) else None,
    )


def tell(result: Result, arguments: argparse.Namespace) -> None:
    """Say it in a few lines: what came out on stdout, what went wrong on stderr."""
    if result.state != "succeeded":
        cli.say(f"{result.run_id} {result.state}: {result.message}")
        return
    cli.tell(f"{result.run_id} succeeded in {result.seconds:.1f} s")
    if result.metrics:
        shown = {k: v for k, v in result.metrics.items() if isinstance(v, int | float)}
        cli.tell("  metrics   " + "  ".join(f"{name} {value:.4g}" for name, value in shown.items()))
    if result.passed is not None:
        cli.tell(f"  gate      {'passed' if result.passed else 'said no'}")
    for reason in result.gate if isinstance(result.gate, list) else []:
        if isinstance(reason, dict) and not reason.get("passed"):
            cli.tell(f"            {reason.get('why')}")
    if result.model_version:
        cli.tell(f"  model     version {result.model_version}")
    if result.endpoint_url:
        cli.tell(f"  endpoint  {result.endpoint_url}")
    if result.metrics:
        words = ["python", "-m", "pipelines", "report", result.run_id, *_where(result, arguments)]
        cli.tell(f"  report    {shlex.join(words)}")


def _where(result: Result, arguments: argparse.Namespace) -> list[str]:
    """The flags that lead another command to the run."""
    place = [] if result.provider == "local" else ["--provider", result.provider]
    settings = ["--settings", str(arguments.settings)] if arguments.settings else []
    return [*place, *settings, *(["--rehearse"] if arguments.rehearse else [])]


def _metrics(place: str) -> dict[str, Json]:
    """The metrics.json of an artefact of type system.Metrics, a file or a directory."""
    file = Path(place, "metrics.json") if os.path.isdir(place) else Path(place)  # noqa: PTH112
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cli.say(f"note: no metrics from {file}: {error}")
        return {}
    return found if isinstance(found, dict) else {}
