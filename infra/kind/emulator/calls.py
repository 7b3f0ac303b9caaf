"""Calls of KFP's API: which one it is, whether the description allows it, and pages of lists."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from infra.kind.emulator.description import Operation, operations
from infra.kind.emulator.description import check as check_value
from infra.kind.emulator.refusal import INVALID, NOT_FOUND, UNIMPLEMENTED, Refused
from infra.rehearsal.openapi import Wrong
from infra.rehearsal.server import Call

Document = dict[str, Any]
_PAGE = 20


def operation_of(call: Call) -> tuple[Operation, list[str]]:
    """Which operation a call is, and the IDs in its path. Raises Refused."""
    known = [(each, each.path.match(call.path)) for each in operations()]
    there = [(each, match) for each, match in known if match]
    for operation, match in there:
        if operation.method == call.method and match:
            return operation, list(match.groups())
    if there:
        raise Refused(UNIMPLEMENTED, "Method Not Allowed")
    raise Refused(NOT_FOUND, "Not Found")


def check(call: Call, operation: Operation) -> None:
    """Hold a call against the description, before anything is done. Raises Refused."""
    for name, values in call.query.items():
        if name not in operation.query:
            raise Refused(INVALID, f"?{name} is not a parameter of {operation.name}")
        if operation.query[name] == "int" and not values[0].isdigit():
            raise Refused(INVALID, f"?{name}: {values[0]!r} is not a whole number")
    if not operation.body:
        if call.body.strip() not in (b"", b"{}", b"null"):
            raise Refused(INVALID, f"{operation.name} takes no body")
        return
    try:
        body = json.loads(call.body)
    except ValueError as error:
        raise Refused(INVALID, f"$: the body is not JSON: {error}") from None
    try:
        check_value(body if body is not None else "", operation.body)
    except Wrong as wrong:
        raise Refused(INVALID, str(wrong)) from None


def listed(call: Call, items: Iterable[Document], name: str) -> Document:
    """One page of a list, filtered and sorted as asked. Raises Refused."""
    found = [each for each in items if _fits(each, call.query.get("filter", [""])[0])]
    field, _, direction = call.query.get("sort_by", [""])[0].partition(" ")
    if field not in ("", "created_at", "display_name", "name", "finished_at", "storage_state"):
        raise Refused(INVALID, f"?sort_by: {field!r} is not a field to sort by")
    if direction not in ("", "asc", "desc"):
        raise Refused(INVALID, f"?sort_by: {direction!r} is neither asc nor desc")
    if field:
        found.sort(key=lambda each: str(each.get(field)))
    if direction == "desc":
        found.reverse()
    token = call.query.get("page_token", [""])[0]
    if token and not token.isdigit():
        raise Refused(INVALID, f"?page_token: {token!r} is none of ours")
    size = int(call.query.get("page_size", ["0"])[0]) or _PAGE
    start = int(token or 0)
    more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
    return {name: found[start : start + size], "total_size": len(found), **more}


def _fits(item: Document, text: str) -> bool:
    if not text:
        return True
    try:
        asked = json.loads(text)
        check_value(asked, "V2beta1Filter", "?filter")
    except ValueError as error:
        raise Refused(INVALID, f"?filter: it is not JSON: {error}") from None
    except Wrong as wrong:
        raise Refused(INVALID, str(wrong)) from None
    for predicate in asked.get("predicates") or ():
        if predicate.get("operation") not in ("EQUALS", 1):
            raise Refused(UNIMPLEMENTED, "?filter: the stand-in knows EQUALS alone")
        wanted = predicate.get("string_value", predicate.get("stringValue"))
        if predicate.get("key") not in item:
            raise Refused(INVALID, f"?filter: {predicate.get('key')!r} is not a field")
        if item[predicate["key"]] != wanted:
            return False
    return True
