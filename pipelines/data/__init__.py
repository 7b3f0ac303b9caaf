"""``python -m pipelines data``: what a run reads, pinned by content; DVC keeps the copies.

DVC itself runs only to add and to pull.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.errors import InputError, TrefoilError
from infra.plan import Json
from pipelines import cli
from pipelines.data.md5 import md5_of
from pipelines.data.pins import DATA, Verified, pin_of, verified
from pipelines.data.resolve import digits, path_of
from training.sources import catalogue


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``data``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, action, words in (
        ("add", add, "pin a file or folder by its content"),
        ("verify", verify, "hold data against its pins"),
        ("pull", pull, "fetch pinned data that is not here"),
    ):
        sub = actions.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        sub.set_defaults(act=action)
        if action is add:
            sub.add_argument("path", metavar="PATH", help="from outside the checkout: is copied")
        else:
            sub.add_argument("name", nargs="?", default="", metavar="NAME", help="default: all")
        if action is pull:
            sub.add_argument("--remote", default="", help="default: the one .dvc/config names")
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")


def data(arguments: argparse.Namespace) -> int:
    """Do what was asked. Raises TrefoilError."""
    code: int = arguments.act(arguments)
    return code


def add(arguments: argparse.Namespace) -> int:
    """Pin data: within the checkout where it lies, from elsewhere as a copy in data/."""
    from pipelines.data import dvc

    source, target = _place(arguments.path)
    md5 = md5_of(source)
    name = str(target.relative_to(Path.cwd()))
    if source == target:
        dvc.run("add", name)
    else:
        _require_free(target, md5)
        dvc.run("add", "--force", "--out", name, str(source))
    pin = pin_of(name)
    if pin is None or pin.md5 != md5:
        raise TrefoilError(
            f"DVC pins {pin.md5 if pin else 'nothing'} for {name}, whose md5 is {md5}: "
            "a .dvcignore leaves files out, or they changed just now"
        )
    if arguments.json:
        cli.answer({"name": pin.name, "path": name, "md5": md5, "pin": str(pin.file)})
        return cli.DONE
    print(f"{name} is pinned by {md5}")
    print(f"  keep the pin:    git add {pin.file} {pin.file.parent / '.gitignore'}")
    print("  share the data:  python -m dvc push")
    return cli.DONE


def verify(arguments: argparse.Namespace) -> int:
    """Hold data against its pins; 0 if all of it is what it should be, else 2."""
    found = verified(arguments.name)
    if arguments.json:
        cli.answer([_document(each) for each in found])
    elif not found:
        print("nothing is pinned in data/; python -m pipelines data add PATH pins data")
    else:
        for each in found:
            print(f"{each.pin.name:<16} {each.state:<8} {each.words()}")
    return cli.DONE if all(each.state == "ok" for each in found) else cli.WRONG


def pull(arguments: argparse.Namespace) -> int:
    """Fetch pinned data that is not here; what is here and differs is not touched."""
    from pipelines.data import dvc

    found = verified(arguments.name)
    for each in found:
        if each.state == "changed":
            raise InputError(f"{each.words()}, or remove it and pull again")
    wanted = [
        each.pin for each in found
        if each.state == "missing" and each.pin.name != catalogue.DIGITS
    ]  # fmt: skip
    if wanted:
        dvc.pull(wanted, arguments.remote)
    found = verified(arguments.name)
    for each in found:
        if each.state != "ok":
            raise TrefoilError(each.words())
    if arguments.json:
        cli.answer([{**_document(each), "pulled": each.pin in wanted} for each in found])
    else:
        for each in found:
            print(f"{each.pin.name:<16} {'pulled' if each.pin in wanted else 'is here'}")
    return cli.DONE


def _document(found: Verified) -> dict[str, Json]:
    pin = found.pin
    return {
        "name": pin.name, "path": str(found.path), "state": found.state, "md5": found.md5,
        "pinned": pin.md5, "pin": str(pin.file),
    }  # fmt: skip


def _place(data: str) -> tuple[Path, Path]:
    """What is to be pinned, and where DVC is to find it. Raises InputError."""
    here = Path.cwd().resolve()
    if data == catalogue.DIGITS:
        file = digits()
        return file, here / DATA / file.name
    if entry := catalogue.find(data):
        raise InputError(f"{entry.name} is held against its published checksums; it needs no pin")
    path = path_of(data, None).resolve()
    if path in (here, *here.parents):
        raise InputError(f"{data} holds this checkout; pin a file or folder within it")
    return path, path if path.is_relative_to(here) else here / DATA / path.name


def _require_free(target: Path, md5: str) -> None:
    """Refuse to write over data that no pin could bring back."""
    if target.exists() and (found := md5_of(target)) != md5:
        pin = pin_of(str(target.relative_to(Path.cwd())))
        if pin is None or pin.md5 != found:
            raise InputError(f"{target} holds other data, not pinned; pin it first or move it away")
