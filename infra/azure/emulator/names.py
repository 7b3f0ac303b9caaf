"""What a call to Azure is called, in the log and in the summary."""

from __future__ import annotations

import re

from infra.rehearsal.server import Call

_ARM = re.compile(r"(?i)^/subscriptions/.*?/(workspaces|locations)/[^/]+/?")
_RUNS = re.compile(r"^/history/v1\.0/.*?/(runs|experiments)/?")


def named(call: Call) -> str:
    """The method and the kind of thing: of ARM without the workspace, of blobs the method."""
    host = call.header("Host").partition(":")[0]
    if call.method == "CONNECT" or not host:
        return f"{call.method:<6} {call.path}"
    if ".blob." in host:
        return f"blob {call.method}"
    if host.startswith("login.") or host.endswith(".azurecr.io"):
        return _entry(call, host)
    if _RUNS.match(call.path):
        verb = call.path.rpartition("/")[2]
        return f"history {call.method} {verb if verb in ('details', 'children') else 'run'}"
    if host == "management.azure.com":
        return f"ARM {call.method} {_kind(_ARM.sub('', call.path)) or 'workspace'}"
    return f"{call.method:<6} {host}{call.path}"


def _entry(call: Call, host: str) -> str:
    """What is asked of the login, and of a registry: token, exchange, manifests."""
    where = "login" if host.startswith("login.") else "registry"
    *_, kind, last = call.path.split("/")
    return f"{where} {'manifests' if kind == 'manifests' else last}"


def _kind(rest: str) -> str:
    """Types alone: jobs, environments/versions, jobs/cancel; the names between them left out."""
    return "/".join([part for part in rest.split("/") if part][::2])
