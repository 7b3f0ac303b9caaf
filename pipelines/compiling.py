"""Compile the one pipeline of a file, and say what it was made of: the only code that imports kfp.

    python -m pipelines.compiling FILE OUT

Writes {"ir": YAML, "files": {path: SHA-256}, "environment": {name: SHA-256 or null}} to OUT. What
the file itself prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pipelines.interrupt import heard

_UNKNOWN = (
    "a value of the pipeline is not known yet where `if`, `and`, `or`, `not` or a < b < c asks "
    "for it, and kfp would go on with the last part alone; let one step write a single boolean "
    "and compare that in dsl.If"
)


class Notes:
    """What was read while the pipeline was made, and would change it."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.environment: dict[str, str | None] = {}
        self._listening = False

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Note files of the person's own that are opened or imported, and variables asked for."""
        ask = os._Environ.__getitem__

        def noted(environment: Any, name: Any) -> Any:
            known = os.fsdecode(name)
            self.environment[known] = None
            value = ask(environment, name)
            self.environment[known] = digest(os.fsencode(value))
            return value

        before = set(sys.modules)
        self._listening = True
        sys.addaudithook(self._heard)
        os._Environ.__getitem__ = noted  # type: ignore[method-assign]
        try:
            yield
        finally:
            os._Environ.__getitem__ = ask  # type: ignore[method-assign]
            self._listening = False
            for name in sys.modules.keys() - before:
                self._file(getattr(sys.modules[name], "__file__", None))

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        if self._listening and event == "open" and isinstance(given[0], str | bytes | os.PathLike):
            self._file(os.fsdecode(given[0]))

    def _file(self, name: str | None) -> None:
        path = Path(name or sys.executable).absolute()
        if not path.is_file() or _installed(path) or "__pycache__" in path.parts:
            return
        self._listening, before = False, self._listening
        with contextlib.suppress(OSError):
            self.files[str(path)] = digest(path.read_bytes())
        self._listening = before


def digest(content: bytes) -> str:
    """What is kept of a file or variable: enough to see a change."""
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Compile. Ends with one sentence on stderr where that cannot be."""
    heard()
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    sys.stdout = sys.stderr
    try:
        from kfp import compiler
    except ImportError:
        sys.exit("compiling needs kfp: run `make setup`, or install the extra kfp")
    _refuse_truth()
    notes = Notes()
    try:
        with notes.taken():
            compiler.Compiler().compile(_chosen(_loaded(source), source.stem), str(out) + ".yaml")
    except (Exception, SystemExit) as error:
        sys.exit(_told(error, source))
    ir = Path(str(out) + ".yaml").read_text(encoding="utf-8")
    made = {"ir": ir, "files": notes.files, "environment": notes.environment}
    out.write_text(json.dumps(made), encoding="utf-8")


def _loaded(source: Path) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location("trefoil_pipeline", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _chosen(module: ModuleType, stem: str) -> Any:
    """The one pipeline, or the one that is called like the file."""
    from kfp.dsl.graph_component import GraphComponent

    names = vars(module).items()
    found = {name: each for name, each in names if isinstance(each, GraphComponent)}
    if stem in found:
        return found[stem]
    if len(found) == 1:
        return next(iter(found.values()))
    has = f"the pipelines {', '.join(found)}" if found else "no @dsl.pipeline"
    raise ValueError(f"it has {has}; it needs one, or one that is called like the file")


def _refuse_truth() -> None:
    """kfp 2.17 compiles ``a and b`` to ``b`` alone, without a word: a gate with a hole."""
    import kfp
    from kfp.dsl import pipeline_channel

    own = str(Path(kfp.__file__).parent)

    def truth(_: object) -> bool:
        if sys._getframe(1).f_code.co_filename.startswith(own):
            return True  # kfp looks for one value among others
        raise TypeError(_UNKNOWN)

    for kind in (pipeline_channel.ConditionOperation, pipeline_channel.PipelineChannel):
        kind.__bool__ = truth


def _told(error: BaseException, source: Path) -> str:
    """One sentence: what is wrong, and in which line of the file."""
    if isinstance(error, SyntaxError) and error.filename == str(source):
        return f"line {error.lineno}: {error.msg}" if error.lineno else str(error.msg)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(source)]
    said = " ".join(str(error).split()) or type(error).__name__
    return f"line {lines[-1]}: {said}" if lines else said


def _installed(path: Path) -> bool:
    """Whether a file is Python's, or of an installed package."""
    import sysconfig

    places = {*sysconfig.get_paths().values(), sys.executable, "/proc", "/sys", "/dev"}
    return any(map(path.is_relative_to, places))


if __name__ == "__main__":
    main()
