"""The spot drill: a training that is interrupted leaves the very model of one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.gcp import client
from infra.local import PROVIDER as LOCAL
from infra.local import LocalSettings
from infra.plan import Plan
from infra.storage import tree, tree_digest
from tests.infra.gcp.lowering import GOLDEN
from tests.infra.gcp.running import RUN, gcp, plan_of

_STEPS = 1000
"""As many as are done in the second until the first line of them, and that is seen."""
_DATASET, _MODEL = ("prepare", "dataset"), ("train", "model")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Our own pipeline up to the model, on a spot machine, and short."""
    document = json.loads((GOLDEN / "generative.json").read_text(encoding="utf-8"))
    whole = plan_of(document, config=json.dumps({"steps": _STEPS}))
    train = whole.step("train")
    spot = train._replace(resources=train.resources._replace(spot=True))
    return whole._replace(steps=(whole.step("prepare"), spot))


@pytest.fixture(scope="module")
def undisturbed(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of what a run of this machine's own leaves."""
    settings = LocalSettings(workspace=str(tmp_path_factory.mktemp("local")))
    train = plan.step("train")
    own = train._replace(resources=train.resources._replace(spot=False))
    here = plan._replace(steps=(plan.step("prepare"), own))
    run = LOCAL.submit(LOCAL.lower(here, settings, "r-1"), settings, dict)
    assert list(LOCAL.follow(run, settings))[-1].state == "succeeded"
    return _digests(LOCAL.outputs(run, settings))


def _digests(left: object) -> dict[str, str]:
    found: dict[str, dict[str, str]] = json.loads(json.dumps(left))
    return {
        f"{step}.{name}": tree_digest(tree(Path(found[step][name])))
        for step, name in (_DATASET, _MODEL)
    }


def test_an_interrupted_training_leaves_the_model_of_one_that_was_not(
    plan: Plan, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """A spot machine is cheaper only if losing it costs neither the training nor its result.

    Twice it is taken away as soon as training begins, and goes on; then in the middle of it.
    """
    begins, midway = r"training rows", r"(?m)^step +\d"
    away = [
        {"step": "train", "says": begins, "times": 2},
        {"step": "train", "says": midway, "times": 3},
    ]
    with gcp(tmp_path, interruptions=away, grace=60) as stood:
        events = stood.ran(plan)
        assert events[-1].state == "succeeded", events[-1].message
        (job,) = stood.kept("CustomJob")
        assert len(job["attempts"]) == 1 + 3
        lines = [each.text for each in client.logs(RUN, stood.settings, "train", follow=False)]
        assert sum("stopped on request" in line for line in lines) == 3, lines
        assert "(resumed at step " in lines[-1]
        assert _digests(client.outputs(RUN, stood.settings)) == undisturbed
