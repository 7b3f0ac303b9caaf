"""Which models an event is about: the flags of a run for each, or why there is none."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra import ir
from infra.errors import InputError
from infra.plan import as_text
from pipelines import cheapest, compile
from pipelines.data.pins import Pin, pin_of, verified
from pipelines.flags import CHEAPEST
from pipelines.retrain import pushes
from pipelines.retrain.pushes import Change
from pipelines.retrain.trigger import Trigger
from pipelines.where import where
from training.sources import catalogue

_OWN = {"seed"}
"""Parameters of the pipeline that an event may set; others say what is read and where models go."""


class Wanted(NamedTuple):
    """A run that an event asks for by its ``reason``, or, where ``needless``, does not.

    ``content`` is of the event what concerns this model alone.
    """

    arguments: argparse.Namespace
    reason: str
    content: tuple[str, ...] = ()
    needless: bool = False


def wanted(trigger: Trigger, arguments: argparse.Namespace) -> Iterator[Wanted]:
    """One for each model. Raises InputError where data are not here, nor can be pulled."""
    if trigger.kind != "push":
        yield Wanted(_merged(trigger, arguments), trigger.words)
        return
    why = pushes.ignored(trigger, arguments.branch)
    found = [] if why else [each for each in pushes.changes(trigger) if _concerns(each, arguments)]
    if not found:
        which = f" of {arguments.data}" if arguments.data else ""
        yield Wanted(arguments, why or f"it changed no pin{which}", needless=True)
    for change in found:
        if not change.matters or change.pin is None:
            yield Wanted(arguments, change.words(), (change.name,), needless=True)
            continue
        given = _with(arguments, data=_word(change.pin))
        _fetch(change.pin, given)
        yield Wanted(given, change.words(), (change.name, change.pin.md5))


def _require_own(trigger: Trigger, arguments: argparse.Namespace) -> None:
    """See that an event sets nothing that says what is read and where models go.

    Raises InputError before any of it is looked at.
    """
    if not trigger.params:
        return
    declared = ir.declared(compile.load(arguments.pipeline, _home(arguments)))
    for name in sorted(trigger.params.keys() & declared.keys() - _OWN):
        raise InputError(
            f"an event may not set {name}: only the recipe's own settings, and the seed"
        )


def _merged(trigger: Trigger, arguments: argparse.Namespace) -> argparse.Namespace:
    """The flags, with what the event asks for. Raises InputError where both say something."""
    _require_own(trigger, arguments)
    given = _with(arguments)
    for name in ("data", "recipe"):
        if value := getattr(trigger, name):
            if getattr(given, name) is not None:
                raise InputError(f"the event and --{name} both name the {name}; leave one out")
            setattr(given, name, value)
    twice = {text.partition("=")[0] for text in arguments.param} & trigger.params.keys()
    if twice:
        raise InputError(f"the event and --param both set {', '.join(sorted(twice))}")
    words = [f"{name}={as_text(value)}" for name, value in trigger.params.items()]
    given.param = [*arguments.param, *words]
    pin = pin_of(given.data or catalogue.DIGITS)
    if trigger.data and pin is None and trigger.data not in catalogue.names():
        raise InputError(f"the event names the data {trigger.data}, which are not pinned here")
    if given.data and pin:
        _fetch(pin, given)
        given.data = _word(pin) if trigger.data else given.data
    return given


def _home(arguments: argparse.Namespace) -> Path:
    """The person's workspace; where the provider is the cheapest, nothing was sent to one yet."""
    return cheapest.home(arguments) if arguments.provider == CHEAPEST else where(arguments).home


def _with(arguments: argparse.Namespace, **changed: object) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), **changed})


def _concerns(change: Change, arguments: argparse.Namespace) -> bool:
    """Whether a pin is that of --data; without that, any is."""
    if arguments.data is None:
        return True
    pin = pin_of(arguments.data)
    return change.file == pin.file if pin else str(change.file) == f"{arguments.data}.dvc"


def _word(pin: Pin) -> str:
    """What a run calls the data of a pin."""
    return catalogue.DIGITS if pin.name == catalogue.DIGITS else str(pin.path)


def _fetch(pin: Pin, arguments: argparse.Namespace) -> None:
    """See that the data lie here as they are pinned, pulled by DVC where they do not.

    A dry run pulls nothing. Raises InputError.
    """
    (found,) = verified(str(pin.file))
    if found.state == "missing" and pin.name != catalogue.DIGITS and not arguments.dry_run:
        from pipelines.data import dvc

        dvc.pull([pin], arguments.remote)
        (found,) = verified(str(pin.file))
    if found.state != "ok":
        raise InputError(found.words())
