"""The DAGs of a pipeline as a tree of scopes: one for each task in its place.

What stands inside a nested DAG stands in scopes of its own, and each iteration of a loop is one.
They are made when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from infra.errors import InputError
from infra.ir.expressions import parse_condition
from infra.ir.form import Node
from infra.ir.names import Path, Task, step_name, task_names
from infra.ir.sources import inputs, lookup
from infra.plan import Condition, Json, Source, Template, operands


class Scope(NamedTuple):
    """A task: its inputs by name, and what holds for it and everything inside.

    ``loops`` marks a loop as a whole, and neither its iterations nor what is inside.
    """

    path: Path
    task: Node
    component: Node
    inputs: Mapping[str, Source]
    when: tuple[Condition, ...] = ()
    after: tuple[Path, ...] = ()
    always: bool = False
    loops: bool = False


class Scopes:
    """The scopes of one pipeline whose parameters have ``values``; ``given`` are its inputs."""

    def __init__(
        self, pipeline: Node, given: Mapping[str, Source], values: Mapping[str, Json]
    ) -> None:
        self.values = values
        self._components: Node = pipeline.get("components", {})
        self._executors: Node = pipeline["deploymentSpec"]["executors"]
        self._names = task_names(dict(self._tasks((), pipeline["root"], 0)))
        self._known: dict[Path, Scope] = {(): Scope((), {}, pipeline["root"], given)}
        self._items: dict[Path, tuple[Source, ...]] = {}

    def at(self, path: Path) -> Scope:
        """The scope of a task. Raises InputError where it cannot be read."""
        if path not in self._known:
            make = self._iteration if isinstance(path[-1], int) else self._inside
            self._known[path] = make(self.at(path[:-1]), path)
        return self._known[path]

    def leaves(self, path: Path = ()) -> Iterator[Scope]:
        """Every container at ``path`` and inside of it, in the order of the IR."""
        scope = self.at(path)
        inside = self.within(scope)
        if inside is not None:
            for inner in inside:
                yield from self.leaves(inner)
        elif not self.imports(scope):
            yield scope

    def within(self, scope: Scope) -> list[Path] | None:
        """What is inside: a loop's iterations, a DAG's tasks; None for a container."""
        if scope.loops:
            return [(*scope.path, at + 1) for at in range(len(self._over(scope)))]
        if "dag" in scope.component:
            return [(*scope.path, name) for name in scope.component["dag"]["tasks"]]
        return None

    def name(self, path: Path) -> str:
        """What the step at ``path`` is called."""
        return step_name(path, self._names)

    def steps_in(self, path: Path) -> set[str]:
        """The steps at ``path``; an importer is none, and stands for those before it."""
        scope = self.at(path)
        if self.imports(scope):
            return {step for before in scope.after for step in self.steps_in(before)}
        return {self.name(leaf.path) for leaf in self.leaves(path)}

    def component(self, task: Node) -> Node:
        """What a task runs."""
        component: Node = self._components[task["componentRef"]["name"]]
        return component

    def executor(self, scope: Scope) -> Node:
        """How a task that is no DAG runs."""
        executor: Node = self._executors[scope.component["executorLabel"]]
        return executor

    def imports(self, scope: Scope) -> bool:
        """Whether a task is an importer."""
        return "executorLabel" in scope.component and "importer" in self.executor(scope)

    def _tasks(self, task: Task, component: Node, loops: int) -> Iterator[tuple[Task, int]]:
        """Every task that is no DAG, and how many loops it is in."""
        if "dag" not in component:
            yield task, loops
            return
        for name, inner in component["dag"]["tasks"].items():
            yield from self._tasks((*task, name), self.component(inner), loops + _is_loop(inner))

    def _inside(self, outer: Scope, path: Path) -> Scope:
        """One task of a DAG."""
        name = str(path[-1])
        task = outer.component["dag"]["tasks"][name]
        component = self.component(task)
        found = inputs(self, outer, name, task)
        trigger = task.get("triggerPolicy", {})
        always = trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        if always and "dag" in component:
            raise InputError(
                f"step {name} is a whole pipeline that runs even if a step before it failed, "
                "which Trefoil does not read yet; say so of a single step"
            )
        when = outer.when
        if text := trigger.get("condition"):
            when = (*when, _condition(text, found, name))
        after = tuple((*outer.path, other) for other in task.get("dependentTasks", ()))
        return Scope(
            path, task, component, found, when, (*outer.after, *after), always, _is_loop(task)
        )

    def _iteration(self, loop: Scope, path: Path) -> Scope:
        """One iteration of a loop. Where only some may run at once, each waits for one before."""
        from infra.ir.loops import iteration

        number = int(path[-1])
        own = iteration(loop.task, loop.component, self._over(loop)[number - 1])
        limit = int(loop.task.get("iteratorPolicy", {}).get("parallelismLimit", 0))
        before = ((*loop.path, number - limit),) if 0 < limit < number else ()
        return loop._replace(
            path=path, inputs={**loop.inputs, **own}, after=(*loop.after, *before), loops=False
        )

    def _over(self, loop: Scope) -> tuple[Source, ...]:
        """What each iteration is given."""
        from infra.ir.loops import items

        if loop.path not in self._items:
            name = str(loop.path[-1])
            self._items[loop.path] = items(loop.task, loop.inputs, self.values, name)
        return self._items[loop.path]


def _is_loop(task: Node) -> bool:
    return "parameterIterator" in task or "artifactIterator" in task


def _condition(text: str, found: Mapping[str, Source], name: str) -> Condition:
    condition = parse_condition(text, f"step {name}", lookup(found, name))
    if any(isinstance(source, Template) for source in operands(condition)):
        raise InputError(
            f"step {name} has a condition on text that is put together in the run; "
            "let one step write a single value and compare that"
        )
    return condition
