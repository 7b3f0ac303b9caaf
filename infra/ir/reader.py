"""Walks the DAGs of a pipeline and makes a step of every container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from infra.errors import InputError
from infra.ir.container import container, known, resources, retry
from infra.ir.expressions import parse_argument, parse_condition
from infra.ir.form import Node, check
from infra.ir.names import Path, in_order, step_names
from infra.plan import (
    All,
    Condition,
    Constant,
    FinalStatus,
    FirstOf,
    Json,
    Output,
    Parameter,
    Plan,
    Source,
    Step,
    Template,
    Token,
    operands,
)
from infra.values import bind, neat


class _Scope(NamedTuple):
    """What the tasks of one DAG see: its inputs by name, and what holds for all of them."""

    path: Path
    component: str | None
    inputs: Mapping[str, Source]
    when: tuple[Condition, ...] = ()
    after: tuple[Path, ...] = ()
    always: bool = False


class Reader:
    """Reads one pipeline; ``platforms`` is the IR's second document, or empty."""

    def __init__(self, pipeline: Node, platforms: Node) -> None:
        self._pipeline = pipeline
        self._platforms = platforms
        self._names = step_names(list(self._leaves((), pipeline["root"])))

    def plan(self, given: Mapping[str, Json]) -> Plan:
        """The plan, bound to the parameters given. Raises InputError, KeyError on damage."""
        root = self._pipeline["root"]
        definitions = root.get("inputDefinitions", {})
        if definitions.get("artifacts"):
            name = next(iter(definitions["artifacts"]))
            raise InputError(f"the pipeline takes the artefact {name} as input; give it a path")
        self._values = bind(definitions.get("parameters", {}), given)
        inputs: dict[str, Source] = {name: Parameter(name) for name in self._values}
        steps = list(self._steps(_Scope((), None, inputs)))
        info = self._pipeline["pipelineInfo"]
        return Plan(
            name=info["name"],
            steps=in_order(steps),
            parameters=self._values,
            description=info.get("description", ""),
        )

    # --- walking the DAGs

    def _component(self, task: Node) -> Node:
        component: Node = self._pipeline["components"][task["componentRef"]["name"]]
        return component

    def _tasks(self, path: Path) -> Mapping[str, Node]:
        tasks: Mapping[str, Node] = self._dag(path)["tasks"]
        return tasks

    def _dag(self, path: Path) -> Node:
        component: Node = self._pipeline["root"]
        for name in path:
            component = self._component(component["dag"]["tasks"][name])
        dag: Node = component["dag"]
        return dag

    def _leaves(self, path: Path, component: Node) -> Iterator[Path]:
        if "dag" not in component:
            yield path
            return
        for name, task in component["dag"]["tasks"].items():
            yield from self._leaves((*path, name), self._component(task))

    def _steps_in(self, path: Path) -> tuple[str, ...]:
        component: Node = {"dag": {}}
        tasks = self._pipeline["root"]["dag"]["tasks"]
        for name in path:
            component = self._component(tasks[name])
            tasks = component.get("dag", {}).get("tasks", {})
        return tuple(sorted(self._names[leaf] for leaf in self._leaves(path, component)))

    def _steps(self, scope: _Scope) -> Iterator[Step]:
        for name, task in self._tasks(scope.path).items():
            where = f"step {name}"
            check(task, "task", where)
            component = self._component(task)
            check(component, "component", where)
            inner = self._inner_scope(scope, name, task, component)
            if "dag" in component:
                yield from self._steps(inner)
            else:
                yield self._step(inner, task, component)

    def _inner_scope(self, scope: _Scope, name: str, task: Node, component: Node) -> _Scope:
        path = (*scope.path, name)
        inputs = self._inputs(scope, name, task, component)
        trigger = task.get("triggerPolicy", {})
        when = scope.when
        if text := trigger.get("condition"):
            condition = parse_condition(text, f"step {name}", _lookup(inputs, name))
            if any(isinstance(source, Template) for source in operands(condition)):
                raise InputError(
                    f"step {name} has a condition on text that is put together in the run; "
                    "let one step write a single value and compare that"
                )
            when = (*when, condition)
        after = tuple((*scope.path, other) for other in task.get("dependentTasks", ()))
        always = trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        if always and "dag" in component:
            raise InputError(
                f"step {name} is a whole pipeline that runs even if a step before it failed, "
                "which Trefoil does not read yet; say so of a single step"
            )
        return _Scope(
            path=path,
            component=task["componentRef"]["name"],
            inputs=inputs,
            when=when,
            after=(*scope.after, *after),
            always=always,
        )

    # --- following inputs to their producers

    def _inputs(self, scope: _Scope, name: str, task: Node, component: Node) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        definitions = component.get("inputDefinitions", {})
        for key, definition in definitions.get("parameters", {}).items():
            if "defaultValue" in definition:
                value = neat(definition["defaultValue"], definition.get("parameterType", "STRING"))
                sources[key] = Constant(value)
        for key, definition in definitions.get("artifacts", {}).items():
            if definition.get("isArtifactList"):
                raise InputError(f"step {name} takes a list of artefacts as {key}: not read yet")
        bindings = task.get("inputs", {})
        for key, binding in bindings.get("parameters", {}).items():
            kind = definitions.get("parameters", {}).get(key, {}).get("parameterType", "STRING")
            source = self._parameter(scope, name, key, binding, kind)
            if "componentInputParameter" in binding and isinstance(source, Template):
                source = _carried(source, scope, sources)
            sources[key] = source
        for key, binding in bindings.get("artifacts", {}).items():
            sources[key] = self._artifact(scope, name, binding)
        return sources

    def _parameter(self, scope: _Scope, name: str, key: str, binding: Node, kind: str) -> Source:
        if "parameterExpressionSelector" in binding:
            raise InputError(
                f"step {name} takes only a part of a value as {key}, which Trefoil does not read "
                "yet; pass the whole value"
            )
        if "componentInputParameter" in binding:
            return _lookup(scope.inputs, name)(binding["componentInputParameter"])
        if "taskOutputParameter" in binding:
            output = binding["taskOutputParameter"]
            producer = (*scope.path, output["producerTask"])
            return self._output("parameters", producer, output["outputParameterKey"])
        if "taskFinalStatus" in binding:
            task = binding["taskFinalStatus"]["producerTask"]
            return FinalStatus(task, self._steps_in((*scope.path, task)))
        value = neat(binding["runtimeValue"]["constant"], kind)
        if isinstance(value, str) and "{{$" in value:
            return Template(parse_argument(value, f"step {name}, input {key}"))
        return Constant(value)

    def _artifact(self, scope: _Scope, name: str, binding: Node) -> Source:
        if "componentInputArtifact" in binding:
            return _lookup(scope.inputs, name)(binding["componentInputArtifact"])
        output = binding["taskOutputArtifact"]
        producer = (*scope.path, output["producerTask"])
        return self._output("artifacts", producer, output["outputArtifactKey"])

    def _output(self, kind: str, producer: Path, key: str) -> Source:
        if producer in self._names:
            return Output(self._names[producer], key)
        definition = self._dag(producer)["outputs"][kind][key]
        if "valueFromParameter" in definition:
            selectors = [definition["valueFromParameter"]]
        elif "valueFromOneof" in definition:
            selectors = definition["valueFromOneof"]["parameterSelectors"]
        else:
            selectors = definition["artifactSelectors"]
        found = [
            self._output(
                kind,
                (*producer, selector["producerSubtask"]),
                selector.get("outputParameterKey") or selector["outputArtifactKey"],
            )
            for selector in selectors
        ]
        if len(found) == 1:
            return found[0]
        flat = [each.outputs if isinstance(each, FirstOf) else (each,) for each in found]
        return FirstOf(tuple(out for group in flat for out in group if isinstance(out, Output)))

    # --- one container

    def _step(self, scope: _Scope, task: Node, component: Node) -> Step:
        name = self._names[scope.path]
        label = component["executorLabel"]
        spec = container(self._pipeline["deploymentSpec"]["executors"][label], name)
        outputs = component.get("outputDefinitions", {})

        def fixed(text: str) -> str:
            return known(text, scope.inputs, self._values, name)

        argv = (*spec.get("command", ()), *spec.get("args", ()))
        platforms = {
            platform: own["deploymentSpec"]["executors"][label]
            for platform, own in self._platforms.get("platforms", {}).items()
            if label in own.get("deploymentSpec", {}).get("executors", {})
        }
        deadline = platforms.get("kubernetes", {}).get("activeDeadlineSeconds")
        after = {step for path in scope.after for step in self._steps_in(path)}
        return Step(
            name=name,
            image=fixed(spec["image"]),
            argv=tuple(parse_argument(text, f"step {name}") for text in argv),
            env={item["name"]: item.get("value", "") for item in spec.get("env", ())},
            inputs=self._used(scope.inputs, component),
            parameters={
                key: item["parameterType"] for key, item in outputs.get("parameters", {}).items()
            },
            artifacts={
                key: item["artifactType"].get("schemaTitle", "system.Artifact")
                for key, item in outputs.get("artifacts", {}).items()
            },
            after=tuple(sorted(after)),
            when=scope.when[0] if len(scope.when) == 1 else All(scope.when) if scope.when else None,
            always=scope.always,
            cache=bool(task.get("cachingOptions", {}).get("enableCache")),
            retry=retry(task.get("retryPolicy", {})),
            timeout=float(deadline) if deadline else None,
            resources=resources(spec.get("resources", {}), fixed, name),
            platforms=platforms,
            task=scope.path,
        )

    def _used(self, inputs: Mapping[str, Source], component: Node) -> dict[str, Source]:
        """The component's own inputs, and those that its templates need."""
        definitions = component.get("inputDefinitions", {})
        own = {*definitions.get("parameters", {}), *definitions.get("artifacts", {})}
        for source in inputs.values():
            if isinstance(source, Template):
                own.update(token.text for token in source.argument if token.kind == "parameter")
        return {key: source for key, source in inputs.items() if key in own}


def _carried(template: Template, scope: _Scope, sources: dict[str, Source]) -> Template:
    """Take a template into an inner scope with its values, under names that nothing there has."""
    argument = []
    for token in template.argument:
        if token.kind == "parameter":
            source = _lookup(scope.inputs, scope.path[-1])(token.text)
            name = f"{scope.path[-1]}.{token.text}"
            sources[name] = (
                _carried(source, scope, sources) if isinstance(source, Template) else source
            )
            argument.append(Token("parameter", name))
        else:
            argument.append(token)
    return Template(tuple(argument))


def _lookup(inputs: Mapping[str, Source], name: str) -> Callable[[str], Source]:
    def find(key: str) -> Source:
        if key not in inputs:
            raise InputError(f"step {name} needs the input {key}, and nothing gives it a value")
        return inputs[key]

    return find
