"""Flags that verbs share; argparse alone, so that --help costs nothing else."""

from __future__ import annotations

import argparse
import re

from infra.errors import InputError

PLAIN = "plain"
"""The scenario of a rehearsal in which nothing is to go wrong, which --rehearse alone means."""
CHEAPEST = "cheapest"
"""The provider that is whichever cloud asks least."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``run`` and ``plan``."""
    add = parser.add_argument
    add("--provider", default="local", metavar="NAME", help="where to run (default: local)")
    add("--recipe", metavar="NAME", help="which model to train (default: vae)")
    add(
        "--pipeline", default="", metavar="FILE", help="another pipeline: KFP IR, or its DSL in .py"
    )
    add(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline, or a setting of the recipe",
    )
    add("--data", metavar="DATA", help="a dataset's name, or a file or folder of yours")
    add("--runner", choices=("process", "docker"), help="what executes a step on this machine")
    add_settings(parser)
    add("--gpu", metavar="KIND:COUNT", help="accelerators for the training step, such as A100:8")
    add("--nodes", metavar="[STEP=]N", help="so many machines for the training step, or another")
    add("--spot", action="store_true", help="train on interruptible machines")
    add("--step", metavar="NAME", help="only this step and those it needs")
    add("--max-cost", type=_dollars, metavar="DOLLARS", help="refuse a plan that may cost more")
    add("--no-cache", action="store_true", help="run every step anew")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that has settings."""
    add = parser.add_argument
    add("--settings", metavar="FILE", help="settings in TOML or JSON")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, over file and environment",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that asks a provider about its runs."""
    parser.add_argument(
        "--provider", default="local", metavar="NAME", help="where (default: local)"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="look at what was rehearsed, not at what is real"
    )
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def add_run(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that is about one run."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="id of the run (default: the newest)")
    add_place(parser)


def pair(flag: str, text: str) -> tuple[str, str]:
    """Read NAME=VALUE. Raises InputError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{flag} {text} is not NAME=VALUE")
    return name, value


def _dollars(text: str) -> float:
    """Read an amount of money, not its negative, nor what is no number."""
    amount = float(text) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) else -1.0
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text} is no amount of dollars, such as 12.50")
    return amount
