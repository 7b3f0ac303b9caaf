"""dsl.importer: an artefact from outside. It is no step, only where its consumers' input lies."""

from __future__ import annotations

from collections.abc import Mapping

from infra.errors import InputError
from infra.ir.container import fixed, known
from infra.ir.form import Node
from infra.plan import Constant, Imported, Json, Source, Template
from infra.values import neat


def imported(
    executor: Node, inputs: Mapping[str, Source], values: Mapping[str, Json], name: str
) -> Imported:
    """What the importer called ``name`` imports; its URI may be an output of a step.

    Raises InputError where the URI is put together in the run, or the metadata depend on it.
    """
    spec: Node = executor["importer"]
    uri = spec["artifactUri"]
    source = inputs.get(uri.get("runtimeParameter", "uri"))  # for in an f-string, ``constant``
    if source is None:  # still holds marks of kfp's own
        source = Constant(uri["constant"])
    if isinstance(source, Template):
        text = fixed(source.argument, inputs, values)
        if text is None:
            raise InputError(
                f"step {name} imports from a URI that is put together in the run; "
                "let one step write the whole of it"
            )
        source = Constant(text)

    def filled(node: Json) -> Json:
        if isinstance(node, str):
            return known(node, inputs, values, name)
        if isinstance(node, list):
            return [filled(item) for item in node]
        if isinstance(node, dict):
            return {known(k, inputs, values, name): filled(item) for k, item in node.items()}
        return neat(node, "")

    return Imported(
        uri=source,
        schema=spec["typeSchema"].get("schemaTitle", "system.Artifact"),
        metadata={key: filled(item) for key, item in spec.get("metadata", {}).items()},
        reimport=bool(spec.get("reimport")),
    )
