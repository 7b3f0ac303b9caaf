"""``python -m pipelines plan``: what a run would do, in the order it would do it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from infra.plan import as_text, imports_of
from infra.redaction import redacted
from infra.secrets import secret_parameters
from pipelines import cli
from pipelines.conditions import source, words
from pipelines.flags import PLAIN, add_flags
from pipelines.request import prepare
from pipelines.run import show

_SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``plan``."""
    add_flags(parser)
    parser.add_argument(
        "--rehearse", action="store_const", const=PLAIN,
        help="as it would be rehearsed: without an account",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def plan(arguments: argparse.Namespace) -> int:
    """Print the plan and its cost ceiling; sends nothing. Raises TrefoilError."""
    prepared = prepare(arguments)
    if arguments.json:
        return show(prepared.request)
    request = prepared.request
    print(f"{request.run_id} on {request.provider}: {request.plan.description}")
    parameters = redacted(dict(request.plan.parameters), secret_parameters(request.plan))
    for name, value in parameters.items():
        print(f"  {name} = {as_text(value)}")
    for step in request.plan.steps:
        needs = f" after {_few(step.needs())}" if step.needs() else ""
        imports = [source(found.uri) for found in imports_of(step)]
        needs += f", imports {_few(imports)}" if imports else ""
        when = f", if {words(step.when)}" if step.when else ""
        traits = [
            *(["always"] if step.always else []),
            *([] if step.cache else ["not cached"]),
            *([f"{step.retry.limit} retries"] if step.retry.limit else []),
            *([f"{step.resources.nodes} nodes"] if step.resources.nodes > 1 else []),
            *([f"{step.resources.accelerators} x {step.resources.accelerator}"]
              if step.resources.accelerators else []),
        ]  # fmt: skip
        print(f"  {step.name}{needs}{when}" + (f" ({', '.join(traits)})" if traits else ""))
    most = prepared.provider.price(request.plan, prepared.settings)
    print(f"  costs at most {'what is not known' if math.isnan(most) else f'${most:.2f}'}")
    for note in request.notes:
        cli.say(f"note: {note}")
    return cli.DONE


def _few(names: Sequence[str]) -> str:
    """The first of them, and how many more there are: a loop has many steps."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN + 1 else ""
    return ", ".join(names[:_SHOWN] if more else names) + more
