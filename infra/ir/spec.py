"""The IR of a plan, with what the plan says stamped into it: images, environment, caching, steps.

The IR stays what it was wherever the plan says nothing else, so that Kubeflow Pipelines does what
its users know. Steps that share an executor and are to differ get one each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from infra.plan import Plan, Step

Node: TypeAlias = dict[str, Any]


def stamped(plan: Plan, container: Callable[[Step, Node], Node]) -> Node:
    """The pipeline's IR; ``container`` turns an executor's container into that of a step."""
    spec: Node = json.loads(json.dumps(plan.source["pipeline"]))  # a copy, all through
    _prune(spec, plan)
    executors = spec["deploymentSpec"]["executors"]
    done: dict[str, Node] = {}
    for step in plan.steps:
        task = _dag(spec, step.task[:-1])["tasks"][step.task[-1]]
        task["cachingOptions"] = {"enableCache": True} if step.cache else {}
        label = label_of(spec, step)
        wanted = container(step, plan_container(plan, label))
        if done.setdefault(label, wanted) != wanted:
            label = _own_executor(spec, task, label, step)
        executors[label] = {"container": wanted}
    return spec


def label_of(spec: Node, step: Step) -> str:
    """The executor of a step in the IR."""
    label: str = _component(spec, step.task)["executorLabel"]
    return label


def component_of(spec: Node, step: Step) -> Node:
    """The component of a step in the IR."""
    return _component(spec, step.task)


def plan_container(plan: Plan, label: str) -> Node:
    """The container of an executor as the pipeline has it."""
    found: Node = plan.source["pipeline"]["deploymentSpec"]["executors"][label]["container"]
    return found


def _component(spec: Node, path: tuple[str, ...]) -> Node:
    found: Node = spec["root"]
    for name in path:
        found = spec["components"][found["dag"]["tasks"][name]["componentRef"]["name"]]
    return found


def _dag(spec: Node, path: tuple[str, ...]) -> Node:
    dag: Node = _component(spec, path)["dag"]
    return dag


def _own_executor(spec: Node, task: Node, label: str, step: Step) -> str:
    """Give a task a component and an executor of its own; returns the executor's label."""
    shared = task["componentRef"]["name"]
    own, name = f"{label}-{step.name}", f"{shared}-{step.name}"
    spec["components"][name] = {**spec["components"][shared], "executorLabel": own}
    task["componentRef"] = {"name": name}
    return own


# --- leaving steps out


def _prune(spec: Node, plan: Plan) -> None:
    """Take out the tasks of steps that the plan leaves out, and what belonged to them alone."""
    wanted = {step.task for step in plan.steps}
    if wanted >= set(_containers(spec, ())):
        return
    kept: dict[int, set[str]] = {}
    for path in wanted:
        for depth, name in enumerate(path):
            kept.setdefault(id(_dag(spec, path[:depth])), set()).add(name)
    for component in (spec["root"], *spec["components"].values()):
        if "dag" in component:
            _narrow(component, kept.get(id(component["dag"]), set()))
    used = set(_components(spec, spec["root"]))
    spec["components"] = {k: v for k, v in spec["components"].items() if k in used}
    labels = {each.get("executorLabel") for each in spec["components"].values()}
    executors = spec["deploymentSpec"]["executors"]
    spec["deploymentSpec"]["executors"] = {k: v for k, v in executors.items() if k in labels}


def _containers(spec: Node, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    component = _component(spec, path)
    if "dag" in component:
        for name in component["dag"]["tasks"]:
            yield from _containers(spec, (*path, name))
    elif "container" in spec["deploymentSpec"]["executors"][component["executorLabel"]]:
        yield path


def _components(spec: Node, component: Node) -> Iterator[str]:
    for task in component.get("dag", {}).get("tasks", {}).values():
        name = task["componentRef"]["name"]
        yield name
        yield from _components(spec, spec["components"][name])


def _narrow(component: Node, kept: set[str]) -> None:
    """Leave a DAG the tasks that are kept, those they take something from, and their outputs."""
    dag = component["dag"]
    waiting = list(kept)
    while waiting:
        found = _producers(dag["tasks"][waiting.pop()]) - kept
        kept |= found
        waiting += found
    dag["tasks"] = {name: task for name, task in dag["tasks"].items() if name in kept}
    for kind, outputs in dag.get("outputs", {}).items():
        gone = {name for name, output in outputs.items() if not _subtasks(output) <= kept}
        for name in gone:
            del outputs[name]
            component.get("outputDefinitions", {}).get(kind, {}).pop(name, None)


def _producers(task: Node) -> set[str]:
    bound = (*task.get("inputs", {}).get("parameters", {}).values(),
             *task.get("inputs", {}).get("artifacts", {}).values())  # fmt: skip
    sources = (source for binding in bound for source in binding.values())
    named = {s["producerTask"] for s in sources if isinstance(s, Mapping) and "producerTask" in s}
    return named | set(task.get("dependentTasks", ()))


def _subtasks(output: Node) -> set[str]:
    """The tasks that an output of a DAG may come from."""
    if "valueFromParameter" in output:
        return {output["valueFromParameter"]["producerSubtask"]}
    selectors = output.get("valueFromOneof", {}).get("parameterSelectors")
    return {each["producerSubtask"] for each in selectors or output.get("artifactSelectors", ())}
