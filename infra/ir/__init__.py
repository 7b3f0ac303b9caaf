"""KFP IR -> Plan: the only place that knows the IR's shape.

Nested DAGs (conditions, exit handlers, pipelines in pipelines) are flattened and loops unrolled.
Every input is followed through the scopes to whoever produces it, by its binding; names are never
taken apart. What is not read is refused by one sentence naming the step and the construct:
``fields.REFUSED`` is their place.

    reader        a step of every container       scopes        the DAGs, as a tree
    sources       who gives an input its value    loops         dsl.ParallelFor, dsl.Collected
    importers     dsl.importer                    expressions   conditions
    placeholders  in the words of a command       container     image, resources, retries
    names         what steps are called           form          is it IR? by the table of fields

IR: kubeflow/pipelines api/v2alpha1/pipeline_spec.proto, schema version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.errors import InputError, short
from infra.ir.form import SCHEMA_VERSION, Node, check
from infra.ir.reader import Reader
from infra.plan import Json, Plan


def declared(document: Node) -> Mapping[str, Node]:
    """The parameters that the pipeline of ``document`` has, by name. Raises InputError."""
    place: object = _pipeline(document)
    for key in ("root", "inputDefinitions", "parameters"):
        place = place.get(key, {}) if isinstance(place, Mapping) else None
    if not isinstance(place, Mapping) or not all(isinstance(p, Mapping) for p in place.values()):
        raise InputError("this IR is damaged: its parameters are no object; compile it anew")
    return place


def read(document: Node, given: Mapping[str, Json] | None = None) -> Plan:
    """Read compiled IR into a Plan bound to the parameters ``given``.

    ``document`` is {"pipeline": IR, "platforms": the optional second YAML document}. A value given
    as text is read by its parameter's type. Raises InputError.
    """
    pipeline, platforms = _pipeline(document), document.get("platforms") or {}
    try:
        check(pipeline, platforms)
        plan = Reader(pipeline, platforms, given or {}).plan()
    except RecursionError:
        raise InputError("this pipeline is nested too deep to be read") from None
    return plan._replace(source=document)


def _pipeline(document: Node) -> Node:
    pipeline = document.get("pipeline")
    if not isinstance(pipeline, Mapping) or "pipelineInfo" not in pipeline:
        raise InputError("this is not KFP IR: it has no pipelineInfo; compile the pipeline first")
    version = pipeline.get("schemaVersion")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"this IR is of schema version {short(str(version))}; Trefoil reads {SCHEMA_VERSION}: "
            "compile the pipeline with kfp 2.x"
        )
    return pipeline
