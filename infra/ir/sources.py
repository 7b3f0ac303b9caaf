"""Follows each input of a task to whoever gives it its value, by its binding."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from infra.errors import InputError, short
from infra.ir.form import Node, damaged
from infra.ir.names import Path
from infra.ir.placeholders import parse_argument
from infra.plan import Constant, FinalStatus, FirstOf, Output, Source, Template, Token
from infra.values import fitted, neat

if TYPE_CHECKING:
    from infra.ir.scopes import Scope, Scopes


def inputs(scopes: Scopes, outer: Scope, name: str, task: Node) -> dict[str, Source]:
    """The inputs of a task in ``outer`` that have a value: their own, or by default.

    Raises InputError where a container needs one that has none.
    """
    component = scopes.component(task)
    definitions = component.get("inputDefinitions", {})
    parameters, artifacts = definitions.get("parameters", {}), definitions.get("artifacts", {})
    sources: dict[str, Source] = {
        key: Constant(neat(definition["defaultValue"], definition.get("parameterType", "STRING")))
        for key, definition in parameters.items()
        if "defaultValue" in definition
    }
    bindings, leaf = task.get("inputs", {}), "dag" not in component
    for key, binding in bindings.get("parameters", {}).items():
        definition = parameters.get(key, {})
        kind = definition.get("parameterType", "STRING")
        source = _parameter(scopes, outer, f"{name}, input {key}", binding, kind)
        if "componentInputParameter" in binding:
            if isinstance(source, Template):
                source = _carried(source, outer, sources)
            if isinstance(source, Constant) and leaf:
                source = source._replace(value=fitted(source.value, kind))
        if source is not None:
            sources[key] = source
        elif leaf and not definition.get("isOptional"):
            raise _lacks(name, binding["componentInputParameter"])
    for key, binding in bindings.get("artifacts", {}).items():
        source = _artifact(scopes, outer, f"{name}, input {key}", binding)
        if source is not None:
            sources[key] = source
        elif leaf and not artifacts.get(key, {}).get("isOptional"):
            raise _lacks(name, binding["componentInputArtifact"])
    return sources


def lookup(found: Mapping[str, Source], name: str) -> Callable[[str], Source]:
    """Give the sources of the step called ``name``. Raises InputError where it has none."""

    def find(key: str) -> Source:
        if key not in found:
            raise _lacks(name, key)
        return found[key]

    return find


def _parameter(scopes: Scopes, outer: Scope, where: str, binding: Node, kind: str) -> Source | None:
    """Where a parameter comes from; None where its scope was not given it."""
    if "componentInputParameter" in binding:
        source = outer.inputs.get(binding["componentInputParameter"])
        if selector := binding.get("parameterExpressionSelector"):
            from infra.ir.loops import select

            return select(source, selector, scopes.values, where)
        return source
    if "taskOutputParameter" in binding:
        output = binding["taskOutputParameter"]
        producer = (*outer.path, output["producerTask"])
        return _output(scopes, "parameters", producer, output["outputParameterKey"])
    if "taskFinalStatus" in binding:
        task = binding["taskFinalStatus"]["producerTask"]
        return FinalStatus(task, tuple(sorted(scopes.steps_in((*outer.path, task)))))
    if "constant" not in binding.get("runtimeValue", {}):
        raise damaged(f"step {where}, is bound to nothing")
    value = neat(binding["runtimeValue"]["constant"], kind)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if "{{$" in text:
        return Template(parse_argument(text, f"step {where}"), json=text is not value)
    return Constant(value)


def _artifact(scopes: Scopes, outer: Scope, where: str, binding: Node) -> Source | None:
    if "componentInputArtifact" in binding:
        return outer.inputs.get(binding["componentInputArtifact"])
    if "taskOutputArtifact" not in binding:
        raise damaged(f"step {where}, is bound to nothing")
    output = binding["taskOutputArtifact"]
    producer = (*outer.path, output["producerTask"])
    return _output(scopes, "artifacts", producer, output["outputArtifactKey"])


def _output(scopes: Scopes, kind: str, producer: Path, key: str) -> Source:
    """An output of what stands at ``producer``: a container, a DAG, a loop or an importer."""
    scope = scopes.at(producer)
    if scope.loops:
        from infra.ir.loops import collect

        return collect(_output(scopes, kind, each, key) for each in scopes.within(scope) or ())
    if scopes.imports(scope):
        from infra.ir.importers import imported

        return imported(scopes.executor(scope), scope.inputs, scopes.values, str(producer[-1]))
    if "dag" not in scope.component:
        _require(key, scope.component.get("outputDefinitions", {}).get(kind, {}), producer)
        return Output(scopes.name(producer), key)
    outputs = scope.component["dag"].get("outputs", {}).get(kind, {})
    _require(key, outputs, producer)
    selectors = _selectors(outputs[key])
    found = [
        _output(
            scopes,
            kind,
            (*producer, selector["producerSubtask"]),
            selector.get("outputParameterKey") or selector["outputArtifactKey"],
        )
        for selector in selectors
    ]
    return found[0] if len(found) == 1 else _first_of(found, key)


def _require(key: str, outputs: Node, producer: Path) -> None:
    if key not in outputs:
        raise damaged(f"step {producer[-1]} makes no output {short(key)}, which another one takes")


def _selectors(output: Node) -> list[Node]:
    """Whose outputs an output of a DAG is: one, or of several whichever there is."""
    if "valueFromParameter" in output:
        return [output["valueFromParameter"]]
    if "valueFromOneof" in output:
        return list(output["valueFromOneof"]["parameterSelectors"])
    return list(output.get("artifactSelectors", ()))


def _first_of(found: list[Source], key: str) -> FirstOf:
    flat = [each.outputs if isinstance(each, FirstOf) else (each,) for each in found]
    sources = [source for group in flat for source in group]
    outputs = tuple(source for source in sources if isinstance(source, Output))
    if len(outputs) < len(sources):
        raise InputError(
            f"the output {key} is of whichever branch ran (dsl.OneOf), and one of them imports or "
            "collects it, which Trefoil does not read yet; let a step of that branch write it"
        )
    return FirstOf(outputs)


def _carried(template: Template, outer: Scope, sources: dict[str, Source]) -> Template:
    """Take a template into an inner scope with its values, under names that nothing there has."""
    argument = []
    for token in template.argument:
        if token.kind == "parameter":
            source = lookup(outer.inputs, str(outer.path[-1]))(token.text)
            name = f"{outer.path[-1]}.{token.text}"
            sources[name] = (
                _carried(source, outer, sources) if isinstance(source, Template) else source
            )
            argument.append(Token("parameter", name))
        else:
            argument.append(token)
    return template._replace(argument=tuple(argument))


def _lacks(name: str, key: str) -> InputError:
    return InputError(f"step {name} needs the input {key}, and nothing gives it a value")
