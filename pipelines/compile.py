"""DSL -> IR, kept by a hash of its sources, so that kfp is imported only after a change.

kfp runs in a process of its own (``python -m pipelines.compile FILE OUT``): its import takes 80 MB
that a run would otherwise hold to its end.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from infra.errors import InputError
from infra.redaction import redacted
from infra.storage import write_whole
from pipelines.interrupt import heard, run

GENERATIVE = Path(__file__).with_name("generative.py")
_SEVERAL = "# made of several files\n"
"""Begins the IR of a pipeline that imports files of the person's own; such IR is not kept."""
_PINS = Path(__file__).parent.parent / "pyproject.toml"


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
    pins = _PINS.read_bytes() if source.suffix == ".py" else b""
    kept = workspace / "ir" / f"{hashlib.sha256(content + pins).hexdigest()[:32]}.json"
    try:
        document: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not kept yet, or damaged: made anew
        text = _compile(source) if source.suffix == ".py" else content.decode(errors="replace")
        parsed = _parsed(source, text)
        document = json.loads(parsed)
        if not text.startswith(_SEVERAL):  # a change of the other files would not be seen
            _keep(kept, document)
    return document


def _keep(kept: Path, document: dict[str, Any]) -> None:
    """Keep IR, but for a secret: it stays where it is, and may be another one tomorrow."""
    try:
        if redacted(document) == document:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json.dumps(document))
    except (OSError, RecursionError):
        return  # a dry run works in a read-only workspace; a run will refuse it in its own words


def _parsed(source: Path, text: str) -> str:
    """The IR as JSON. Raises InputError."""
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
        return json.dumps({"pipeline": documents[0], "platforms": platforms}, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"the pipeline {source} holds more than plain data: {error}") from None


def _compile(source: Path) -> str:
    _lint(source)
    child = run([sys.executable, "-m", "pipelines.compile", str(source)])
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"the pipeline {source} does not compile: {reason}")
    return child.stdout


def _lint(source: Path) -> None:
    """Refuse a compound condition: kfp 2.17 compiles ``a and b`` to ``b`` alone, without a word."""
    import ast

    try:
        nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise InputError(f"the pipeline {source}{line}: {error.msg}") from None
    except ValueError as error:
        raise InputError(f"the pipeline {source} is not Python: {error}") from None
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "condition")]
        if name in ("If", "Elif", "Condition") and any(isinstance(e, ast.BoolOp) for e in given):
            raise InputError(
                f"the pipeline {source}, line {node.lineno}: dsl.{name} with and/or compiles to "
                "its last part alone; let one step write a single boolean and compare that"
            )


def _own(module: Any) -> bool:
    """Whether a module is a file of the person's own, not Python's and not installed."""
    import sysconfig

    file = Path(getattr(module, "__file__", None) or sys.executable)
    libraries = {"site-packages", "dist-packages"}
    python = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sys.executable)
    return not libraries & set(file.parts) and not any(map(file.is_relative_to, python))


def _main() -> None:
    """Compile the one pipeline of a file and print its IR."""
    import importlib.util
    import tempfile
    import warnings

    heard()

    warnings.simplefilter("ignore")
    try:
        from kfp import compiler
        from kfp.dsl.graph_component import GraphComponent
    except ImportError:
        sys.exit("compiling needs kfp: run `make setup`, or install the extra kfp")
    spec = importlib.util.spec_from_file_location("trefoil_pipeline", sys.argv[1])
    if spec is None or spec.loader is None:
        sys.exit(f"{sys.argv[1]} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = set(sys.modules)
    spec.loader.exec_module(module)
    if any(_own(sys.modules[name]) for name in sys.modules.keys() - before):
        sys.stdout.write(_SEVERAL)
    names = vars(module).items()
    found = {name: each for name, each in names if isinstance(each, GraphComponent)}
    chosen = found.get(Path(sys.argv[1]).stem)
    if chosen is None and len(found) == 1:
        chosen = next(iter(found.values()))
    if chosen is None:
        has = f"the pipelines {', '.join(found)}" if found else "no @dsl.pipeline"
        sys.exit(f"it has {has}; it needs one, or one that is called like the file")
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "pipeline.yaml")
        compiler.Compiler().compile(chosen, str(out))
        sys.stdout.write(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    _main()
