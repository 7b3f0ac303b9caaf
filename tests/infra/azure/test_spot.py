"""The spot drill: a training that is interrupted leaves the very model of one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.azure import client
from infra.local import PROVIDER as LOCAL
from infra.local import LocalSettings
from infra.plan import Plan
from infra.storage import tree, tree_digest
from tests.infra.azure.lowering import GOLDEN
from tests.infra.azure.running import RUN, azure, plan_of

_STEPS = 2000
"""Of which each machine that is lost takes the first second or two."""
_DATASET, _MODEL = ("prepare", "dataset"), ("train", "model")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Our own pipeline up to the model, on a spot machine, and short."""
    document = json.loads((GOLDEN / "generative.json").read_text(encoding="utf-8"))
    config = {"steps": _STEPS, "checkpoint_seconds": 0.3}
    whole = plan_of(document, config=json.dumps(config))
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


@pytest.mark.timeout(900)
def test_a_training_that_loses_its_machine_twice_leaves_the_model_of_one_that_did_not(
    plan: Plan, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """A spot machine is cheaper only if losing it costs neither the training nor its result.

    Azure gives no sign before: the container is gone between two instructions, at whatever step it
    is by then.
    """
    away = [{"step": "train", "says": r"(?m)^step +\d", "times": 2}]
    with azure(tmp_path, interruptions=away) as stood:
        events = stood.ran(plan)
        assert events[-1].state == "succeeded", events[-1].message
        (train,) = (each for each in stood.jobs() if each["step"] == "train")
        assert len(train["attempts"]) == 3
        lines = [each.text for each in client.logs(RUN, stood.settings, "train", follow=False)]
        assert "(resumed at step " in "\n".join(lines), lines
        assert not any("stopped on request" in line for line in lines)
        assert _digests(client.outputs(RUN, stood.settings)) == undisturbed
