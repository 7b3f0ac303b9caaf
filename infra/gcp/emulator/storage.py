"""Cloud Storage's JSON API, as much as our client and google-cloud-storage speak of it.

Conditions on generations hold: an object that must not be there yet is put by one alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.errors import InputError
from infra.gcp.emulator.objects import Objects
from infra.gcp.emulator.refusal import Refused
from infra.rehearsal.server import Answer, Call, answer

HOST = r"storage\.googleapis\.com|www\.googleapis\.com"
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
_OBJECTS = re.compile(r"/storage/v1/b/([^/]+)/o")
_OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/(.+)")
_UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o")
_REWRITE = re.compile(r"/storage/v1/b/([^/]+)/o/(.+)/(?:rewriteTo|copyTo)/b/([^/]+)/o/(.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHUNK = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_PAGE = 1000


class Storage:
    """Answers for every bucket there is."""

    def __init__(self, objects: Objects, project: str) -> None:
        """``project`` is the number of the project that has the buckets."""
        self._objects, self._project, self._lock = objects, project, threading.RLock()
        self._uploads: dict[str, dict[str, Any]] = {}
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = [
            ("POST", _REWRITE, self._rewrite), ("POST", _UPLOAD, self._upload),
            ("PUT", _UPLOAD, self._go_on), ("GET", _OBJECTS, self._list),
            ("GET", _OBJECT, self._get), ("DELETE", _OBJECT, self._delete),
            ("GET", _BUCKET, self._bucket),
        ]  # fmt: skip

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        for verb, path, does in self._routes:
            if call.method == verb and (found := path.fullmatch(call.path)):
                try:
                    with self._lock:
                        return does(call, *found.groups())
                except (Refused, InputError) as refused:
                    return _refused(refused)
        words = f"this rehearsal of Cloud Storage does not do {call.method} {call.path}"
        return _refused(Refused("UNIMPLEMENTED", words))

    def _bucket(self, _call: Call, name: str) -> Answer:
        if self._objects.bucket(name) is None:
            raise Refused("NOT_FOUND", "The specified bucket does not exist.")
        about = {"location": "ANY", "storageClass": "STANDARD", "projectNumber": self._project}
        return answer({"kind": "storage#bucket", "id": name, "name": name, **about})

    def _list(self, call: Call, bucket: str) -> Answer:
        asked = {name: values[-1] for name, values in call.query.items()}
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        folders: dict[str, None] = {}
        keys = []
        for key in self._objects.keys(bucket, prefix):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders[prefix + rest[: rest.index(delimiter) + 1]] = None
            else:
                keys.append(key)
        start = int(asked.get("pageToken") or 0)
        size = min(int(asked.get("maxResults") or _PAGE), _PAGE)
        page = [self._about(bucket, key) for key in keys[start : start + size]]
        more = {"nextPageToken": str(start + size)} if start + size < len(keys) else {}
        told = {"prefixes": list(folders)} if folders else {}
        return answer({"kind": "storage#objects", "items": page, **told, **more})

    def _get(self, call: Call, bucket: str, key: str) -> Answer:
        content = self._objects.read(f"gs://{bucket}/{key}")
        if content is None:
            raise Refused("NOT_FOUND", f"No such object: {bucket}/{key}")
        about = self._about(bucket, key)
        if call.query.get("alt", [""])[-1] != "media":
            return answer(about)
        sums = (("X-Goog-Hash", f"crc32c={about['crc32c']}"),
                ("X-Goog-Hash", f"md5={about['md5Hash']}"),
                ("X-Goog-Generation", about["generation"]), ("ETag", about["etag"]))  # fmt: skip
        if found := _RANGE.fullmatch(call.header("Range")):
            begin = int(found[1])
            if begin >= len(content):
                told = (("Content-Range", f"bytes */{len(content)}"),)
                return Answer(416, b"", "application/octet-stream", told)
            end = min(int(found[2] or len(content) - 1), len(content) - 1)
            where = (("Content-Range", f"bytes {begin}-{end}/{len(content)}"),)
            part = content[begin : end + 1]
            return Answer(206, part, "application/octet-stream", (*sums, *where))
        return Answer(200, content, "application/octet-stream", sums)

    def _delete(self, call: Call, bucket: str, key: str) -> Answer:
        place = self._objects.path(f"gs://{bucket}/{key}")
        if not place.is_file():
            raise Refused("NOT_FOUND", f"No such object: {bucket}/{key}")
        self._require(call.query, bucket, key)
        place.unlink()
        return Answer(204)

    def _rewrite(self, call: Call, bucket: str, key: str, other: str, name: str) -> Answer:
        content = self._objects.read(f"gs://{bucket}/{key}")
        if content is None:
            raise Refused("NOT_FOUND", f"No such object: {bucket}/{key}")
        made = self._put(call.query, other, name, content)
        if call.path.find("/rewriteTo/") < 0:
            return answer(made)
        size = str(len(content))
        done = {"done": True, "objectSize": size, "totalBytesRewritten": size, "resource": made}
        return answer({"kind": "storage#rewriteResponse", **done})

    # --- putting objects

    def _upload(self, call: Call, bucket: str) -> Answer:
        kind = call.query.get("uploadType", [""])[-1]
        name = call.query.get("name", [""])[-1]
        if kind == "media":
            return answer(self._put(call.query, bucket, name, call.body))
        if kind == "multipart":
            about, content = _two_parts(call)
            return answer(self._put(call.query, bucket, about.get("name", name), content))
        if kind != "resumable":
            raise Refused("INVALID_ARGUMENT", f"uploadType is {kind!r}")
        about = json.loads(call.body or b"{}")
        identity = secrets.token_hex(16)
        self._uploads[identity] = {
            "bucket": bucket, "name": about.get("name", name), "query": call.query, "content": b"",
        }  # fmt: skip
        host = call.header("Host").partition(":")[0]
        place = f"https://{host}{call.path}?uploadType=resumable&upload_id={identity}"
        return Answer(200, b"", headers=(("Location", place), ("X-GUploader-UploadID", identity)))

    def _go_on(self, call: Call, _bucket: str) -> Answer:
        upload = self._uploads.get(call.query.get("upload_id", [""])[-1])
        found = _CHUNK.fullmatch(call.header("Content-Range") or "bytes */*")
        if upload is None or found is None:
            raise Refused("NOT_FOUND", "there is no such upload")
        if found[1] is not None and int(found[1]) == len(upload["content"]):
            upload["content"] += call.body
        elif not call.header("Content-Range"):
            upload["content"] = call.body
        content: bytes = upload["content"]
        if call.header("Content-Range") and found[3] != str(len(content)):
            told = (("Range", f"bytes=0-{len(content) - 1}"),) if content else ()
            return Answer(308, b"", headers=told)
        return answer(self._put(upload["query"], upload["bucket"], upload["name"], content))

    def _put(
        self, query: Mapping[str, list[str]], bucket: str, key: str, content: bytes
    ) -> dict[str, Any]:
        if not key:
            raise Refused("INVALID_ARGUMENT", "Required parameter: name")
        self._require(query, bucket, key)
        self._objects.write(f"gs://{bucket}/{key}", content)
        return self._about(bucket, key)

    def _require(self, query: Mapping[str, list[str]], bucket: str, key: str) -> None:
        """Hold the conditions of a call. Raises Refused."""
        place = self._objects.path(f"gs://{bucket}/{key}")
        there = _generation(place) if place.is_file() else "0"
        wanted, unwanted = (
            query.get(name, [""])[-1] for name in ("ifGenerationMatch", "ifGenerationNotMatch")
        )
        if (wanted and wanted != there) or (unwanted and unwanted == there):
            words = "At least one of the pre-conditions you specified did not hold."
            raise Refused("FAILED_PRECONDITION", words, 412)

    def _about(self, bucket: str, key: str) -> dict[str, Any]:
        place = self._objects.path(f"gs://{bucket}/{key}")
        content, generation = place.read_bytes(), _generation(place)
        changed = _moment(place.stat().st_mtime)
        return {
            "kind": "storage#object", "id": f"{bucket}/{key}/{generation}", "name": key,
            "bucket": bucket, "generation": generation, "metageneration": "1",
            "contentType": "application/octet-stream", "storageClass": "STANDARD",
            "size": str(len(content)), "etag": generation, "crc32c": _crc32c(content),
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),  # noqa: S324  Google's
            "timeCreated": changed, "updated": changed,
        }  # fmt: skip


def _refused(refused: Exception) -> Answer:
    if isinstance(refused, Refused):
        return refused.answer()
    return Refused("INVALID_ARGUMENT", str(refused)).answer()


def _generation(place: Path) -> str:
    return str(place.stat().st_mtime_ns)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03}Z"


def _two_parts(call: Call) -> tuple[dict[str, Any], bytes]:
    """The description and the content of a multipart/related body."""
    found = re.search(r'boundary="?([^";]+)', call.header("Content-Type"))
    if found is None:
        raise Refused("INVALID_ARGUMENT", "a multipart upload has a boundary")
    mark = b"--" + found[1].encode()
    pieces = [each for each in call.body.split(mark)[1:] if not each.startswith(b"--")]
    bodies = [re.split(rb"\r?\n\r?\n", each, maxsplit=1)[1] for each in pieces]
    if len(bodies) != 2:
        raise Refused("INVALID_ARGUMENT", "a multipart upload has two parts")
    about, content = (re.sub(rb"\r?\n\Z", b"", body) for body in bodies)
    return json.loads(about), content


def _crc32c(content: bytes) -> str:
    import google_crc32c

    sums: Any = google_crc32c
    return base64.b64encode(sums.Checksum(content).digest()).decode()
