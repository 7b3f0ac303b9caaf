"""Whether IR has the right form: its fields and their types, its names, and what it refers to.

A pipeline is looked at as a whole before anything of it is read, so that the reader can rely on
it. What is unknown or not read yet is refused by the name of the step and of the construct.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.errors import InputError, nearest, short
from infra.ir import fields
from infra.ir.fields import REFUSED, Each, Names, OneOf

SCHEMA_VERSION = "2.1.0"
Node: TypeAlias = Mapping[str, Any]


def check(pipeline: Node, platforms: Node) -> None:
    """Refuse, by one sentence that says where, what cannot be read. Raises InputError."""
    _look(pipeline, fields.PIPELINE, "the pipeline")
    _look(platforms, fields.PLATFORMS, "the second document")
    _allow(pipeline["pipelineInfo"]["name"], fields.PIPELINE_NAME, "the pipeline cannot be called")
    if "dag" not in pipeline["root"]:
        raise damaged("root of the pipeline has no dag")
    _Walk(pipeline).component(pipeline["root"], "the pipeline", ())


def damaged(words: str) -> InputError:
    """What to raise where IR is not as kfp writes it."""
    return InputError(f"this IR is damaged: {words}; compile it anew")


class _Walk:
    """Goes through the DAGs from the root on; what no task uses is not looked at."""

    def __init__(self, pipeline: Node) -> None:
        self._components: Node = pipeline.get("components", {})
        self._executors: Node = pipeline["deploymentSpec"]["executors"]
        self._seen: set[str] = set()

    def component(self, node: Node, who: str, inside: tuple[str, ...]) -> None:
        """What a task runs. ``inside`` are the names of the components around it."""
        _look(node, fields.COMPONENT, who)
        if "dag" not in node:
            self._executor(node, who)
            return
        tasks = node["dag"]["tasks"]
        for name, task in tasks.items():
            self._task(name, task, tasks, inside)
        for selector in _selectors(node["dag"].get("outputs", {})):
            _refer(selector["producerSubtask"], tasks, f"{who} puts out what is of the step")

    def _task(self, name: str, task: Node, tasks: Node, inside: tuple[str, ...]) -> None:
        who = f"step {name}"
        _look(task, fields.TASK, who)
        for other in _needed(task):
            _refer(other, tasks, f"{who} needs the step")
        called = task["componentRef"]["name"]
        _refer(called, self._components, f"{who} runs the component")
        if called in inside:
            raise damaged(f"{who} runs the component {called}, which it is part of")
        if called not in self._seen:
            self.component(self._components[called], who, (*inside, called))
            self._seen.add(called)

    def _executor(self, component: Node, who: str) -> None:
        if "executorLabel" not in component:
            raise damaged(f"{who} runs a component that has neither dag nor executorLabel")
        label = component["executorLabel"]
        _refer(label, self._executors, f"{who} has the executor")
        executor = self._executors[label]
        for kind in executor:
            if kind in REFUSED:
                raise _unread(who, kind)
            if kind not in fields.EXECUTOR:
                raise InputError(f"{who} has an executor of the unknown kind {short(kind)}")
        _look(executor, fields.EXECUTOR, who)
        if not executor:
            raise damaged(f"{who} has an executor with neither container nor importer")


def _look(node: object, form: object, who: str, at: str = "") -> None:
    """Compare with what should be there; ``at`` is the way from ``who`` to the node."""
    here = f"{at} of {who}" if at else who
    if not _is(node, form):
        raise damaged(f"{here} is {_kind(node)}, not {_wanted(form)}")
    if isinstance(form, OneOf) and node not in form.words:
        raise InputError(
            f"{here} is {short(str(node))}, which Trefoil does not know; "
            f"{nearest(str(node), form.words, 'known are ')}"
        )
    if isinstance(form, list):
        for number, item in enumerate(node):  # type: ignore[arg-type,var-annotated]
            _look(item, form[0], who, f"{at}[{number}]")
    elif isinstance(form, Each):
        for name, value in node.items():  # type: ignore[attr-defined]
            if form.names:
                _allow(name, form.names, f"{here} cannot have one called")
            _look(value, form.value, who, _inner(at, name))
    elif isinstance(form, dict):
        _look_at_fields(node, form, who, at)  # type: ignore[arg-type]


def _look_at_fields(node: Node, form: Mapping[str, object], who: str, at: str) -> None:
    known = {name.removesuffix("!"): each for name, each in form.items()}
    for name, value in node.items():
        if name in REFUSED and value:
            raise _unread(who, name)
        if name not in known and name not in REFUSED:
            hint = nearest(str(name), known, "known are ")
            inside = f" in {at}" if at else ""
            raise InputError(f"{who} has the unknown field {short(str(name))}{inside}; {hint}")
    for name in form:
        if name.endswith("!") and name[:-1] not in node:
            raise damaged(f"{f'{at} of ' if at else ''}{who} has no {name[:-1]}")
    for name, each in known.items():
        if name in node:
            _look(node[name], each, who, _inner(at, name))


def _unread(who: str, name: str) -> InputError:
    return InputError(f"{who} uses {REFUSED[name]}, which Trefoil does not read yet")


def _is(node: object, form: object) -> bool:
    if isinstance(form, dict | Each) or form == fields.OBJECT:
        return isinstance(node, Mapping)
    if isinstance(form, list):
        return isinstance(node, list)
    if form == fields.FLAG:
        return isinstance(node, bool)
    number = isinstance(node, int | float) and not isinstance(node, bool)
    if form == fields.NUMBER:
        return number
    return form == fields.ANY or isinstance(node, str) or (form == fields.SIZE and number)


def _wanted(form: object) -> str:
    if isinstance(form, dict | Each):
        return fields.OBJECT
    if isinstance(form, OneOf):
        return fields.TEXT
    return "a list" if isinstance(form, list) else str(form)


def _kind(node: object) -> str:
    if node is None:
        return "null"
    kinds = {bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(node), "a number")


def _inner(at: str, name: object) -> str:
    return f"{at}.{short(str(name))}" if at else short(str(name))


def _allow(name: object, rule: Names, words: str) -> None:
    if not rule.allow(name):
        raise InputError(f"{words} {short(repr(name))}; KFP allows {rule.words}")


def _refer(name: str, known: Node, words: str) -> None:
    if name not in known:
        raise damaged(f"{words} {short(name)}, and there is none of that name")


def _needed(task: Node) -> Iterator[str]:
    """The tasks that a task names."""
    yield from task.get("dependentTasks", ())
    for bindings in task.get("inputs", {}).values():
        for binding in bindings.values():
            for way in ("taskOutputParameter", "taskFinalStatus", "taskOutputArtifact"):
                if way in binding:
                    yield binding[way]["producerTask"]


def _selectors(outputs: Node) -> Iterator[Node]:
    """What a DAG puts out, of its tasks."""
    for output in outputs.get("artifacts", {}).values():
        yield from output["artifactSelectors"]
    for output in outputs.get("parameters", {}).values():
        if "valueFromParameter" in output:
            yield output["valueFromParameter"]
        yield from output.get("valueFromOneof", {}).get("parameterSelectors", ())
