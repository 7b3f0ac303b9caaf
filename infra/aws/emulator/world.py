"""What every part of the stand-in shares: an account, its store, its scenario, its machines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.aws.emulator.machine import Machines
from infra.aws.emulator.objects import Objects
from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.store import Store
from infra.rehearsal.clock import Clock

_PAGE = 100


class World(NamedTuple):
    """One account in one region. ``slots`` are taken by the jobs whose containers run.

    ``environment`` is laid over that of every container, as far as that has the variable.
    """

    folder: Path
    region: str
    account: str
    roles: frozenset[str]
    store: Store
    objects: Objects
    machines: Machines
    clock: Clock
    slots: threading.Semaphore
    scenario: Mapping[str, Any]
    environment: Mapping[str, str]

    def arn(self, rest: str) -> str:
        """An ARN of SageMaker's."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{rest}"

    def check_role(self, role: str) -> None:
        """Raise Refused where SageMaker could not be this role."""
        if role not in self.roles:
            raise Refused(
                "ValidationException",
                f"Could not assume role {role}. Please ensure that the role exists and allows "
                "principal 'sagemaker.amazonaws.com' to assume the role.",
            )

    def page(
        self, found: list[dict[str, Any]], request: Mapping[str, Any], name: str
    ) -> dict[str, Any]:
        """One page of a list, sorted by creation, newest first unless asked otherwise."""
        if request.get("SortOrder", "Descending") == "Descending":
            found = found[::-1]
        token = request.get("NextToken", "0")
        if not token.isdigit():
            raise Refused("ValidationException", "Invalid NextToken")
        begin, size = int(token), int(request.get("MaxResults", _PAGE))
        more = {"NextToken": str(begin + size)} if begin + size < len(found) else {}
        return {name: found[begin : begin + size], **more}
