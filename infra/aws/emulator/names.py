"""What a call to AWS is called, in the log and in the summary."""

from __future__ import annotations

from urllib.parse import parse_qs

from infra.rehearsal.server import Call


def named(call: Call) -> str:
    """The service and the operation; of S3 and of an endpoint, the method and the path."""
    host, target = call.header("Host").partition(":")[0], call.header("X-Amz-Target")
    if call.method == "CONNECT" or not host:
        return f"{call.method:<6} {call.path}"
    if target:
        service, _, operation = target.partition(".")
        return f"{service.partition('_')[0]} {operation}"
    if call.header("Content-Type").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(call.body.decode(errors="replace")).get("Action", ["?"])[0]
        return f"{host.partition('.')[0].upper()} {action}"
    if "s3" in host.split("."):
        return f"S3 {call.method}"
    return f"{call.method:<6} {call.path}"
