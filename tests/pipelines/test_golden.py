"""The authored pipeline compiles to the IR in ``tests/golden``: no drift of kfp goes unseen.

So does what each provider makes of it: generative.PROVIDER.json is what would be sent, and
multinode.PROVIDER.json with the training step on two nodes.

After a change that is meant, remake it: ``python -m tests.pipelines.test_golden``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import ir
from infra import provider as providers
from infra.plan import Plan, to_data
from pipelines import compile

GOLDEN = Path(__file__).parent.parent / "golden"
IR = GOLDEN / "generative.json"
SETTINGS: dict[str, dict[str, Any]] = {"local": {}, "kind": {"image_tag": "0123456789ab"}}
"""Of each provider whose request is kept, the settings that make it the same on every machine."""
REQUESTS = [
    (name, nodes)
    for name in SETTINGS
    for nodes in (1, 2)
    if nodes == 1 or "multi-node" not in providers.get(name).missing
]
"""A provider, and on how many nodes the model is trained."""


def compiled(workspace: Path) -> dict[str, Any]:
    """The pipeline's IR, without the version of the SDK that wrote it."""
    document = compile.load("", workspace)
    document["pipeline"].pop("sdkVersion")
    return document


def request(document: dict[str, Any], provider: str, nodes: int = 1) -> Any:
    """What a provider is sent for it."""
    place = providers.get(provider)
    settings = place.settings(**SETTINGS[provider])
    plan = spread(ir.read(document), nodes)
    return to_data(place.lower(plan, settings, "generative-golden-1").body)


def spread(plan: Plan, nodes: int) -> Plan:
    """The plan as --nodes leaves it."""
    steps = tuple(
        step._replace(resources=step.resources._replace(nodes=nodes))
        if step.name == "train"
        else step
        for step in plan.steps
    )
    return plan._replace(steps=steps)


def golden(provider: str, nodes: int = 1) -> Path:
    """The file of a provider's request."""
    return GOLDEN / f"{'generative' if nodes == 1 else 'multinode'}.{provider}.json"


def pretty(value: Any) -> str:
    """One spelling."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_pipeline_compiles_to_the_golden_ir(tmp_path: Path) -> None:
    assert pretty(compiled(tmp_path)) == IR.read_text(encoding="utf-8")


@pytest.mark.parametrize(("provider", "nodes"), REQUESTS)
def test_the_golden_ir_lowers_to_the_golden_request(provider: str, nodes: int) -> None:
    document = json.loads(IR.read_text(encoding="utf-8"))
    found = pretty(request(document, provider, nodes))
    assert found == golden(provider, nodes).read_text(encoding="utf-8")


def test_the_plan_of_the_pipeline() -> None:
    """Who needs whom, what is cached and what always runs: the promises of README's picture."""
    plan = ir.read(json.loads(IR.read_text(encoding="utf-8")))
    assert {step.name: set(step.needs()) for step in plan.steps} == {
        "prepare": set(),
        "champion": set(),
        "train": {"prepare"},
        "evaluate": {"prepare", "train", "champion"},
        "register": {"prepare", "train", "evaluate"},
        "deploy": {"prepare", "train", "evaluate", "register"},
        "report": {"prepare", "champion", "train", "evaluate", "register", "deploy"},
    }
    assert {step.name for step in plan.steps if step.cache} == {"prepare", "train", "evaluate"}
    assert [step.name for step in plan.steps if step.always] == ["report"]
    assert plan.step("train").retry.limit == 2


@pytest.mark.parametrize("step", ["register", "deploy"])
def test_the_gate_is_one_boolean(step: str) -> None:
    """kfp compiles ``a and b`` to ``b`` alone: a gate of two parts would let bad models through."""
    from infra.plan import Compare, Constant, Output

    plan = ir.read(json.loads(IR.read_text(encoding="utf-8")))
    assert plan.step(step).when == Compare("==", Output("evaluate", "passed"), Constant(True))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = compiled(Path(folder))
    IR.write_text(pretty(found), encoding="utf-8")
    for each in REQUESTS:
        golden(*each).write_text(pretty(request(found, *each)), encoding="utf-8")
