"""The schema of what terraform/ uses of a provider, read from its wheel of CDK for Terraform.

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1
    python -m tests.terraform.schemas.extract google cdktf_cdktf_provider_google-*.whl

The wheels were generated from the providers' own schemas. They are read, not imported: JavaScript
says each attribute's name and kind, the declarations beside it which of them are required. Which of
the optional ones a provider fills in is not told: here it is ``id``, and whatever is read of data.
Nor is how many blocks there may be, where it is more than one.

Held once against what AWS's real provider says (its 5.100.0, this of 5.99.1), over what terraform/
uses of it: 341 attributes and 69 blocks, alike in names, types and in what is required, and four
limits of blocks that were missing.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

GROUND = Path(__file__).parents[3] / "terraform"
TYPES = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}

_ENTRY = re.compile(
    r"^\s+(?P<name>\w+): \{\n\s+value: (?P<value>.+),\n\s+isBlock: (?P<block>true|false),\n"
    r'\s+type: "(?P<type>\w+)",\n\s+storageClassType: "(?P<class>\w+)",$',
    re.MULTILINE,
)
_FUNCTION = re.compile(
    r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL
)
_OWN = re.compile(r"^    synthesizeHclAttributes\(\) \{\n(.*?)^    \}$", re.MULTILINE | re.DOTALL)
_CLASS = re.compile(r"^class (\w+) extends [^\n]+\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_COMPUTED = re.compile(
    r"^\s+// (\w+) - computed: true, optional: false, required: false\n"
    r"(?:\s+get \w+\(\) \{\n\s+return .*?get(?P<get>\w+)Attribute\(|"
    r"\s+this\._?\w+ = new (?P<new>[\w.]+)\(this, \"\w+\"(?:, (?P<set>true|false))?)",
    re.MULTILINE,
)
_INTERFACE = re.compile(r"^export interface (\w+)[^\n]*\{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)


class Reader:
    """One resource's two files."""

    def __init__(self, script: str, declarations: str) -> None:
        script = "\n".join(line for line in script.splitlines() if "sourceMapping" not in line)
        self.functions = {_upper(name): body for name, body in _FUNCTION.findall(script)}
        self.classes = dict(_CLASS.findall(script))
        self.interfaces = dict(_INTERFACE.findall(declarations))
        self.own = _OWN.findall(script)[0]

    def whole(self) -> dict[str, Any]:
        """The block of the resource itself."""
        (name,) = (name for name, body in self.classes.items() if self.own in body)
        return self.block(self.own, self.interfaces.get(f"{name}Config", ""), self.classes[name])

    def block(self, body: str, interface: str, script: str) -> dict[str, Any]:
        """What a block may hold: attributes, and blocks within it."""
        attributes: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        for entry in _ENTRY.finditer(body):
            field = re.findall(r"(?:struct\.|this\._)(\w+)", entry["value"])[-1]
            required = re.search(rf"readonly {field}: ", interface) is not None
            if entry["block"] == "true":
                blocks[entry["name"]] = self.nested(entry, required)
            else:
                attributes[entry["name"]] = {"type": _type(entry), **_use(entry["name"], required)}
        for name, got, made, of_a_set in _COMPUTED.findall(script):
            kind = _got(got) if got else self.made(made, of_a_set == "true")
            attributes.setdefault(name, {"type": kind, "computed": True})
        return {"attributes": attributes, "block_types": blocks}

    def nested(self, entry: re.Match[str], required: bool) -> dict[str, Any]:
        """A block within a block: how many of it there may be."""
        (name,) = re.findall(r"(\w+)ToHclTerraform", entry["value"].replace("cdktf.", ""))
        name = _upper(name)
        script = self.classes.get(f"{name}OutputReference", "")
        nested: dict[str, Any] = {
            "nesting_mode": "single" if entry["type"] == "struct" else entry["type"],
            "block": self.block(self.functions[name], self.interfaces[name], script),
        }
        if nested["nesting_mode"] == "single":
            return nested
        if "listMapperHcl" not in entry["value"]:
            nested["max_items"] = 1
        if required:
            nested["min_items"] = 1
        return nested

    def made(self, name: str, of_a_set: bool) -> Any:
        """The type of what only the provider fills in: a map, or a list of objects."""
        if name.startswith("cdktf."):
            return ["map", TYPES[name.removeprefix("cdktf.").removesuffix("Map").lower()]]
        of = name.removesuffix("List")
        fields = self.block("", "", self.classes[f"{of}OutputReference"])["attributes"]
        kind = ["object", {field: each["type"] for field, each in fields.items()}]
        return ["set" if of_a_set else "list", kind]


def main(argv: list[str]) -> None:
    """Write the slice of each provider that a wheel is given for."""
    for name, wheel in zip(argv[::2], argv[1::2], strict=True):
        target = Path(__file__).with_name(f"{name}.json")
        target.write_text(_text(extracted(name, Path(wheel))), encoding="utf-8")


def extracted(name: str, wheel: Path) -> dict[str, Any]:
    """What a provider knows of the resources that terraform/ names."""
    with zipfile.ZipFile(wheel) as outer:
        (inner,) = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
        packed = outer.read(inner)
    resources = {each: _folder(each.removeprefix(f"{name}_")) for each in used("resource", name)}
    data = {each: _folder(f"data_{each}") for each in used("data", name)}
    files = _files(packed, {"provider", *resources.values(), *data.values()})

    def schemas(folders: dict[str, str]) -> dict[str, Any]:
        return {each: {"block": Reader(*files[of]).whole()} for each, of in folders.items()}

    def known(schema: dict[str, Any]) -> dict[str, Any]:
        for each in schema["block"]["attributes"].values():
            each["computed"] = not each.get("required", False)
        return schema

    return {
        "from": wheel.name,
        **schemas({"provider": "provider"}),
        "data_source_schemas": {name: known(each) for name, each in schemas(data).items()},
        "resource_schemas": schemas(resources),
    }


def used(kind: str, provider: str) -> list[str]:
    """The resources, or data, of a provider that terraform/ names."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in GROUND.rglob("*.tf"))
    return sorted(set(re.findall(rf'^{kind} "({provider}_\w+)"', text, re.MULTILINE)))


def _text(content: dict[str, Any]) -> str:
    """As JSON, a resource in each line."""
    parts = []
    for key, value in content.items():
        if not key.endswith("_schemas"):
            parts.append(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}")
            continue
        lines = (f"{json.dumps(of)}: {json.dumps(value[of], sort_keys=True)}" for of in value)
        parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _files(packed: bytes, folders: set[str]) -> dict[str, list[str]]:
    """The script and the declarations of each folder, in one pass."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r|gz") as archive:
        for member in archive:
            place, _, file = member.name.removeprefix("package/lib/").rpartition("/")
            if place in folders and file in ("index.js", "index.d.ts"):
                content = archive.extractfile(member)
                assert content is not None
                found[place, file] = content.read().decode()
    return {each: [found[each, file] for file in ("index.js", "index.d.ts")] for each in folders}


def _folder(name: str) -> str:
    return name.replace("_", "-")


def _upper(name: str) -> str:
    return name[0].upper() + name[1:]


def _type(entry: re.Match[str]) -> Any:
    kind: Any = entry["class"]
    if entry["type"] == "simple":
        return TYPES[kind]
    depth = 0
    while kind.endswith(("List", "Map")):
        kind = kind.removesuffix("List").removesuffix("Map")
        depth += 1
    inner: Any = TYPES[kind]
    for _ in range(depth - 1):
        inner = ["list", inner]
    return [entry["type"], inner]


def _got(word: str) -> Any:
    for kind in ("Map", "List"):
        if word.endswith(kind):
            return [kind.lower(), TYPES[word.removesuffix(kind).lower() or "string"]]
    return TYPES[word.lower()]


def _use(name: str, required: bool) -> dict[str, bool]:
    if required:
        return {"required": True}
    return {"optional": True, "computed": True} if name == "id" else {"optional": True}


if __name__ == "__main__":
    main(sys.argv[1:])
