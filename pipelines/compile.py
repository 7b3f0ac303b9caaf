"""DSL -> IR, kept with digests of what it was made of, so that kfp is imported only after a change.

kfp runs in a process of its own, ``pipelines.compiling``: its import takes 80 MB that a run would
otherwise hold to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra.errors import InputError
from infra.redaction import redacted
from infra.storage import write_whole
from pipelines.interrupt import run

GENERATIVE = Path(__file__).with_name("generative.py")
_PINS = Path(__file__).parent.parent / "pyproject.toml"
_MOST = 1_000_000
"""Values in a pipeline: more than anybody writes, fewer than a few nested aliases of YAML make."""


def load(pipeline: str, workspace: Path) -> dict[str, Any]:
    """Return {"pipeline": IR, "platforms": ...} of a file; without a name, of our own pipeline.

    A ``.py`` file is compiled first: it holds one @dsl.pipeline, or one called like the file.
    Raises InputError.
    """
    source = Path(pipeline) if pipeline else GENERATIVE
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(f"the pipeline {source} cannot be read: {error.strerror}") from None
    python = source.suffix == ".py"
    by = bytes(source.absolute()) + _PINS.read_bytes() if python else b""
    kept = workspace / "ir" / f"{_digest(by + content)[:32]}.json"
    found = _kept(kept)
    if found is None:
        found = _compiled(source) if python else {"files": {}, "environment": {}}
        text = found["ir"] if python else content.decode(errors="replace")
        found["ir"] = _parsed(source, text)
        _keep(kept, found)
    document: dict[str, Any] = found["ir"]
    return document


def _kept(kept: Path) -> dict[str, Any] | None:
    """What was compiled before, unless it is damaged, or anything that it read has changed."""
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        same = all(_digest(Path(name).read_bytes()) == was for name, was in found["files"].items())
        for name, was in found["environment"].items():
            now = os.environb.get(os.fsencode(name))
            same = same and (_digest(now) if now is not None else None) == was
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found if same and "ir" in found else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep(kept: Path, found: dict[str, Any]) -> None:
    """Keep IR, but for a secret: it stays where it is, and may be another one tomorrow."""
    try:
        if redacted(found["ir"]) == found["ir"]:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json.dumps(found))
    except (OSError, RecursionError):
        return  # a dry run works in a read-only workspace; a run will refuse it in its own words


def _parsed(source: Path, text: str) -> dict[str, Any]:
    """The IR of YAML. Raises InputError."""
    import yaml

    try:
        documents = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each is not None]
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"the pipeline {source} is not YAML: {reason}") from None
    if not documents or not all(isinstance(each, dict) for each in documents):
        raise InputError(f"the pipeline {source} holds no KFP IR; compile it with kfp first")
    platforms = documents[1] if len(documents) > 1 else {}
    try:
        if _count(documents, {}) > _MOST:
            raise ValueError(f"more than {_MOST:,} values, its aliases written out")
        both = json.dumps({"pipeline": documents[0], "platforms": platforms}, allow_nan=False)
        document: dict[str, Any] = json.loads(both)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"the pipeline {source} holds more than plain data: {error}") from None
    return document


def _count(value: Any, known: dict[int, int]) -> int:
    """How many values there are, what an alias of YAML repeats counted again."""
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        inner = parts if isinstance(value, dict | list) else ()
        known[id(value)] = 1 + sum(_count(each, known) for each in inner)
    return known[id(value)]


def _compiled(source: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "made.json")
        child = run([sys.executable, "-m", "pipelines.compiling", str(source), str(out)])
        if child.returncode:
            reason = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"the pipeline {source} does not compile: {reason}")
        made: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return made
