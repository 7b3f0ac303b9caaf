"""From the person's flags to a Request: what ``run`` sends and ``plan`` and ``--dry-run`` print."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra import ir
from infra.errors import InputError, nearest
from infra.plan import Json, Plan, Request, Resources, Step
from infra.provider import Provider
from pipelines import compile, settings
from pipelines.checks import check
from pipelines.flags import CHEAPEST, PLAIN, pair
from pipelines.ledger import Ledger, run_id
from pipelines.where import where

ACCELERATED = "train"
"""The step that --gpu and --spot are for, where no step of the pipeline asks for a GPU itself."""


class Prepared(NamedTuple):
    """A request, ready to be printed or sent. ``event`` and ``cause`` are as in the ledger."""

    provider: Provider
    common: settings.Settings
    settings: Any
    request: Request
    digest: str
    attempt: int
    event: str = ""
    cause: str = ""
    scenario: str = ""

    @property
    def workspace(self) -> Path:
        """The workspace, absolute."""
        return Path(self.common.workspace).resolve()


def prepare(arguments: argparse.Namespace, event: Callable[[Plan], str] | None = None) -> Prepared:
    """Read, bind, check and lower; sends nothing. Raises InputError and UnsupportedError.

    ``event`` says, where one asks for the run, what its key is for the plan.
    """
    if arguments.provider == CHEAPEST:
        from pipelines.cheapest import able

        return able(arguments, event)[0]
    rehearsed = getattr(arguments, "rehearse", None)  # its stand-in has the runner
    here = where(arguments, {} if rehearsed else {"runner": arguments.runner})
    place, own = here.provider, here.own
    document = compile.load(arguments.pipeline, here.home)
    plan = ir.read(document, _parameters(arguments, document))
    plan = _equipped(plan, arguments.gpu, arguments.spot)
    if arguments.nodes is not None:
        plan = _spread(plan, arguments.nodes)
    if arguments.step:
        plan = _narrowed(plan, arguments.step)
    if arguments.no_cache:
        steps = tuple(step._replace(cache=False) for step in plan.steps)
        plan = plan._replace(steps=steps)
    place.check(plan)
    _afford(place, plan, own, arguments.max_cost)
    digest = plan.digest()
    scenario = "" if rehearsed in (None, PLAIN) else rehearsed
    ledger, key = Ledger(here.workspace), event(plan) if event else ""
    attempt = 0 if key else ledger.attempt(plan.name, digest, place.name, scenario)
    request = place.lower(plan, own, run_id(plan.name, digest, key or attempt))
    return Prepared(place, here.common, own, request, digest, attempt, event=key, scenario=scenario)


def _parameters(arguments: argparse.Namespace, document: dict[str, Any]) -> dict[str, Json]:
    given: dict[str, Json] = dict(pair("--param", text) for text in arguments.param)
    declared = ir.declared(document)
    for name in ("recipe", "data"):
        if (value := getattr(arguments, name)) is not None:
            if name not in declared:
                raise InputError(f"this pipeline has no parameter {name}; leave --{name} out")
            given[name] = value
    if "recipe" in declared and "config" in declared:
        _configure(given, declared)
        check(given)
    chosen = {"data", "recipe", "model_name"} & given.keys()
    word = str(given.get("data", declared.get("data", {}).get("defaultValue", "")))
    if "data" in declared and "data_md5" in declared and "data_md5" not in given:
        from pipelines.data.resolve import resolve

        found = resolve(word)
        given["data"], given["data_md5"] = found.data, found.md5
        if "data_pin" in declared:
            given.setdefault("data_pin", found.pin)
    if chosen and {"data", "recipe", "config"} <= declared.keys():
        _name(given, declared, word)
    return given


def _name(given: dict[str, Json], declared: Mapping[str, Any], word: str) -> None:
    """Call model and endpoint by data and recipe, where the person chose those and no name.

    Another data set must not become the next version of the digits' model. ``word`` is the data as
    the person has it. Raises InputError where the recipe is not for such data.
    """
    from pipelines import naming

    recipe = str(given.get("recipe", declared["recipe"].get("defaultValue")))
    naming.suit(recipe, str(given.get("data", word)))
    if "model_name" in declared:
        given.setdefault("model_name", naming.model_name(word, recipe))
    if "endpoint" in declared and "model_name" in given:
        given.setdefault("endpoint", naming.slug(str(given["model_name"])))


def _configure(given: dict[str, Json], declared: Mapping[str, Any]) -> None:
    """Move what only the recipe knows into ``config``, checked before anything runs."""
    own = {name: given.pop(name) for name in list(given) if name not in declared}
    recipe = given.get("recipe", declared["recipe"].get("defaultValue"))
    if not own and "recipe" not in given and "config" not in given:
        return
    from training import recipes
    from training.errors import InputError as BadConfig

    try:
        config = json.loads(str(given.get("config", "{}")))
        if not isinstance(config, dict):
            raise ValueError("it must have names and values")
        recipes.configure(str(recipe), {**config, **own})
    except BadConfig as error:
        raise InputError(str(error)) from None
    except ValueError as error:
        raise InputError(f"config is not a JSON object: {error}") from None
    if own:
        given["config"] = json.dumps({**config, **own}, sort_keys=True)


def _equipped(plan: Plan, gpu: str | None, spot: bool) -> Plan:
    if gpu is None and not spot:
        return plan
    chosen = [step.name for step in plan.steps if step.resources.accelerators]
    chosen = chosen or [step.name for step in plan.steps if step.name == ACCELERATED]
    if not chosen:
        raise InputError(
            f"--gpu and --spot are for the step {ACCELERATED} or one that asks for accelerators, "
            "and this pipeline has neither"
        )
    change: dict[str, Any] = {"spot": True} if spot else {}
    if gpu is not None:
        change["accelerator"], change["accelerators"] = _accelerator(gpu)
    return _with_steps(plan, dict.fromkeys(chosen, change))


def _accelerator(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Za-z][\w-]*)(?::(\d+))?", text)
    if not match or match.group(2) == "0":
        raise InputError(f"--gpu {text} is not KIND:COUNT, such as A100:8")
    return match.group(1), int(match.group(2) or 1)


def _spread(plan: Plan, text: str) -> Plan:
    """--nodes: the training step on several machines, or the step that is named."""
    step, _, count = text.rpartition("=")
    names = [each.name for each in plan.steps]
    if (step or ACCELERATED) not in names:
        hint = nearest(step, names, "it has ") if step else "name one: --nodes STEP=N"
        raise InputError(f"the pipeline has no step {step or ACCELERATED}; {hint}")
    if not re.fullmatch(r"[1-9]\d{0,3}", count):
        raise InputError(f"--nodes {text} is not N or STEP=N, such as 2 or train=2")
    return _with_steps(plan, {step or ACCELERATED: {"nodes": int(count)}})


def _with_steps(plan: Plan, changes: dict[str, dict[str, Any]]) -> Plan:
    def changed(step: Step) -> Step:
        resources: Resources = step.resources._replace(**changes.get(step.name, {}))
        return step._replace(resources=resources)

    return plan._replace(steps=tuple(changed(step) for step in plan.steps))


def _narrowed(plan: Plan, name: str) -> Plan:
    names = [step.name for step in plan.steps]
    if name not in names:
        raise InputError(f"the pipeline has no step {name}; {nearest(name, names, 'it has ')}")
    wanted, waiting = set[str](), [name]
    while waiting:
        step = plan.step(waiting.pop())
        wanted.add(step.name)
        waiting += [each for each in step.needs() if each not in wanted]
    return plan._replace(steps=tuple(s for s in plan.steps if s.name in wanted))


def _afford(place: Provider, plan: Plan, own: Any, limit: float | None) -> None:
    if limit is None:
        return
    ceiling = place.price(plan, own)
    if math.isnan(ceiling):
        raise InputError(
            "nobody knows what this plan may cost, as the price of a machine is not known; leave "
            "--max-cost out, or say the price by the setting prices"
        )
    if not ceiling <= limit:  # a limit that is no number refuses too
        raise InputError(f"this plan may cost up to ${ceiling:.2f}, and --max-cost is ${limit:.2f}")
