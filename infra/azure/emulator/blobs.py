"""Blob Storage as azure-storage-blob speaks to it, as far as runs use it: block blobs alone.

Put a blob, or its blocks and their list; get it, or a range; its properties and metadata; lists by
prefix, page after page; delete; and the conditions of all that.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from email.utils import formatdate
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from infra.azure.emulator.blobstore import Blob, BlobStore
from infra.azure.emulator.login import require
from infra.azure.emulator.refusal import Refused, refusal
from infra.rehearsal.server import Answer, Call

AUDIENCE = "https://storage.azure.com"
_PAGE = 5000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_VERSION = ("x-ms-version", "2021-08-06")


class Blobs:
    """Answers for one storage account."""

    def __init__(self, store: BlobStore, signature: str) -> None:
        """``signature`` is that of the links (SAS) which the stand-in gives out."""
        self._store, self._signature = store, signature

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        try:
            self._require(call)
            container, _, name = call.path.lstrip("/").partition("/")
            if not name:
                return self._of_container(call, container)
            return self._of_blob(call, container, name)
        except Refused as refused:
            return refusal(refused, call)

    def _require(self, call: Call) -> None:
        if call.query.get("sig") == [self._signature]:
            return
        try:
            require(call, AUDIENCE)
        except Refused as refused:
            words = f"Server failed to authenticate the request. {refused.message}"
            raise Refused(401, "InvalidAuthenticationInfo", words) from None

    def _of_container(self, call: Call, container: str) -> Answer:
        if _kind(call) != "container":
            raise _unsupported(call)
        if call.method == "PUT":
            if not self._store.make(container):
                raise Refused(
                    409, "ContainerAlreadyExists", "The specified container already exists."
                )
            return Answer(201, headers=(_VERSION,))
        if not self._store.has(container):
            raise Refused(404, "ContainerNotFound", "The specified container does not exist.")
        if call.query.get("comp") == ["list"]:
            return self._list(call, container)
        if call.method in ("GET", "HEAD"):
            modified = formatdate(0, usegmt=True)
            headers = (("ETag", '"0x1"'), ("Last-Modified", modified), _VERSION)
            return Answer(200, headers=headers)
        raise _unsupported(call)

    def _of_blob(self, call: Call, container: str, name: str) -> Answer:
        if not self._store.has(container):
            raise Refused(404, "ContainerNotFound", "The specified container does not exist.")
        verbs: dict[tuple[str, str], Callable[[Call, str, str], Answer]] = {
            ("PUT", ""): self._put, ("PUT", "block"): self._stage,
            ("PUT", "blocklist"): self._commit, ("PUT", "metadata"): self._describe,
            ("GET", ""): self._get, ("HEAD", ""): self._head, ("DELETE", ""): self._delete,
        }  # fmt: skip
        does = verbs.get((call.method, _comp(call)))
        if does is None:
            raise _unsupported(call)
        with self._store.lock:
            return does(call, container, name)

    # --- one blob

    def _put(self, call: Call, container: str, name: str) -> Answer:
        if call.header("x-ms-blob-type") != "BlockBlob" or call.header("x-ms-copy-source"):
            raise _unsupported(call)
        self._meets(call, container, name)
        _require_md5(call)
        return self._written(call, container, name, call.body)

    def _stage(self, call: Call, container: str, name: str) -> Answer:
        _require_md5(call)
        self._store.stage(container, name, call.query["blockid"][0], call.body)
        return Answer(201, headers=(_VERSION, ("Content-MD5", _md5(call.body))))

    def _commit(self, call: Call, container: str, name: str) -> Answer:
        self._meets(call, container, name)
        staged = self._store.staged(container, name)
        wanted = [each.text or "" for each in ElementTree.fromstring(call.body)]  # noqa: S314
        if missing := [each for each in wanted if each not in staged]:
            words = f"The specified block list is invalid: {missing[0]} was not put."
            raise Refused(400, "InvalidBlockList", words)
        return self._written(call, container, name, b"".join(staged[each] for each in wanted))

    def _written(self, call: Call, container: str, name: str, content: bytes) -> Answer:
        kind = call.header("x-ms-blob-content-type") or "application/octet-stream"
        md5 = call.header("x-ms-blob-content-md5") or _md5(content)
        blob = self._store.write(
            container, name, content, kind=kind, md5=md5, metadata=_metadata(call)
        )
        return Answer(201, headers=(*_facts(blob), ("Content-MD5", md5)))

    def _describe(self, call: Call, container: str, name: str) -> Answer:
        self._found(container, name)
        self._meets(call, container, name)
        return Answer(200, headers=_facts(self._store.describe(container, name, _metadata(call))))

    def _head(self, call: Call, container: str, name: str) -> Answer:
        blob = self._found(container, name)
        self._meets(call, container, name)
        # the server writes the length of what a GET would send
        return Answer(200, bytes(blob.size), blob.kind, (*_facts(blob), *_properties(blob)))

    def _get(self, call: Call, container: str, name: str) -> Answer:
        blob = self._found(container, name)
        self._meets(call, container, name)
        content = self._store.read(container, name)
        headers = (*_facts(blob), *_properties(blob))
        asked = _RANGE.fullmatch(call.header("x-ms-range") or call.header("Range"))
        if asked is None:
            return Answer(200, content, blob.kind, (*headers, ("Content-MD5", blob.md5)))
        first, last = int(asked[1]), int(asked[2] or blob.size - 1)
        if first >= blob.size:
            raise Refused(416, "InvalidRange", "The range specified is invalid for the resource.")
        part = content[first : last + 1]
        where = ("Content-Range", f"bytes {first}-{first + len(part) - 1}/{blob.size}")
        return Answer(206, part, blob.kind, (*headers, where))

    def _delete(self, call: Call, container: str, name: str) -> Answer:
        self._found(container, name)
        self._meets(call, container, name)
        self._store.remove(container, name)
        return Answer(202, headers=(_VERSION,))

    def _found(self, container: str, name: str) -> Blob:
        blob = self._store.find(container, name)
        if blob is None:
            raise Refused(404, "BlobNotFound", "The specified blob does not exist.")
        return blob

    def _meets(self, call: Call, container: str, name: str) -> None:
        """Raise Refused where a condition of the call does not hold."""
        blob = self._store.find(container, name)
        without, within = call.header("If-None-Match"), call.header("If-Match")
        if without and blob and without in ("*", blob.etag):
            if call.method in ("GET", "HEAD"):
                raise Refused(304, "ConditionNotMet", "The condition was not met.")
            if without == "*":
                raise Refused(409, "BlobAlreadyExists", "The specified blob already exists.")
            raise Refused(412, "ConditionNotMet", "The condition specified was not met.")
        if within and (blob is None or within not in ("*", blob.etag)):
            raise Refused(412, "ConditionNotMet", "The condition specified was not met.")

    # --- lists

    def _list(self, call: Call, container: str) -> Answer:
        prefix, delimiter = _query(call, "prefix"), _query(call, "delimiter")
        marker, size = _query(call, "marker"), int(_query(call, "maxresults") or _PAGE)
        found: dict[str, Blob | None] = {}
        for blob in self._store.listed(container, prefix):
            head, mark, _ = blob.name[len(prefix) :].partition(delimiter or "\0")
            folded = bool(delimiter and mark)
            found[f"{prefix}{head}{mark}" if folded else blob.name] = None if folded else blob
        names = [name for name in found if name >= marker]
        page, rest = names[:size], names[size:]
        items = "".join(_item(name, found[name]) for name in page)
        following = escape(rest[0]) if rest else ""
        body = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName='
            f'"{escape(container)}"><Prefix>{escape(prefix)}</Prefix><MaxResults>{size}'
            f"</MaxResults><Blobs>{items}</Blobs><NextMarker>{following}</NextMarker>"
            "</EnumerationResults>"
        )
        return Answer(200, body.encode(), "application/xml", (_VERSION,))


def _item(name: str, blob: Blob | None) -> str:
    if blob is None:
        return f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
    facts = {
        "Creation-Time": formatdate(blob.made, usegmt=True),
        "Last-Modified": formatdate(blob.changed, usegmt=True), "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.size), "Content-Type": blob.kind, "Content-MD5": blob.md5,
        "BlobType": "BlockBlob", "LeaseStatus": "unlocked", "LeaseState": "available",
        "ServerEncrypted": "true",
    }  # fmt: skip
    inner = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in facts.items())
    return f"<Blob><Name>{escape(name)}</Name><Properties>{inner}</Properties></Blob>"


def _facts(blob: Blob) -> tuple[tuple[str, str], ...]:
    modified = formatdate(blob.changed, usegmt=True)
    return ("ETag", blob.etag), ("Last-Modified", modified), _VERSION


def _properties(blob: Blob) -> tuple[tuple[str, str], ...]:
    own = tuple((f"x-ms-meta-{name}", value) for name, value in blob.metadata.items())
    made = ("x-ms-creation-time", formatdate(blob.made, usegmt=True))
    return (
        ("x-ms-blob-type", "BlockBlob"), ("x-ms-lease-status", "unlocked"),
        ("x-ms-lease-state", "available"), ("x-ms-server-encrypted", "true"),
        ("Accept-Ranges", "bytes"), made, *own,
    )  # fmt: skip


def _metadata(call: Call) -> dict[str, str]:
    front = "x-ms-meta-"
    return {
        name[len(front) :]: value
        for name, value in call.headers.items()
        if name.lower().startswith(front)
    }


def _require_md5(call: Call) -> None:
    sent = call.header("Content-MD5")
    if sent and sent != _md5(call.body):
        raise Refused(400, "Md5Mismatch", "The MD5 value specified in the request did not match.")


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _comp(call: Call) -> str:
    return _query(call, "comp")


def _kind(call: Call) -> str:
    return _query(call, "restype")


def _query(call: Call, name: str) -> str:
    return call.query.get(name, [""])[0]


def _unsupported(call: Call) -> Refused:
    asked = "&".join(f"{name}={values[0]}" for name, values in call.query.items() if name != "sig")
    words = f"this rehearsal does not know {call.method} {call.path}?{asked}"
    return Refused(400, "UnsupportedQueryParameter" if asked else "UnsupportedOperation", words)
