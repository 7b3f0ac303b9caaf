"""``python -m pipelines data``: what a run reads, pinned by content; DVC keeps the copies.

A pin is a .dvc file: PATH.dvc beside the data; for a name, data/NAME.dvc or data/NAME.*.dvc.
Before a run ``resolve`` holds the data against its pin and gives the MD5 that becomes a parameter
of the pipeline, so that steps are cached by content. DVC itself runs only to add and to pull.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, TrefoilError, nearest
from infra.plan import Json
from pipelines import cli
from pipelines.md5 import md5_of
from training.errors import InputError as BadData
from training.sources import catalogue

DATA = Path("data")

_AS_DVC_WRITES = re.compile(
    r"outs:\n- md5: (?P<md5>[0-9a-f]{32}(?:\.dir)?)\n"
    r"(?:  (?:size|nfiles): \d+\n|  hash: md5\n)*  path: (?P<path>[\w.-]+)\n"
)
_NAME = re.compile(r"\w[\w.-]*")


class Pin(NamedTuple):
    """What a .dvc file says: ``path`` has ``md5``."""

    md5: str
    file: Path
    path: Path

    @property
    def name(self) -> str:
        """What a person calls it: ``digits`` for data/digits.csv.gz.dvc."""
        return self.path.name.split(".")[0] or self.path.name


class Verified(NamedTuple):
    """A pin held against what lies at ``path``: ok, changed or missing."""

    pin: Pin
    path: Path
    state: str
    md5: str


def resolve(data: str) -> tuple[str, str]:
    """Return the data's name or absolute path, and its MD5 ("" where only a download tells).

    A name goes before a path; ./NAME is a path. Raises InputError where the data is not here, or
    is not what its pin says.
    """
    pin = pin_of(data)
    if data == catalogue.DIGITS:
        if pin and catalogue.digits() is None:
            return data, pin.md5  # a machine that only starts runs need not have scikit-learn
        return data, _held(data, md5_of(_digits()), pin)
    if entry := catalogue.find(data):
        return data, _held(data, entry.md5, pin) if entry.md5 else ""
    path = _path(data, pin)
    return str(path), _held(data, md5_of(path), pin)


def pin_of(data: str) -> Pin | None:
    """The pin of a path or name; None where there is none. Raises InputError at a broken one."""
    beside = Path(f"{data.rstrip('/')}.dvc")
    if beside.is_file():
        return _read(beside)
    if not _NAME.fullmatch(data) or not DATA.is_dir():
        return None
    named = re.compile(rf"{re.escape(data)}(\..+)?\.dvc")
    found = sorted(file for file in DATA.iterdir() if named.fullmatch(file.name))
    exact = [file for file in found if file.name == f"{data}.dvc"] or found
    if len(exact) > 1:
        files = ", ".join(str(file) for file in exact)
        raise InputError(f"{data} may mean {files}; give the path of the data")
    return _read(exact[0]) if exact else None


def verified(name: str = "") -> list[Verified]:
    """Hold every pin in data/, or one by name or path, against what is here. Raises InputError."""
    if not name:
        files = sorted(DATA.glob("*.dvc")) if DATA.is_dir() else []
        return [_verified(_read(file)) for file in files]
    pin = pin_of(name.removesuffix(".dvc"))
    if pin is None:
        known = sorted(file.name.split(".")[0] for file in DATA.glob("*.dvc"))
        hint = nearest(name, known, "there is ") if known else "nothing is pinned"
        raise InputError(f"there is no pin of {name}; {hint}")
    return [_verified(pin)]


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
    from pipelines import dvc

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
            print(f"{each.pin.name:<16} {each.state:<8} {_words(each)}")
    return cli.DONE if all(each.state == "ok" for each in found) else cli.WRONG


def pull(arguments: argparse.Namespace) -> int:
    """Fetch pinned data that is not here; what is here and differs is not touched."""
    from pipelines import dvc

    found = verified(arguments.name)
    for each in found:
        if each.state == "changed":
            raise InputError(f"{_words(each)}, or remove it and pull again")
    wanted = [
        each.pin for each in found
        if each.state == "missing" and each.pin.name != catalogue.DIGITS
    ]  # fmt: skip
    if wanted:
        dvc.require_remote(arguments.remote)
        cli.say(f"pulling {', '.join(str(pin.path) for pin in wanted)}")
        remote = ["--remote", arguments.remote] if arguments.remote else []
        dvc.run("pull", *remote, *(str(pin.file) for pin in wanted))
    found = verified(arguments.name)
    for each in found:
        if each.state != "ok":
            raise TrefoilError(_words(each))
    if arguments.json:
        cli.answer([{**_document(each), "pulled": each.pin in wanted} for each in found])
    else:
        for each in found:
            print(f"{each.pin.name:<16} {'pulled' if each.pin in wanted else 'is here'}")
    return cli.DONE


def _held(data: str, md5: str, pin: Pin | None) -> str:
    if pin and pin.md5 != md5:
        other = f"remove it and `python -m pipelines data pull {data}`"
        if data == catalogue.DIGITS:
            other = "install the pinned scikit-learn: `make setup`"
        raise InputError(
            f"{data} has md5 {md5}, but {pin.file} pins {pin.md5}: pin what is here with "
            f"`python -m pipelines data add {data}`, or {other}"
        )
    return md5


def _path(data: str, pin: Pin | None) -> Path:
    if "://" in data:
        raise InputError(f"{data} is an address, and data is a name or a path; fetch it first")
    if data.endswith(".dvc") and Path(data).is_file():
        raise InputError(f"{data} is a pin; give what it pins, {data.removesuffix('.dvc')}")
    for place in (Path(data) if data else None, pin.path if pin else None):
        if place and place.exists():
            return Path(os.path.abspath(place))  # noqa: PTH100  resolve() would follow links
    if pin:
        raise InputError(
            f"{data} is not here; fetch what {pin.file} pins: python -m pipelines data pull {data}"
        )
    hint = nearest(data, catalogue.names(), "data sets are ")
    raise InputError(
        f"{data or 'the empty word'} is neither a file or folder nor the name of a data set; {hint}"
    )


def _digits() -> Path:
    try:
        return catalogue.require_digits()
    except BadData as error:
        raise InputError(str(error)) from None


def _read(file: Path) -> Pin:
    text = file.read_text(encoding="utf-8")
    if match := _AS_DVC_WRITES.fullmatch(text):  # spares the import of yaml
        return Pin(match["md5"], file, file.parent / match["path"])
    import yaml

    try:
        # strings and no other objects, as a file may be called yes
        content = yaml.load(text, yaml.CBaseLoader)  # noqa: S506
        (out,) = content["outs"]
        return Pin(out["md5"], file, file.parent / content.get("wdir", "") / out["path"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{file} does not pin one path by its md5; restore it from git, or pin the data anew "
            "with python -m pipelines data add"
        ) from None


def _verified(pin: Pin) -> Verified:
    path = pin.path
    if pin.name == catalogue.DIGITS:
        path = catalogue.digits() or path  # what a run reads: they come with scikit-learn
    if not path.exists():
        return Verified(pin, path, "missing", "")
    md5 = md5_of(path)
    return Verified(pin, path, "ok" if md5 == pin.md5 else "changed", md5)


def _words(found: Verified) -> str:
    pin = found.pin
    if found.state == "missing":
        pull = f"python -m pipelines data pull {pin.path}"
        how = "make setup" if pin.name == catalogue.DIGITS else pull
        return f"{found.path} is not here: {how}"
    if found.state == "changed":
        what = catalogue.DIGITS if pin.name == catalogue.DIGITS else pin.path
        return (
            f"{found.path} has md5 {found.md5}, but {pin.file} pins {pin.md5}: pin it anew with "
            f"python -m pipelines data add {what}"
        )
    return found.md5


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
        file = _digits()
        return file, here / DATA / file.name
    if entry := catalogue.find(data):
        raise InputError(f"{entry.name} is held against its published checksums; it needs no pin")
    path = _path(data, None).resolve()
    if path in (here, *here.parents):
        raise InputError(f"{data} holds this checkout; pin a file or folder within it")
    return path, path if path.is_relative_to(here) else here / DATA / path.name


def _require_free(target: Path, md5: str) -> None:
    """Refuse to write over data that no pin could bring back."""
    if target.exists() and (found := md5_of(target)) != md5:
        pin = pin_of(str(target.relative_to(Path.cwd())))
        if pin is None or pin.md5 != found:
            raise InputError(f"{target} holds other data, not pinned; pin it first or move it away")
