"""What a scenario keeps from a job: machines, quota, its image, and the spot machine it has."""

from __future__ import annotations

import re
from collections.abc import Callable

from infra.azure.emulator.contract import Spec
from infra.azure.emulator.mounts import Unavailable
from infra.azure.emulator.world import World


def without_machine(world: World, step: str, spec: Spec) -> bool:
    """Whether there is no machine for a step now, whatever its jobs."""
    for each in world.scenario.get("no_capacity", ()):
        if not re.search(each.get("step", ""), spec.step):
            continue
        before = sum(job["hindered"] for job in world.store.of("jobs") if job["step"] == step)
        if before < each.get("times", 1):
            return True
    return False


def beyond_quota(world: World, spec: Spec) -> str:
    """What Azure says where the account may have too few machines of this type; else empty."""
    limits = world.scenario.get("limits", {})
    limit = limits.get(spec.machine, limits.get("*"))
    if limit is None or spec.nodes <= limit:
        return ""
    return (
        f"The specified subscription has a quota of {limit} machines of {spec.machine}, and "
        f"{spec.nodes} were requested."
    )


def require_image(world: World, spec: Spec) -> None:
    """Raise Unavailable where nobody has pushed the image."""
    missing = world.scenario.get("missing_images")
    if missing and re.search(missing, spec.image):
        raise Unavailable(
            f"Failed to pull Docker image {spec.image}: manifest unknown. This error may occur "
            "because the compute could not authenticate with the Docker registry, or the image "
            "does not exist."
        )


def interrupted(
    world: World, spec: Spec, attempt: int, seconds: float, log: Callable[[], str]
) -> bool:
    """Whether a spot machine is taken away now, ``seconds`` after its container began."""
    if not spec.spot:
        return False
    for each in world.scenario.get("interruptions", ()):
        if not re.search(each.get("step", ""), spec.step):
            continue
        if attempt > each.get("times", 1) or seconds < each.get("after", 0.0):
            continue
        if "says" not in each or re.search(each["says"], log()):
            return True
    return False
