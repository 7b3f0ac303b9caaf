"""What steps are called, and the order they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from infra.errors import InputError
from infra.plan import Step

Path: TypeAlias = tuple[str | int, ...]
"""The tasks on the way from the root to a step; behind a loop stands which iteration, from 1."""

Task: TypeAlias = tuple[str, ...]
"""The same way as the IR has it, whichever iteration."""

_GROUP = re.compile(r"(condition(-branches)?|exit-handler|for-loop)-\d+")
"""What kfp calls the DAGs of its control flow."""


def task_of(path: Path) -> Task:
    """Where the IR has what stands at ``path``."""
    return tuple(part for part in path if isinstance(part, str))


def step_name(path: Path, names: Mapping[Task, str]) -> str:
    """The task's name, and in a loop the number of the iteration: ``train-2``."""
    numbers = [str(part) for part in path if isinstance(part, int)]
    return "-".join((names[task_of(path)], *numbers))


def task_names(loops: Mapping[Task, int]) -> dict[Task, str]:
    """A step is called by its task's name, with its pipeline's before it in an inner pipeline.

    ``loops`` says how many loops each task is in. kfp keeps task names apart within one pipeline,
    so its own groups need not show; should two steps end up alike all the same, with the numbers
    of their iterations, the whole way to them is their name.
    """
    names = {task: ".".join((*_pipelines(task[:-1]), task[-1])) for task in loops}
    called = list(names.values())

    def alike(task: Task) -> bool:
        if called.count(names[task]) > 1:
            return True
        if not loops[task]:
            return False
        numbered = re.compile(re.escape(names[task]) + r"((?:-\d+)+)")
        return any(
            found.group(1).count("-") == loops[task] - loops[other]
            for other, name in names.items()
            if loops[other] < loops[task] and (found := numbered.fullmatch(name))
        )

    return {task: ".".join(task) if alike(task) else name for task, name in names.items()}


def _pipelines(task: Task) -> Iterator[str]:
    return (part for part in task if not _GROUP.fullmatch(part))


def in_order(steps: list[Step]) -> tuple[Step, ...]:
    """Sort so that every step stands behind those it needs, otherwise as they were written."""
    waiting = [(step, step.needs()) for step in steps]
    done, ordered = set[str](), list[Step]()
    while waiting:
        ready = next((at for at, (_, needs) in enumerate(waiting) if done.issuperset(needs)), None)
        if ready is None:
            names = ", ".join(step.name for step, _ in waiting)
            raise InputError(f"the steps {names} wait for each other; break the circle")
        step, _ = waiting.pop(ready)
        done.add(step.name)
        ordered.append(step)
    return tuple(ordered)
