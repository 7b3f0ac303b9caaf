"""Which values of a plan are secret, so that they stay so wherever they are handed on to."""

from __future__ import annotations

from infra.plan import Parameter, Plan, Secret, Step, Template
from infra.redaction import is_secret


def secret_parameters(plan: Plan) -> frozenset[str]:
    """The pipeline's parameters that are called like a secret, or given to an input that is."""
    given = {
        source.name
        for step in plan.steps
        for name, source in step.inputs.items()
        if isinstance(source, Parameter) and is_secret(name)
    }
    return frozenset(given | {name for name in plan.parameters if is_secret(name)})


def secret_inputs(step: Step) -> frozenset[str]:
    """The inputs of a step of a lowered plan that are secret, or text with a secret in it."""

    def secret(name: str) -> bool:
        source = step.inputs.get(name)
        if isinstance(source, Template):
            tokens = (token for token in source.argument if token.kind == "parameter")
            return any(secret(token.text) for token in tokens)
        return isinstance(source, Secret)

    return frozenset(name for name in step.inputs if secret(name) or is_secret(name))
