"""Many iterations of one step as one box: a loop over a hundred items is still one loop."""

from __future__ import annotations

import os
from collections.abc import Sequence

from infra.plan import Event, State
from pipelines.report.facts import StepFacts

_MOST = 6
"""How many iterations are still drawn one by one."""
_TELLING: tuple[State, ...] = (
    "failed", "cancelled", "running", "waiting", "succeeded", "cached", "skipped",
)  # fmt: skip
"""Which state says most of many: the first of these that any is in."""


def folded(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """The steps, with those that are many iterations of one task put together."""
    tasks: dict[tuple[str, ...], list[StepFacts]] = {}
    for each in steps:
        tasks.setdefault(each.step.task if each.step else (), []).append(each)
    loops = {task: group for task, group in tasks.items() if task and len(group) > _MOST}
    names = {each.name: _name(group) for group in loops.values() for each in group}
    shown: dict[str, StepFacts] = {}
    for each in steps:
        name = names.get(each.name, each.name)
        needs = tuple(dict.fromkeys(names.get(n, n) for n in each.needs))
        if name == each.name:
            shown[name] = each._replace(needs=needs)
        elif each.step and name not in shown:
            event = _event(name, loops[each.step.task])
            shown[name] = StepFacts(name, event, needs=tuple(n for n in needs if n != name))
    return list(shown.values())


def _name(group: list[StepFacts]) -> str:
    begins = os.path.commonprefix([each.name for each in group])  # noqa: RUF071  by letters
    return f"{begins.rstrip('-')} × {len(group)}"


def _event(name: str, group: list[StepFacts]) -> Event:
    count = {state: sum(each.state == state for each in group) for state in _TELLING}
    state = next(state for state in _TELLING if count[state])
    said = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    return Event(name, state, sum(each.event.seconds for each in group), said)
