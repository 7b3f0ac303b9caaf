"""Which machine a step runs on. Pure.

Who asks for nothing gets the setting ``machine_type``; who asks, the cheapest machine that has it.
A machine of the family n1 with accelerators is called n1-standard-4+T4 in ``machines.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra import machines
from infra.errors import UnsupportedError, nearest
from infra.gcp import GcpSettings
from infra.machines import Machine
from infra.plan import Step

_PLACE = "gcp"
ACCELERATORS: Mapping[str, str] = {
    "K80": "NVIDIA_TESLA_K80", "P4": "NVIDIA_TESLA_P4", "P100": "NVIDIA_TESLA_P100",
    "V100": "NVIDIA_TESLA_V100", "T4": "NVIDIA_TESLA_T4", "A100": "NVIDIA_TESLA_A100",
    "A100-80GB": "NVIDIA_A100_80GB", "L4": "NVIDIA_L4", "H100": "NVIDIA_H100_80GB",
    "H100-MEGA": "NVIDIA_H100_MEGA_80GB", "H200": "NVIDIA_H200_141GB", "B200": "NVIDIA_B200",
}  # fmt: skip
"""What Vertex AI calls them."""
OURS = {theirs: ours for ours, theirs in ACCELERATORS.items()}


def machine(step: Step, settings: GcpSettings) -> Machine:
    """The step's machine. Raises UnsupportedError where none is so large."""
    asked = step.resources
    if not (asked.cpu or asked.memory_gb or asked.accelerators):
        return Machine(settings.machine_type, 0, 0)
    kind = OURS.get(asked.accelerator or "", asked.accelerator)
    own = step._replace(resources=asked._replace(accelerator=kind))
    return machines.smallest(_PLACE, own, settings.prices)


def machine_spec(step: Step, settings: GcpSettings) -> dict[str, Any]:
    """The same as Vertex AI is told it."""
    found = machine(step, settings)
    spec: dict[str, Any] = {"machineType": found.name.partition("+")[0]}
    if found.accelerators:
        spec["acceleratorType"] = ACCELERATORS[found.accelerator]
        spec["acceleratorCount"] = found.accelerators
    return spec


def accelerator(step: Step, settings: GcpSettings) -> dict[str, str]:
    """What a step of a pipeline asks for, by the old and the new names of kfp's fields.

    Raises UnsupportedError where Vertex AI has none of that kind, or no machine with so many.
    """
    kind = ACCELERATORS[machine(step, settings).accelerator]
    count = str(step.resources.accelerators)
    return {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}


def attached(text: str) -> tuple[str, int]:
    """Kind and number of L4:2, as Vertex AI calls them. Raises UnsupportedError."""
    kind, _, count = text.partition(":")
    if kind not in ACCELERATORS or not (count or "1").isdecimal():
        raise UnsupportedError(
            f"gcp has no accelerator {text}; {nearest(kind, ACCELERATORS, 'it has ')}"
        )
    return ACCELERATORS[kind], int(count or 1)


def called(spec: Mapping[str, Any]) -> str:
    """What ``machines.toml`` calls the machine that Vertex AI is told so."""
    name, kind = str(spec["machineType"]), spec.get("acceleratorType", "")
    count = int(spec.get("acceleratorCount") or 0)
    if not name.startswith("n1-") or not count or kind not in OURS:
        return name
    return f"{name}+{OURS[kind]}" + (f":{count}" if count > 1 else "")
