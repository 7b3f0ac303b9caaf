"""A plan with every parameter of the pipeline put in, for places that know no parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from infra.plan import (
    All,
    Collected,
    Compare,
    Condition,
    Constant,
    Imported,
    Not,
    Parameter,
    Plan,
    Secret,
    Source,
    Step,
)
from infra.redaction import redacted
from infra.secrets import secret_parameters

_Values: TypeAlias = Mapping[str, Constant]
"""What each parameter of the pipeline is."""


def bound(plan: Plan) -> Plan:
    """The same plan, each Parameter a Constant; its IR, which still has them, left out.

    One that is a secret becomes a Secret where it is put in, and is hidden among the parameters:
    from here on nothing tells what they are given to.
    """
    secret = secret_parameters(plan)
    values = {
        name: Secret(value) if name in secret else Constant(value)
        for name, value in plan.parameters.items()
    }
    steps = tuple(_step(step, values) for step in plan.steps)
    return plan._replace(steps=steps, parameters=redacted(dict(plan.parameters), secret), source={})


def _step(step: Step, values: _Values) -> Step:
    inputs = {name: _source(source, values) for name, source in step.inputs.items()}
    return step._replace(inputs=inputs, when=step.when and _condition(step.when, values))


def _source(source: Source, values: _Values) -> Source:
    if isinstance(source, Parameter):
        return values[source.name]
    if isinstance(source, Collected):
        return Collected(tuple(_source(each, values) for each in source.sources))
    if isinstance(source, Imported):
        return source._replace(uri=_source(source.uri, values))
    return source


def _condition(condition: Condition, values: _Values) -> Condition:
    if isinstance(condition, Not):
        return Not(_condition(condition.condition, values))
    if isinstance(condition, All):
        return All(tuple(_condition(part, values) for part in condition.conditions))
    left, right = _source(condition.left, values), _source(condition.right, values)
    return Compare(condition.operator, left, right)
