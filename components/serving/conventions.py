"""How a request is worded: one set of fields (see ``calls``), three conventions around it.

native      the fields themselves: {"operation": "sample", "n": 4, "seed": 0}. A route or the query
            string may name the operation. SageMaker and Azure ML pass these through.
Vertex AI   {"instances": [...], "parameters": {...}} -> {"predictions": [...]}, one per instance:
            an image (or {"image": ...}) to reconstruct or score, {} or {"z": [...]} to sample.
KServe v2   tensors named as the fields, "parameters" for the rest -> {"outputs": [...]}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.serving.errors import Refused, short
from components.serving.operations import Array

if TYPE_CHECKING:
    from components.serving.calls import Call

_TENSORS = ("FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")
_SINGLE = {"operation", "n", "seed", "scale"}
_dumps = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Convention:
    """One way of wording: JSON body -> fields, answer -> JSON body."""

    fields: Callable[[dict[str, Any]], dict[str, Any]]
    answer: Callable[[Call, Array, str, str], str]


def _rows(found: Array) -> str:
    """Nested lists as JSON, six decimals. Row by row, so that other threads get their turn."""
    rounded = found.astype(np.float64).round(6)
    return "[" + ",".join([_dumps(row.tolist()) for row in rounded]) + "]"


def _native_answer(call: Call, found: Array, _name: str, _version: str) -> str:
    if call.operation == "score":
        return f'{{"bits_per_dim":{_rows(found)}}}'
    seed = f',"seed":{call.seed}' if call.operation == "sample" else ""
    return f'{{"images":{_rows(found)}{seed}}}'


def _vertex_fields(body: dict[str, Any]) -> dict[str, Any]:
    instances, parameters = body.get("instances"), body.get("parameters") or {}
    if not (isinstance(instances, list) and instances and isinstance(parameters, dict)):
        raise Refused(400, 'the body must be {"instances": [one or more], "parameters": {}}')
    fields = {name: _whole(value) for name, value in parameters.items()}
    bare = [each for each in instances if isinstance(each, dict) and "image" not in each]
    if len(bare) < len(instances):
        if bare:
            raise Refused(400, "either every instance is an image, or none is")
        fields["images"] = [_only(each, "image") for each in instances]
    elif any("z" in each for each in bare):
        fields["z"] = [_only(each, "z") for each in bare]
    elif any(bare):
        raise Refused(400, 'an instance to sample is {} or {"z": [...]}')
    else:
        fields["n"] = len(bare)
    return fields


def _whole(value: object) -> object:
    """A whole number as one: Vertex AI passes every number of a request on as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _only(instance: object, name: str) -> object:
    if not isinstance(instance, dict):
        return instance
    if instance.keys() != {name}:
        raise Refused(400, f"every instance must have {name} and nothing else")
    return instance[name]


def _vertex_answer(_call: Call, found: Array, _name: str, _version: str) -> str:
    return f'{{"predictions":{_rows(found)}}}'


def _kserve_fields(body: dict[str, Any]) -> dict[str, Any]:
    tensors, parameters = body.get("inputs", []), body.get("parameters") or {}
    if not (isinstance(tensors, list) and isinstance(parameters, dict)):
        raise Refused(400, "inputs must be a list of tensors and parameters an object")
    if "inputs" in body and not tensors:
        raise Refused(400, "inputs is empty; send a tensor, or leave inputs out to sample")
    fields = dict(parameters)
    for tensor in tensors:
        if not isinstance(tensor, dict) or not {"name", "shape", "datatype", "data"} <= set(tensor):
            raise Refused(400, "a tensor of inputs has name, shape, datatype and data")
        name = tensor["name"]
        if not isinstance(name, str):
            raise Refused(400, f"the name of a tensor is a string, not {short(name)}")
        if tensor["datatype"] not in _TENSORS:
            datatype = short(tensor["datatype"])
            raise Refused(400, f"{short(name)} is of datatype {datatype}; send FP32")
        fields[name] = _tensor(name, tensor["shape"], tensor["data"])
    return fields


def _tensor(name: str, shape: object, data: object) -> Any:
    if not (isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)):
        raise Refused(400, f"the shape of {short(name)} must be a list of whole numbers")
    try:
        found = np.asarray(data)
        if found.size != math.prod(shape):
            raise ValueError("it has another number of values")
        found = found.reshape(shape)
    except (ValueError, OverflowError):
        raise Refused(
            400, f"the data of {short(name)} does not fill the shape {short(shape)}"
        ) from None
    if name not in _SINGLE:
        return found
    if found.size != 1:
        raise Refused(400, f"{name} is one value, not a tensor of shape {short(shape)}")
    return found.item()


def _kserve_answer(call: Call, found: Array, served: str, version: str) -> str:
    name = "bits_per_dim" if call.operation == "score" else "images"
    head = {"model_name": served, "model_version": version}
    if call.id is not None:
        head["id"] = call.id
    tensor = {"name": name, "datatype": "FP32", "shape": list(found.shape)}
    flat = _rows(found.reshape(len(found), -1)).replace("[", "").replace("]", "")
    return f'{json.dumps(head)[:-1]}, "outputs": [{json.dumps(tensor)[:-1]}, "data": [{flat}]}}]}}'


def _native_fields(body: dict[str, Any]) -> dict[str, Any]:
    return body


NATIVE = Convention(_native_fields, _native_answer)
VERTEX = Convention(_vertex_fields, _vertex_answer)
KSERVE = Convention(_kserve_fields, _kserve_answer)
