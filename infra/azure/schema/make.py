"""Makes models.json of the published model of Azure ML, as the wheel of azure-ai-ml 1.28.1 has it.

    python -m pip download --no-deps azure-ai-ml==1.28.1 -d WHERE
    python infra/azure/schema/make.py WHERE/azure_ai_ml-1.28.1-py3-none-any.whl

That version is the last whose models say what must be there and what a value may be; the ones after
it send the same versions of the API, and say nothing of it. Microsoft's licence is in LICENSE.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOTS = {
    "2022-02-01-preview": {"onlineEndpoints": "OnlineEndpointData"},
    "2023-04-01-preview": {
        "codes": "CodeVersion", "data": "DataVersionBase", "environments": "EnvironmentVersion",
        "onlineEndpoints": "OnlineEndpoint", "onlineDeployments": "OnlineDeployment",
        "models": "ModelVersion", "models/container": "ModelContainer",
    },
    "2023-08-01-preview": {"models": "ModelVersion", "models/container": "ModelContainer"},
    "2024-01-01-preview": {"components": "ComponentVersion", "jobs": "JobBase"},
    "2025-01-01-preview": {"jobs": "JobBase"},
}  # fmt: skip
"""By version of the API, what is sent in it, and the model of that."""
_PLACE = "azure/ai/ml/_restclient/v{}/models/"
_NOT_SENT = ("id", "name", "type", "systemData")
_ENUM = re.compile(r":vartype (\w+): str or\s+~[\w.]+\.(\w+)")


def main() -> None:
    """Write models.json beside this file."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        found = {version: _of_version(wheel, version, roots) for version, roots in ROOTS.items()}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    text = text.replace('}},"', '}},\n"')  # a line for each model
    Path(__file__).with_name("models.json").write_text(text + "\n", encoding="utf-8")


def _of_version(wheel: zipfile.ZipFile, version: str, roots: dict[str, str]) -> dict[str, Any]:
    place = _PLACE.format(version.replace("-", "_"))
    names = [name for name in wheel.namelist() if name.startswith(place)]
    models = _classes(wheel.read(next(n for n in names if n.endswith("_models_py3.py"))).decode())
    enums = _enums(wheel.read(next(n for n in names if n.endswith("_enums.py"))).decode())
    kept: dict[str, Any] = {}
    waiting = list(roots.values())
    while waiting:
        name = waiting.pop()
        if name in kept or name not in models:
            continue
        kept[name] = _told(models[name], enums)
        waiting += _named(kept[name])
    return {"roots": roots, "models": kept}


def _classes(source: str) -> dict[str, dict[str, Any]]:
    """By class: its three tables, and its words."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            tables = {
                target.id: ast.literal_eval(each.value)
                for each in node.body
                if isinstance(each, ast.Assign)
                for target in each.targets
                if isinstance(target, ast.Name)
            }
            found[node.name] = {**tables, "doc": ast.get_docstring(node) or ""}
    return found


def _enums(source: str) -> dict[str, list[str]]:
    """By enumeration: its values."""
    return {
        node.name: [ast.literal_eval(e.value) for e in node.body if isinstance(e, ast.Assign)]
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _told(model: dict[str, Any], enums: dict[str, list[str]]) -> dict[str, Any]:
    """A model as validate.py reads it: fields, and what it may be more closely."""
    attributes, rules = model["_attribute_map"], model.get("_validation", {})
    chosen = dict(_ENUM.findall(" ".join(model["doc"].split())))
    fields = {}
    for name, told in attributes.items():
        rule = rules.get(name, {})
        if rule.get("readonly") and told["key"] in _NOT_SENT:
            continue
        field: dict[str, Any] = {"type": told["type"]}
        field |= {key: rule[key] for key in ("required", "readonly", "pattern") if key in rule}
        for ours, theirs in (("least", "minimum"), ("most", "maximum"),
                             ("shortest", "min_length"), ("longest", "max_length")):  # fmt: skip
            if theirs in rule:
                field[ours] = rule[theirs]
        if chosen.get(name) in enums:
            field["values"] = enums[chosen[name]]
        fields[told["key"]] = field
    found: dict[str, Any] = {"fields": fields}
    for name, kinds in model.get("_subtype_map", {}).items():
        found["kinds"] = {"by": attributes[name]["key"], "of": kinds}
    return found


def _named(told: dict[str, Any]) -> list[str]:
    inner = [re.sub(r"[\[\]{}]", "", each["type"]) for each in told["fields"].values()]
    return [*inner, *told.get("kinds", {}).get("of", {}).values()]


if __name__ == "__main__":
    main()
