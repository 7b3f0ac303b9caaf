"""What a Python source file imports, read from its text: nothing of it is run."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

_BY_NAME = {"import_module", "__import__"}


class Imports(NamedTuple):
    """``modules`` as they are written, so one may begin with dots.

    ``packages``: any module of theirs may be imported by name at run time; "" stands for a name
    that cannot be read from the source.
    """

    modules: list[str]
    packages: list[str]


def read(source: bytes) -> Imports:
    """Read a file. What does not parse imports nothing: the step itself will tell."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return Imports([], [])
    modules, packages = set[str](), set[str]()
    called = set[ast.AST]()
    for node in _running(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            modules.update(f"{base}.{alias.name}" for alias in node.names)
            if any(alias.name in _BY_NAME and alias.asname for alias in node.names):
                packages.add("")
        elif isinstance(node, ast.Call) and _word(node.func) in _BY_NAME:
            called.add(node.func)
            _called(node, modules, packages)
        elif _word(node) in _BY_NAME and node not in called:
            packages.add("")  # passed on, kept under another name, or got by getattr
    return Imports(sorted(modules), sorted(packages))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, from the outside in, but for what only a type checker reads."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.If) and _word(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _word(node: ast.AST) -> object:
    """The name that a node ends in, or the constant that it is."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) else None


def _called(call: ast.Call, modules: set[str], packages: set[str]) -> None:
    """Note what an import by name can reach: a module, a package's modules, or anything."""
    known, whole = _beginning(call.args[0]) if call.args else ("", False)
    if len(call.args) != 1 or call.keywords or known.startswith("."):
        packages.add("")  # relative to what is known at run time
    elif whole:
        modules.add(known)
    else:
        packages.add(known.rpartition(".")[0])


def _beginning(name: ast.expr) -> tuple[str, bool]:
    """What is known of a text, from its beginning on, and whether that is all of it."""
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return name.value, True
    if isinstance(name, ast.JoinedStr) and name.values:
        return _beginning(name.values[0])[0], False
    if isinstance(name, ast.BinOp) and isinstance(name.op, ast.Add):
        return _beginning(name.left)[0], False
    return "", False
