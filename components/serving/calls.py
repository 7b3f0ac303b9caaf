"""What a request asks for: its fields, checked.

The fields: operation; n (how many) or z (latents) to sample; images to reconstruct or score, with
values 0..1; seed, a whole number, which makes an answer repeatable (drawn, and told, when left
out of sample; 0 otherwise); scale, which enlarges the pixels of a PNG answer.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from components.serving.conventions import Convention
from components.serving.errors import Refused, short
from components.serving.images import from_png
from components.serving.operations import Array, Model

MAX_ROWS = 1024
MAX_VALUES = 2**22
"""Numbers in one answer, about 40 MB of JSON."""
MAX_SEED = 2**63 - 1
MAX_LATENT = 100.0
_TAKES = {
    "sample": {"operation", "scale", "seed", "n", "z"},
    "reconstruct": {"operation", "scale", "seed", "images"},
    "score": {"operation", "scale", "seed", "images"},
}


@dataclass(slots=True)
class Call:
    """A request that was found good. ``rows`` are latents to sample, else images."""

    operation: str
    rows: Array
    seed: int
    scale: int = 1
    id: str | None = None

    def run(self, model: Model) -> Array:
        """Compute the answer."""
        if self.operation == "sample":
            return model.sample(self.rows)
        if self.operation == "reconstruct":
            return model.reconstruct(self.rows, self.seed)
        return model.score(self.rows, self.seed)


def read(
    convention: Convention,
    model: Model,
    body: bytes,
    media: str,
    query: Mapping[str, str],
    operation: str | None,
) -> Call:
    """Understand a request. ``operation`` is what its route stands for. Raises Refused."""
    fields: dict[str, Any] = {name: _whole_if(name, value) for name, value in query.items()}
    call_id = None
    if media.startswith("image/"):
        if media != "image/png":
            raise Refused(415, f"{media[:40]} is not understood; send image/png or JSON")
        if "images" in fields or "z" in fields:
            raise Refused(400, "send images either as PNG or as JSON, not both")
        pictures = from_png(body, model.shape)
    else:
        pictures = None
        worded = _json(body)
        call_id = worded.get("id")
        if not isinstance(call_id, str | None):
            raise Refused(400, f"id must be a string, not {short(call_id)}")
        fields |= convention.fields(worded)
    name = _operation(fields, operation, model, pictures is not None)
    if unknown := fields.keys() - _TAKES[name]:
        known, strange = (", ".join(sorted(names)) for names in (_TAKES[name], unknown))
        raise Refused(400, f"{name} takes {known}; {strange[:80]} is unknown to it")
    seed = _whole(fields, "seed", 0, MAX_SEED)
    scale = _whole(fields, "scale", 1, 64) or 1
    if name == "sample":
        seed = secrets.randbelow(2**32) if seed is None else seed
        return Call(name, _latents(fields, model, seed), seed, scale, call_id)
    rows = pictures if pictures is not None else _images(fields, model)
    return Call(name, rows, seed or 0, scale, call_id)


def _operation(fields: dict[str, Any], default: str | None, model: Model, pictures: bool) -> str:
    name = fields.get("operation", default)
    if name is None:
        able = [each for each in ("reconstruct", "score") if each in model.operations]
        if not (pictures or "images" in fields):
            name = "sample"
        elif len(able) == 1:
            name = able[0]
        else:
            raise Refused(400, "say which operation: reconstruct or score")
    if name not in model.operations:
        can = ", ".join(model.operations)
        raise Refused(400, f"the operation {short(name)} is not one of this model's: {can}")
    return str(name)


def _latents(fields: dict[str, Any], model: Model, seed: int) -> Array:
    limit = max_rows(model)
    if "z" not in fields:
        return model.draw(_whole(fields, "n", 1, limit) or 1, seed)
    z = _numbers(fields["z"], "z", model.latent, limit)
    if not (np.abs(z) <= MAX_LATENT).all():
        raise Refused(400, f"z must be finite and within -{MAX_LATENT:g}..{MAX_LATENT:g}")
    if "n" in fields and fields["n"] != len(z):
        raise Refused(400, f"n is {short(fields['n'])} but z has {len(z)} rows; leave n out")
    return z


def _images(fields: dict[str, Any], model: Model) -> Array:
    if "images" not in fields:
        raise Refused(400, "images is missing: a list of images, or one PNG")
    images = _numbers(fields["images"], "images", model.shape, max_rows(model))
    if not ((images >= 0) & (images <= 1)).all():
        raise Refused(400, "the values of images must lie in 0..1")
    return images


def _numbers(value: object, name: str, row: tuple[int, ...], limit: int) -> Array:
    """Turn nested lists into rows. Strings, nulls and ragged lists are no numbers."""
    try:
        found = np.asarray(value)
    except ValueError:
        raise Refused(400, f"{name} is ragged: its lists differ in length or depth") from None
    if found.dtype.kind not in "iuf":
        raise Refused(400, f"{name} holds something that is no number")
    if found.ndim != len(row) + 1 or found.shape[1:] != row or not len(found):
        want = ", ".join(map(str, ("n", *row)))
        raise Refused(400, f"{name} has the shape {list(found.shape)}; this model wants [{want}]")
    if len(found) > limit:
        raise Refused(400, f"{name} has {len(found)} rows; at most {limit} go in one request")
    return found.astype(np.float32)


def max_rows(model: Model) -> int:
    """How many images one request may ask for or bring."""
    return max(1, min(MAX_ROWS, MAX_VALUES // math.prod(model.shape)))


def _whole(fields: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise Refused(400, f"{name} must be a whole number in {low}..{high}, not {short(value)}")
    return value


def _whole_if(name: str, value: str) -> int | str:
    """Query strings carry text; the numbers among the fields are whole."""
    return int(value) if name != "operation" and value.isdecimal() and len(value) < 20 else value


def _json(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {_reason(error)}") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body must be a JSON object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Refused(400, f"the body is not JSON: {name} is not a JSON number")


def _reason(error: Exception) -> str:
    """What is wrong with the text, in words of JSON and not of Python."""
    if isinstance(error, json.JSONDecodeError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "its lists are nested too deeply"
    return "a number in it has too many digits"
