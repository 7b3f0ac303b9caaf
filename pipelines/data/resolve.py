"""What a run reads, and the MD5 that becomes a parameter of its pipeline.

Steps are cached by content, and data is held against its pin before anything runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, nearest
from pipelines.data.md5 import md5_of
from pipelines.data.pins import Pin, pin_of
from training.errors import InputError as BadData
from training.sources import catalogue


class Resolved(NamedTuple):
    """The data's name or absolute path, its MD5 ("" where only a download tells), its pin's file.

    ``pin`` is empty where nobody pinned the data.
    """

    data: str
    md5: str
    pin: str


def resolve(data: str) -> Resolved:
    """Say what a run reads. A name goes before a path; ./NAME is a path.

    Raises InputError where the data is not here, or is not what its pin says.
    """
    pin = pin_of(data)
    place, md5 = _found(data, pin)
    return Resolved(place, _held(data, md5, pin) if md5 else "", str(pin.file) if pin else "")


def _found(data: str, pin: Pin | None) -> tuple[str, str]:
    if data == catalogue.DIGITS:
        if pin and catalogue.digits() is None:
            return data, pin.md5  # a machine that only starts runs need not have scikit-learn
        return data, md5_of(digits())
    if entry := catalogue.find(data):
        return data, entry.md5
    path = path_of(data, pin)
    return str(path), md5_of(path)


def path_of(data: str, pin: Pin | None) -> Path:
    """The absolute path of data that is here, or where its pin says. Raises InputError."""
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


def digits() -> Path:
    """The digits' file, which comes with scikit-learn. Raises InputError where that is not."""
    try:
        return catalogue.require_digits()
    except BadData as error:
        raise InputError(str(error)) from None


def _held(data: str, md5: str, pin: Pin | None) -> str:
    if pin and pin.md5 != md5:
        here: object = data if data == catalogue.DIGITS else pin.path
        other = f"remove it and `python -m pipelines data pull {here}`"
        if data == catalogue.DIGITS:
            other = "install the pinned scikit-learn: `make setup`"
        raise InputError(
            f"{data} has md5 {md5}, but {pin.file} pins {pin.md5}: pin what is here with "
            f"`python -m pipelines data add {here}`, or {other}"
        )
    return md5
