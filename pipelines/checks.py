"""What can be known to be wrong in our pipeline's parameters before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from infra.errors import InputError, nearest
from infra.plan import Json, Plan, Token
from infra.provider import Provider

_PROMOTE = ("when-better", "always", "never")
_DEPLOY = (Token("text", "components.deploy"),)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check(given: Mapping[str, Json]) -> None:
    """Check those of the parameters given that have rules of their own. Raises InputError."""
    promote = given.get("promote")
    if promote is not None and promote not in _PROMOTE:
        hint = nearest(str(promote), _PROMOTE, "it is one of ")
        raise InputError(f"promote cannot be {promote}; {hint}")
    endpoint = given.get("endpoint")
    if endpoint is not None and not _NAME.fullmatch(str(endpoint)):
        raise InputError(
            f"endpoint cannot be {endpoint}; use up to 63 small letters, digits and inner hyphens"
        )
    if "gate" in given:
        from training.errors import InputError as BadGate
        from training.metrics import gate

        try:
            gate.parse(str(given["gate"]))
        except BadGate as error:
            raise InputError(str(error)) from None


def check_endpoint(place: Provider, workspace: Path, plan: Plan) -> None:
    """Find now what would make the last step fail. Raises InputError and UnsupportedError."""
    name = plan.parameters.get("endpoint")
    if name and any(_DEPLOY in step.argv for step in plan.steps):
        canary = plan.parameters.get("canary") or 0
        place.endpoint().check(workspace=workspace, name=str(name), canary=canary)
