"""Plan -> Request for this machine: parameters filled in, commands as they will be started."""

from __future__ import annotations

from infra.errors import SettingsError
from infra.local import LocalSettings
from infra.plan import (
    All,
    Compare,
    Condition,
    Constant,
    Json,
    Not,
    Parameter,
    Plan,
    Request,
    Source,
    Step,
    to_data,
)


def lower(plan: Plan, settings: LocalSettings, run_id: str) -> Request:
    """Bind every pipeline parameter; the steps of the request are what ``client`` executes.

    Raises SettingsError on a number of steps or seconds below 0.
    """
    for name in ("parallel", "grace"):
        if getattr(settings, name) < 0:
            raise SettingsError(f"the setting {name} is {getattr(settings, name)}; it is 0 or more")
    steps = tuple(_bound(step, plan) for step in plan.steps)
    bound = plan._replace(steps=steps, source={})
    body: dict[str, Json] = {"plan": to_data(bound), "parallel": settings.parallel}
    return Request("local", run_id, bound, body, _notes(plan))


def price(_plan: Plan, _settings: LocalSettings) -> float:
    """Nothing is billed here."""
    return 0.0


def _notes(plan: Plan) -> tuple[str, ...]:
    images = ", ".join(sorted({step.image for step in plan.steps}))
    notes = [f"this Python environment stands in for the image {images}"]
    for step in plan.steps:
        for platform, settings in step.platforms.items():
            asked = settings if isinstance(settings, dict) else {}
            if without := sorted(asked.keys() - {"activeDeadlineSeconds"}):
                notes.append(
                    f"step {step.name}: {', '.join(without)} of {platform} has no effect here"
                )
        if step.resources.memory_gb or step.resources.cpu:
            notes.append(f"step {step.name}: its CPU and memory limits are not enforced here")
    return tuple(notes)


def _bound(step: Step, plan: Plan) -> Step:
    inputs = {name: _source(source, plan) for name, source in step.inputs.items()}
    return step._replace(inputs=inputs, when=_condition(step.when, plan))


def _source(source: Source, plan: Plan) -> Source:
    return Constant(plan.parameters[source.name]) if isinstance(source, Parameter) else source


def _condition(condition: Condition | None, plan: Plan) -> Condition | None:
    if condition is None:
        return None
    if isinstance(condition, Not):
        return Not(_some(condition.condition, plan))
    if isinstance(condition, All):
        return All(tuple(_some(part, plan) for part in condition.conditions))
    left, right = _source(condition.left, plan), _source(condition.right, plan)
    return Compare(condition.operator, left, right)


def _some(condition: Condition, plan: Plan) -> Condition:
    bound = _condition(condition, plan)
    assert bound is not None  # noqa: S101  only None gives None
    return bound
