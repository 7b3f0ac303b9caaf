"""What can be known to be wrong in our pipeline's parameters before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import InputError, nearest, short
from infra.plan import Json, Plan, Token
from infra.provider import Provider
from infra.values import typed

_PROMOTE = ("when-better", "always", "never")
_DEPLOY = (Token("text", "components.deploy"),)
_WRITTEN = {
    "endpoint": (
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "use up to 63 small letters, digits and inner hyphens",
    ),
    "model_name": (
        r"""(?!\s)[^/:'"\\\x00-\x1f\x7f]{1,100}(?<!\s)""",
        "use up to 100 characters on one line, no slash, colon or quote among them",
    ),
    "data_md5": (
        r"([0-9a-f]{32}(\.dir)?)?",
        "it is 32 digits of 0-9 and a-f, as a .dvc file has them; without it the data is measured",
    ),
}
"""How a parameter must be written, and what to say where it is not."""
_SEEDS = 2**32


def check(given: Mapping[str, Json]) -> None:
    """Check those of the parameters given that have rules of their own. Raises InputError."""
    promote = given.get("promote")
    if promote is not None and promote not in _PROMOTE:
        hint = nearest(str(promote), _PROMOTE, "it is one of ")
        raise InputError(f"promote cannot be {promote}; {hint}")
    for name, (pattern, hint) in _WRITTEN.items():
        if name in given and not re.fullmatch(pattern, str(given[name])):
            raise InputError(f"{name} cannot be {short(str(given[name])) or 'empty'}; {hint}")
    seed = typed(given.get("seed", 0), "NUMBER_INTEGER", "seed")
    if isinstance(seed, int) and not 0 <= seed < _SEEDS:
        raise InputError(f"seed cannot be {seed}; it is from 0 to {_SEEDS - 1}")
    if "gate" in given:
        from training.errors import InputError as BadGate
        from training.metrics import gate

        try:
            gate.parse(str(given["gate"]))
        except BadGate as error:
            raise InputError(str(error)) from None


def check_gate(plan: Plan) -> None:
    """See that a plan can be asked whether its gate passed. Raises InputError."""
    if not any("passed" in step.parameters for step in plan.steps):
        raise InputError(
            "--require-gate asks for a gate, and no step of this run has an output called passed; "
            "leave it out, or run the step that judges"
        )


def check_endpoint(place: Provider, settings: Any, workspace: Path, plan: Plan) -> None:
    """Find now what would make the last step fail. Raises InputError and UnsupportedError."""
    name = plan.parameters.get("endpoint")
    if name and any(_DEPLOY in step.argv for step in plan.steps):
        canary = plan.parameters.get("canary") or 0
        place.endpoint().check(
            workspace=workspace,
            name=str(name),
            canary=canary,
            environment=place.ground(settings),
        )
