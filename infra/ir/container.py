"""One executor of IR: its container, the resources it asks for, and how often it is retried."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra.errors import InputError, short
from infra.ir.form import Node
from infra.ir.placeholders import parse_argument
from infra.plan import (
    Argument,
    Constant,
    Json,
    Parameter,
    Resources,
    Retry,
    Source,
    Template,
    as_text,
)
from infra.values import quantity, seconds, whole


def known(text: str, inputs: Mapping[str, Source], values: Mapping[str, Json], name: str) -> str:
    """Text of a place that must be known before the run, such as an image or a limit.

    Raises InputError where it depends on the run.
    """
    if "{{$" not in text:
        return text
    found = fixed(parse_argument(text, f"step {name}"), inputs, values)
    if found is None:
        raise InputError(f"step {name}: {short(text)} is known only during the run; fix it before")
    return found


def fixed(
    argument: Argument, inputs: Mapping[str, Source], values: Mapping[str, Json]
) -> str | None:
    """An argument put together before the run; None where it depends on the run."""
    parts = []
    for token in argument:
        source = inputs.get(token.text) if token.kind == "parameter" else None
        part: str | None = None
        if token.kind == "text":
            part = token.text
        elif isinstance(source, Parameter):
            part = as_text(values[source.name])
        elif isinstance(source, Constant):
            part = as_text(source.value)
        elif isinstance(source, Template):
            part = fixed(source.argument, inputs, values)
        if part is None:
            return None
        parts.append(part)
    return "".join(parts)


def resources(spec: Node, known: Callable[[str], str], name: str) -> Resources:
    """What a container asks for, by the fields of kfp from 2.10 on or those before."""

    def text(*keys: str) -> str:
        return known(next((str(spec[key]) for key in keys if spec.get(key)), ""))

    accelerator = spec.get("accelerator", {})
    kind = accelerator.get("resourceType") or accelerator.get("type")
    count = accelerator.get("resourceCount") or accelerator.get("count") or 1
    cpu = text("resourceCpuLimit", "cpuLimit", "resourceCpuRequest", "cpuRequest")
    memory = text("resourceMemoryLimit", "resourceMemoryRequest")
    gigabytes = text("memoryLimit", "memoryRequest")  # of kfp before 2.10, in units of 10**9
    return Resources(
        cpu=quantity(cpu, name) if cpu else None,
        memory_gb=quantity(memory, name) / 1e9
        if memory
        else quantity(gigabytes, name, unit="G")
        if gigabytes
        else None,
        accelerator=known(kind) if kind else None,
        accelerators=whole(known(str(count)), name) if kind else 0,
    )


def retry(policy: Node, name: str) -> Retry:
    """How often a task is tried again; never, where it does not say."""
    if not policy:
        return Retry()
    return Retry(
        limit=int(policy.get("maxRetryCount", 0)),
        backoff=seconds(policy.get("backoffDuration", "0s"), name),
        factor=float(policy.get("backoffFactor") or 2.0),
        longest=seconds(policy.get("backoffMaxDuration", "3600s"), name),
    )
