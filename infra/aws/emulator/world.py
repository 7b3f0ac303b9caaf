"""What every part of the stand-in shares: an account, its store, its scenario, its machines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.aws.emulator.machine import Machines
from infra.aws.emulator.objects import Objects
from infra.aws.emulator.refusal import Refused
from infra.rehearsal.clock import Clock
from infra.rehearsal.store import Store

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

    def check_limit(self, machine: str, use: str, used: int, wanted: int) -> None:
        """Raise Refused where the scenario gives the account too few machines of a type."""
        limits: Mapping[str, int] = self.scenario.get("limits", {})
        limit = limits.get(machine, limits.get("*"))
        if limit is not None and used + wanted > limit:
            raise Refused(
                "ResourceLimitExceeded",
                f"The account-level service limit '{machine} {use}' is {limit} Instances, with "
                f"current utilization of {used} Instances and a request delta of {wanted} "
                "Instances. Please use AWS Service Quotas to request an increase for this quota.",
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
