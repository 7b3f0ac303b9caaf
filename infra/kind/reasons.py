"""What differs between a step of one run and the same step of another, as KFP keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from infra.kind.tasks import Task
from infra.local.ingredients import differences as between
from infra.plan import Constant, Json, Parameter, Plan, Step, outputs_of, to_data

_OURS = ("TREFOIL_", "MLFLOW_")
"""Variables that the adapter sets, and that change no result."""


def differences(before: Plan, now: Plan, step: str, tasks: Mapping[str, Task]) -> list[str]:
    """One sentence for each thing that goes into the step and changed.

    ``tasks`` are those of the run of now: a step before this one that ran anew made new artefacts.
    """
    old = next((each for each in before.steps if each.name == step), None)
    if old is None:
        return ["it was not in that run"]
    new = now.step(step)
    found = between(_ingredients(old, before), _ingredients(new, now))
    for name in new.needs():
        ran = tasks.get(name)
        takes = any(out.step == name for each in new.inputs.values() for out in outputs_of(each))
        if ran and ran.state == "succeeded" and takes:
            found.append(f"{name}, whose output it takes, ran anew")
    return found


def _ingredients(step: Step, plan: Plan) -> dict[str, Json]:
    inputs: dict[str, Json] = {}
    for name, source in step.inputs.items():
        if isinstance(source, Parameter):
            inputs[name] = plan.parameters[source.name]
        else:
            inputs[name] = source.value if isinstance(source, Constant) else to_data(source)
    env = {name: value for name, value in step.env.items() if not name.startswith(_OURS)}
    return {
        "command": to_data(step.argv),
        "env": to_data(env),
        "inputs": inputs,
        "outputs": [*step.parameters, *step.artifacts],
        "image": step.image,
    }
