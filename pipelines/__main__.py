"""``python -m pipelines VERB``: one table of verbs; a verb's module is loaded when it is used."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from infra.errors import InputError, nearest
from pipelines import cli

VERBS: dict[str, tuple[str, str, str]] = {
    "run": ("run:run", "run:configure", "run a pipeline"),
    "retrain": ("retrain:retrain", "retrain:configure", "retrain where an event asks for it"),
    "plan": ("plan:plan", "plan:configure", "say what a run would do"),
    "status": ("runs:status", "flags:add_run", "say where a run stands"),
    "logs": ("runs:logs", "runs:configure_logs", "print what the steps printed"),
    "outputs": ("outputs:outputs", "outputs:configure", "say what a run left, or copy it"),
    "list": ("runs:list_runs", "flags:add_place", "list the runs"),
    "cancel": ("runs:cancel", "flags:add_run", "end a run"),
    "reap": ("reap:reap", "reap:configure", "end and remove what a run left in a cloud"),
    "why": ("runs:why", "runs:configure_why", "say why a step ran anew"),
    "report": ("report:report", "report:configure", "write a run as one HTML file"),
    "data": ("data:data", "data:configure", "pin, verify or pull a dataset (DVC)"),
    "promote": ("registry:promote", "registry:configure_promote", "make a version champion"),
    "deploy": ("deploy:deploy", "deploy:configure", "serve a registered version"),
    "rollback": ("rollback:rollback", "rollback:configure", "go back to the last champion"),
    "endpoints": ("endpoints:endpoints", "endpoints:configure", "list what is being served"),
    "stop": ("endpoints:stop", "endpoints:configure_stop", "stop serving"),
    "image": ("image:image", "image:configure", "build, push or name the container images"),
    "cluster": ("cluster:cluster", "cluster:configure", "make and unmake a kind cluster"),
    "doctor": ("doctor:doctor", "doctor:configure", "check this machine and workspace"),
}
"""Verb -> module:function in this room, what adds its flags, and what it does."""


def main(argv: list[str] | None = None) -> int:
    """Run a verb; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    return cli.guarded(lambda: _verb(words), "--json" in words)


def _verb(argv: list[str]) -> int:
    parser = cli.Parser(
        prog="python -m pipelines", description="One generative-model pipeline, anywhere."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), "")
    if chosen and chosen not in VERBS:
        raise InputError(f"there is no verb {chosen}; {nearest(chosen, VERBS, 'there is ')}")
    for name, (_, configure, words) in VERBS.items():
        sub = verbs.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        if name == chosen:
            _load(configure)(sub)
    arguments = parser.parse_args(argv)
    code: int = _load(VERBS[arguments.verb][0])(arguments)
    return code


def _load(place: str) -> Any:
    module, function = place.split(":")
    return getattr(importlib.import_module(f"pipelines.{module}"), function)


if __name__ == "__main__":
    cli.leave(main())
