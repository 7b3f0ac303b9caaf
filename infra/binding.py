"""A plan with every parameter of the pipeline put in, for places that know no parameters."""

from __future__ import annotations

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
    Source,
    Step,
)


def bound(plan: Plan) -> Plan:
    """The same plan, each Parameter a Constant; its IR, which still has them, left out."""
    return plan._replace(steps=tuple(_step(step, plan) for step in plan.steps), source={})


def _step(step: Step, plan: Plan) -> Step:
    inputs = {name: _source(source, plan) for name, source in step.inputs.items()}
    return step._replace(inputs=inputs, when=step.when and _condition(step.when, plan))


def _source(source: Source, plan: Plan) -> Source:
    if isinstance(source, Parameter):
        return Constant(plan.parameters[source.name])
    if isinstance(source, Collected):
        return Collected(tuple(_source(each, plan) for each in source.sources))
    if isinstance(source, Imported):
        return source._replace(uri=_source(source.uri, plan))
    return source


def _condition(condition: Condition, plan: Plan) -> Condition:
    if isinstance(condition, Not):
        return Not(_condition(condition.condition, plan))
    if isinstance(condition, All):
        return All(tuple(_condition(part, plan) for part in condition.conditions))
    left, right = _source(condition.left, plan), _source(condition.right, plan)
    return Compare(condition.operator, left, right)
