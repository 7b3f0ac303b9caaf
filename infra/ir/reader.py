"""Makes a step of every container of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from infra.errors import InputError
from infra.ir.container import known, resources, retry
from infra.ir.form import Node
from infra.ir.names import in_order, task_of
from infra.ir.placeholders import parse_arguments
from infra.ir.scopes import Scope, Scopes
from infra.plan import All, Argument, Json, Parameter, Plan, Source, Step, Template
from infra.values import bind, whole

_MOST = 1000
"""How many steps a plan may have."""


class Reader:
    """Reads one pipeline; ``platforms`` is the IR's second document, or empty."""

    def __init__(self, pipeline: Node, platforms: Node, given: Mapping[str, Json]) -> None:
        self._pipeline = pipeline
        self._platforms = platforms
        definitions = pipeline["root"].get("inputDefinitions", {})
        if definitions.get("artifacts"):
            name = next(iter(definitions["artifacts"]))
            raise InputError(f"the pipeline takes the artefact {name} as input; give it a path")
        self._values = bind(definitions.get("parameters", {}), given)
        inputs = {key: Parameter(key) for key, value in self._values.items() if value is not None}
        self._scopes = Scopes(pipeline, inputs, self._values)

    def plan(self) -> Plan:
        """The plan, bound to the parameters given. Raises InputError."""
        leaves = list(islice(self._scopes.leaves(), _MOST + 1))
        if len(leaves) > _MOST:
            raise InputError(
                f"this pipeline has more than {_MOST} steps, counting every iteration of its "
                "loops (dsl.ParallelFor); let a step work on several items"
            )
        if not leaves:
            raise InputError("this pipeline has no steps: nothing would run")
        info = self._pipeline["pipelineInfo"]
        return Plan(
            name=info["name"],
            steps=in_order([self._step(leaf) for leaf in leaves]),
            parameters=self._values,
            description=info.get("description", ""),
        )

    def _step(self, scope: Scope) -> Step:
        name = self._scopes.name(scope.path)
        label = scope.component["executorLabel"]
        spec = self._scopes.executor(scope)["container"]
        outputs = scope.component.get("outputDefinitions", {})

        def fixed(text: str) -> str:
            return known(text, scope.inputs, self._values, name)

        platforms = {
            platform: own["deploymentSpec"]["executors"][label]
            for platform, own in self._platforms.get("platforms", {}).items()
            if label in own.get("deploymentSpec", {}).get("executors", {})
        }
        deadline = platforms.get("kubernetes", {}).get("activeDeadlineSeconds")
        after = {step for path in scope.after for step in self._scopes.steps_in(path)}
        when = scope.when
        return Step(
            name=name,
            image=fixed(spec["image"]),
            argv=_argv(spec, scope.inputs, name),
            env={item["name"]: item.get("value", "") for item in spec.get("env", ())},
            inputs=_used(scope.inputs, scope.component),
            parameters={
                key: item["parameterType"] for key, item in outputs.get("parameters", {}).items()
            },
            artifacts=_artifacts(outputs.get("artifacts", {}), name),
            after=tuple(sorted(after)),
            when=when[0] if len(when) == 1 else All(when) if when else None,
            always=scope.always,
            cache=bool(scope.task.get("cachingOptions", {}).get("enableCache")),
            retry=retry(scope.task.get("retryPolicy", {}), name),
            timeout=float(whole(str(deadline), name)) if deadline else None,
            resources=resources(spec.get("resources", {}), fixed, name),
            platforms=platforms,
            task=task_of(scope.path),
        )


def _argv(spec: Node, inputs: Mapping[str, Source], name: str) -> tuple[Argument, ...]:
    words = (*spec.get("command", ()), *spec.get("args", ()))
    argv = [each for word in words for each in parse_arguments(word, inputs, f"step {name}")]
    for token in (token for argument in argv for token in argument):
        if token.kind in ("parameter", "input_path") and token.text not in inputs:
            raise InputError(
                f"step {name} puts the input {token.text} on its command line, and nothing gives "
                "it a value; give it one, or use dsl.IfPresentPlaceholder"
            )
    return tuple(argv)


def _artifacts(definitions: Node, name: str) -> dict[str, str]:
    """The type of each artefact that a step makes."""
    for key, item in definitions.items():
        if item.get("isArtifactList"):
            raise InputError(
                f"step {name} makes a list of artefacts as {key}, which Trefoil does not read "
                "yet; let it make one that is a folder"
            )
    return {
        key: item["artifactType"].get("schemaTitle", "system.Artifact")
        for key, item in definitions.items()
    }


def _used(inputs: Mapping[str, Source], component: Node) -> dict[str, Source]:
    """The component's own inputs, and those that its templates need."""
    definitions = component.get("inputDefinitions", {})
    own = {*definitions.get("parameters", {}), *definitions.get("artifacts", {})}
    for source in inputs.values():
        if isinstance(source, Template):
            own.update(token.text for token in source.argument if token.kind == "parameter")
    return {key: source for key, source in inputs.items() if key in own}
