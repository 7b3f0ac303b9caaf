"""What steps are called, and the order they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from infra.errors import InputError
from infra.plan import Step

Path: TypeAlias = tuple[str, ...]
"""The tasks on the way from the root to a step."""

_GROUP = re.compile(r"(condition(-branches)?|exit-handler|for-loop)-\d+")
"""What kfp calls the DAGs of its control flow."""


def step_names(leaves: list[Path]) -> dict[Path, str]:
    """A step is called by its task's name, with its pipeline's before it in an inner pipeline.

    kfp keeps task names apart within one pipeline, so its own groups need not show; should two
    steps end up alike all the same, the whole way to them is their name.
    """
    names = {path: ".".join((*_pipelines(path[:-1]), path[-1])) for path in leaves}
    called = list(names.values())
    return {path: n if called.count(n) == 1 else ".".join(path) for path, n in names.items()}


def _pipelines(path: Path) -> Iterator[str]:
    return (part for part in path if not _GROUP.fullmatch(part))


def in_order(steps: list[Step]) -> tuple[Step, ...]:
    """Sort so that every step stands behind those it needs, otherwise as they were written."""
    waiting, done, ordered = list(steps), set[str](), list[Step]()
    while waiting:
        ready = next((step for step in waiting if done.issuperset(step.needs())), None)
        if ready is None:
            names = ", ".join(step.name for step in waiting)
            raise InputError(f"the steps {names} wait for each other; break the circle")
        waiting.remove(ready)
        done.add(ready.name)
        ordered.append(ready)
    return tuple(ordered)
