"""``python -m pipelines outputs``: what a run left, and a copy of it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path

from infra.errors import InputError, nearest, told
from infra.plan import Json, as_text
from pipelines import cli
from pipelines.flags import add_run
from pipelines.where import where

_Left = Mapping[str, Mapping[str, Json]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``outputs``."""
    add_run(parser)
    parser.add_argument("--step", metavar="NAME", help="only this step")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="copy the artefacts there, as STEP/OUTPUT"
    )


def outputs(arguments: argparse.Namespace) -> int:
    """Print what the steps of a run left: values, and where the artefacts lie."""
    with where(arguments).reached() as here:
        found = _of(here.provider.outputs(here.run(arguments.run), here.own), arguments.step)
        if arguments.out:
            found = _copied(found, arguments.out)
    if arguments.json:
        cli.answer({step: dict(left) for step, left in found.items()})
        return cli.DONE
    for step, left in found.items():
        for name, value in left.items():
            print(f"{step:<12} {name:<12} {as_text(value)}")
    if not found:
        print("no step of this run has ended well so far")
    return cli.DONE


def _of(found: _Left, step: str | None) -> _Left:
    if step is None:
        return found
    if step not in found:
        hint = nearest(step, found, "there are ")
        raise InputError(f"no step {step} of this run left anything; {hint}")
    return {step: found[step]}


def _copied(found: _Left, out: Path) -> _Left:
    """The same, the artefacts that lie on this machine copied. Raises InputError."""
    copies: dict[str, dict[str, Json]] = {}
    for step, left in found.items():
        copies[step] = dict(left)
        for name, value in left.items():
            if isinstance(value, str) and Path(value).is_absolute() and Path(value).exists():
                copies[step][name] = str(_copy(Path(value), out / step / name))
    return copies


def _copy(source: Path, target: Path) -> Path:
    if target.exists():
        raise InputError(f"{target} is there already; name an empty folder by --out")
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, partial, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, partial)
        partial.rename(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {told(error)}") from error
    return target
