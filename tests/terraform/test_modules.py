"""terraform/modules and envs: valid by their providers' schemas, twins, and least privilege."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.terraform.schemas import extract
from tests.terraform.terraform import (
    GROUND,
    PLACES,
    PROGRAM,
    PROVIDERS,
    copied,
    needs_terraform,
)

each_place = pytest.mark.parametrize(
    "place",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"terraform-{name}")) for name in PLACES],
)

SHARED = {
    "region", "prefix", "expire_runs_after_days", "tracking_uri", "experiment", "ci", "schedule",
    "budget", "name",
}  # fmt: skip
"""What is asked of whoever makes a ground, in any cloud."""

WIDE = re.compile(
    r".*(FullAccess|PowerUser|AdministratorAccess|allUsers|allAuthenticatedUsers|TokenCreator"
    r"|roles/(owner|editor|viewer)\b|roles/\w+\.admin\b).*"
    r"|Owner|Contributor|Reader|.* Administrator"
)
"""Rights over everything, over a whole service, over other accounts, or for everybody."""

WRONG = """
resource "google_storage_bucket" "incomplete" {
  name = "without a location"
}
resource "google_storage_bucket" "misspelt" {
  name     = "a"
  location = "eu"
  versionning {
    enabled = true
  }
}
resource "google_storage_bucket" "invented" {
  name     = "a"
  location = "eu"
  colour   = "blue"
}
resource "google_storage_bucket" "mistyped" {
  name     = "a"
  location = "eu"
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = "old"
    }
  }
}
resource "google_storage_bucket" "twice" {
  name     = "a"
  location = "eu"
  versioning {
    enabled = true
  }
  versioning {
    enabled = false
  }
}
resource "azurerm_container_registry" "theirs" {
  name                = "a"
  resource_group_name = "a"
  location            = "westeurope"
  sku                 = ["Standard"]
}
resource "azurerm_container_registri" "unknown" {}
output "missing" {
  value = azurerm_container_registry.this.login_servers
}
"""
REFUSED = {
    ("incomplete", 'The argument "location" is required'),
    ("misspelt", 'Blocks of type "versionning" are not expected here'),
    ("invented", 'An argument named "colour" is not expected here'),
    ("mistyped", 'Inappropriate value for attribute "age": a number is required'),
    ("twice", "No more than 1 \"versioning\" blocks are allowed"),
    ("theirs", 'Inappropriate value for attribute "sku": string required'),
    ("unknown", 'does not support resource type "azurerm_container_registri"'),
    ("missing", 'or exported attribute named "login_servers"'),
}  # fmt: skip


@needs_terraform
def test_files_are_formatted() -> None:
    """A diff would show formatting instead of what changed."""
    ended = subprocess.run(
        [str(PROGRAM), "fmt", "-check", "-recursive", str(GROUND)],
        env={"TF_CLI_CONFIG_FILE": "/dev/null"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.returncode) == ("", 0)


@needs_terraform
@each_place
def test_a_module_passes_its_own_tests(tmp_path: Path, schemas: dict[str, str], place: str) -> None:
    """Its variables would take what the cloud refuses, or half of what was asked would be made."""
    terraform = copied(tmp_path, f"modules/{place}", **schemas)
    terraform.run("init")
    said = terraform.run("test", "-no-color").stdout
    assert said.count("... pass") > 10


@needs_terraform
@each_place
def test_an_environment_is_valid(tmp_path: Path, schemas: dict[str, str], place: str) -> None:
    """An attribute that its provider does not know stops an apply, or is found by nobody."""
    terraform = copied(tmp_path, f"envs/{place}", **schemas)
    terraform.run("init", "-backend=false")
    assert terraform.json("validate", "-json")["diagnostics"] == []


@needs_terraform
@pytest.mark.xdist_group("terraform-gcp")
def test_what_is_wrong_is_refused(tmp_path: Path, schemas: dict[str, str]) -> None:
    """Providers that take anything would make every test above pass."""
    terraform = copied(tmp_path, "modules/azure", **schemas)
    other = '{ source = "hashicorp/google" }'
    versions = terraform.folder / "versions.tf"
    text = versions.read_text()
    versions.write_text(text.replace("{\n    azurerm", f"{{\n    google = {other}\n    azurerm"))
    (terraform.folder / "wrong.tf").write_text(WRONG)
    terraform.run("init")
    said = json.loads(terraform.run("validate", "-json", ok=(1,)).stdout)["diagnostics"]
    lines = WRONG.splitlines()
    found = {(_block(lines, each["range"]["start"]["line"]), each["detail"]) for each in said}
    for where, words in REFUSED:
        assert [detail for name, detail in found if name == where and words in detail], where
    assert {name for name, _ in found} == {name for name, _ in REFUSED}


def _block(lines: list[str], number: int) -> str:
    """The name of the resource or output that a line is in."""
    heads = [line for line in lines[:number] if line.startswith(("resource", "output"))]
    return heads[-1].split('"')[-2]


@each_place
def test_an_environment_hands_everything_on(place: str) -> None:
    """What a module can do, nobody could ask for; or twice, in two ways."""
    module, env = (_variables(GROUND / room / place) for room in ("modules", "envs"))
    main = (GROUND / "envs" / place / "main.tf").read_text()
    handed = dict(re.findall(r"^  (\w+) += (var\.\w+)$", main.split('module "ground"')[1], re.M))
    assert handed == {name: f"var.{name}" for name in module}
    assert {name: env[name] for name in module} == module
    assert set(env) - set(module) <= {"region", "subscription"}  # what the provider is told


@each_place
def test_the_clouds_ask_alike(place: str) -> None:
    """Whoever has made one ground would have to learn the next one anew."""
    assert set(_variables(GROUND / "envs" / place)) >= SHARED


def _variables(folder: Path) -> dict[str, str]:
    """Each variable without what validates it: a module does that for its environment."""
    text = (folder / "variables.tf").read_text()
    parts = re.split(r'^variable "(\w+)" \{\n', text, flags=re.MULTILINE)[1:]
    validations = re.compile(r"\n  validation \{\n.*?\n  \}\n", re.DOTALL)
    return {
        name: validations.sub("", body).strip()
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@each_place
def test_nobody_may_do_everything(place: str) -> None:
    """A training script with such a role deletes what is served, or makes itself an owner."""
    words: list[str] = []
    for file in (GROUND / "modules" / place).glob("*.tf"):
        words += re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub("#.*", "", file.read_text()))
    assert len(words) > 300
    assert [word for word in words if WIDE.fullmatch(word)] == []


@each_place
def test_a_schema_holds_what_is_used_and_nothing_else(place: str) -> None:
    """What terraform/ uses no more stays behind; what it uses anew says how it is extracted."""
    name = PROVIDERS[place]
    content = json.loads(Path(extract.__file__).with_name(f"{name}.json").read_text())
    assert sorted(content["resource_schemas"]) == extract.used("resource", name)
    assert sorted(content["data_source_schemas"]) == extract.used("data", name)
