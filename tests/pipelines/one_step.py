"""A pipeline of one step, as compiled IR, with a script of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
NOOP = ROOT / "tests" / "benchmarks" / "noop.yaml"


def one_step(
    file: Path,
    script: str,
    values: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Write it to ``file``; its one step is ``first``.

    ``script`` finds the place of its artefact ``out`` in sys.argv[1], and those of its output
    parameters, ``values`` by KFP type, behind that.
    """
    document = yaml.safe_load(NOOP.read_text(encoding="utf-8"))
    document["root"]["dag"]["tasks"] = {"first": document["root"]["dag"]["tasks"]["first"]}
    container = document["deploymentSpec"]["executors"]["exec-first"]["container"]
    container["command"][2] = script
    container["env"] = [{"name": name, "value": value} for name, value in (env or {}).items()]
    outputs = document["components"]["comp-first"]["outputDefinitions"]
    outputs["parameters"] = {name: {"parameterType": kind} for name, kind in (values or {}).items()}
    for name in values or {}:
        container["command"].append(f"{{{{$.outputs.parameters['{name}'].output_file}}}}")
    file.write_text(yaml.safe_dump(document))
    return str(file)
