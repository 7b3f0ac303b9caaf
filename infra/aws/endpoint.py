"""Endpoints on SageMaker: one name, which stands for a configuration that never changes.

A new version gets a model and a configuration of its own; one UpdateEndpoint moves the traffic,
once SageMaker found the new machines healthy, and then the version is tried by a request. Killed
before that call, a deployer leaves the old version serving; after it, the new one; whoever comes
next deletes what no configuration names any more.

A canary is a configuration with both versions, each with its share of the requests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from infra.aws.serving import archive, packages, requests, scaling, trial
from infra.aws.serving.requests import (
    BESIDE,
    CANARY,
    ENDPOINT,
    MAIN,
    PREVIOUS,
    SERVER_IMAGE,
    SERVING,
    VERSION,
    Found,
    Release,
    told_by,
)  # fmt: skip
from infra.aws.serving.state import (
    At,
    Configured,
    State,
    configured,
    delete,
    last_lines,
    look,
    require,
    settled,
    tags_of,
    tidy,
)  # fmt: skip
from infra.aws.session import IN_USE, connected
from infra.cloud import deploying
from infra.errors import InputError, TrefoilError
from infra.served import Endpoint

DEADLINE = 3600.0
"""Seconds that SageMaker has: it gives up by itself before."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,48}[A-Za-z0-9])?")
_THERE = rf"{IN_USE}|ValidationException: .*already existing"
"""SageMaker's words for a name that is taken: by the same, for names say what is in it."""
_LISTS = {"Endpoint": "list_endpoints", "EndpointConfig": "list_endpoint_configs"}
"""A stopped one has a configuration still."""
_BUSY = rf"{_THERE}|ValidationException: .*in-progress"
"""Another deployer was quicker."""


def check(
    *, workspace: Path, name: str, canary: int = 0, environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse, before a run, what deploy would. Raises InputError, SettingsError."""
    del workspace
    if not _NAME.fullmatch(name):
        raise InputError(
            f"SageMaker knows no endpoint {name}: up to 50 of A-Z, a-z, 0-9 and -, no - at the ends"
        )
    requests.check(told_by(environment), canary)


def deploy(
    *,
    workspace: Path,
    name: str,
    version: str,
    model: Path,
    model_name: str = "",
    port: int | None = None,
    canary: int = 0,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """Serve a registered version; traffic moves only once its machines are healthy.

    With ``canary`` (1 to 50 percent) only that share of the requests; the same version without it
    then gets all, and its package is approved. Raises InputError, SettingsError, and ProviderError
    with SageMaker's reason and the server's last lines: then the old version serves.
    """
    if port is not None:
        raise InputError("an endpoint of SageMaker has an address of its own; leave --port out")
    check(workspace=workspace, name=name, canary=canary, environment=environment)
    at, operation = At(name, told_by(environment), deadline), deploying.operation(model)
    release = _prepared(at, Release(model_name or name, version), model, environment)

    def change(now: Configured | None) -> _Wanted:
        current = now.model() if now else ""
        if canary and now and current not in ("", release.model):
            both = [(MAIN, current, 100 - canary), (BESIDE, release.model, canary)]
            return _Wanted(both, now.version, version, _plain(now))
        if now and current == release.model:
            return _Wanted([(MAIN, current, 100)], version, "", now.previous)
        return _Wanted([(MAIN, release.model, 100)], version, "", _plain(now))

    found = _switch(at, change, release.model, operation)
    if not canary:
        packages.approve(at, release.model)
    return found


def rollback(
    *,
    workspace: Path,
    name: str,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """End a canary, or serve the version before the present one again. Raises InputError."""
    del workspace
    at = At(name, told_by(environment), deadline)

    def change(now: Configured | None) -> _Wanted:
        if now is None:
            raise InputError(f"endpoint {name} was never deployed")
        if now.canary:
            plain = configured(at, now.previous)  # what it was before its canary
            previous = plain.previous if plain else ""
            return _Wanted([(MAIN, now.model(), 100)], now.version, "", previous)
        before = configured(at, now.previous)
        if before is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        return _Wanted([(MAIN, before.model(), 100)], before.version, "", now.name)

    return _switch(at, change)


def stop(*, workspace: Path, name: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Delete the endpoint, which ends its cost; what it served is remembered. Raises InputError."""
    del workspace
    at = At(name, told_by(environment), DEADLINE)
    state = settled(at)
    if state.config is None and not state.status:
        raise InputError(f"endpoint {name} was never deployed")
    if state.status:
        delete(at, "endpoint", name)
        settled(at)
    return _told(at, State("", state.config))


def endpoints(*, workspace: Path, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """All endpoints of the account and region that are ours, stopped ones too."""
    del workspace
    serving = told_by(environment)
    aws = connected(serving.region)
    names = set()
    for kind, operation in _LISTS.items():
        for each in aws.pages("sagemaker", operation, f"{kind}s", "list the endpoints"):
            names.add((tags_of(aws, each[f"{kind}Arn"]) or {}).get(ENDPOINT, ""))
    there = [At(name, serving, DEADLINE) for name in sorted(names - {""})]
    return [_told(at, look(at)) for at in there]


class _Wanted(NamedTuple):
    """What shall be served: variants as (name, model, percent), and what came before."""

    variants: list[tuple[str, str, int]]
    version: str
    canary: str
    previous: str


def _plain(now: Configured | None) -> str:
    """What a rollback comes back to: a configuration without a canary."""
    if now is None:
        return ""
    return now.previous if now.canary else now.name


def _prepared(at: At, release: Release, files: Path, environment: Mapping[str, str]) -> Release:
    """The release with its model of SageMaker's, made with its package where it is not there."""
    image = environment.get(SERVER_IMAGE)
    if not image:
        raise InputError(f"{SERVER_IMAGE}, which image serves, is not set; see {SERVING}")
    data = archive.put(at.aws, files, at.serving)
    asked = requests.model(at.name, release, image, data, at.serving)
    name = asked["ModelName"]
    doing = f"make the model {name}"
    if at.aws.find("sagemaker", "describe_model", doing, ModelName=name) is None:
        own = {"endpoint": at.name, "version": release.version}
        if package := packages.register(at, release, image, data, environment):
            own["package"] = package
        tags = at.serving.tagged(**own)
        at.aws.find("sagemaker", "create_model", doing, _THERE, **asked, Tags=tags)
    return release._replace(model=name)


def _switch(
    at: At, change: Callable[[Configured | None], _Wanted], model: str = "", operation: str = ""
) -> Endpoint:
    """The moment at which the traffic moves, and what follows from it.

    Where another deployer is at work, the change is made to what that one left. With an
    ``operation`` the new ``model`` is tried.
    """
    sent = ""
    while True:
        now = settled(at)
        if sent and now.config and now.config.name == sent:  # it was begun, and its answer lost
            break
        before = now
        if before.status == "Failed":  # it never served, and cannot be updated
            delete(at, "endpoint", at.name)
            continue
        asked = _configuration(at, change(before.config))
        if before.status and before.config and before.config.name == asked["EndpointConfigName"]:
            return _kept(at, before)
        sent = asked["EndpointConfigName"]
        if _begun(at, asked, bool(before.status)):
            break
    try:
        after = settled(at)
        require(after, asked["EndpointConfigName"])
        if operation:
            trial.use(at, after.variant(model), operation)
    except TrefoilError as error:
        raise _undone(at, before, asked, error) from None
    return _kept(at, after)


def _configuration(at: At, wanted: _Wanted) -> Found:
    variants = [requests.variant(*each, at.serving) for each in wanted.variants]
    tags = {VERSION: wanted.version, CANARY: wanted.canary, PREVIOUS: wanted.previous}
    said = {key: value for key, value in tags.items() if value}
    return requests.configuration(at.name, variants, said, at.serving)


def _begun(at: At, asked: Found, there: bool) -> bool:
    """Make the configuration and name it; False where another deployer was quicker."""
    name = asked["EndpointConfigName"]
    doing = f"serve {at.name} by {name}"
    at.aws.find("sagemaker", "create_endpoint_config", doing, _THERE, **asked)
    named: Found = {"EndpointName": at.name, "EndpointConfigName": name}
    if there:
        named |= scaling.retained(at.serving)
    else:
        named["Tags"] = at.serving.tagged(endpoint=at.name)
    operation = "update_endpoint" if there else "create_endpoint"
    return at.aws.find("sagemaker", operation, doing, _BUSY, **named) is not None


def _undone(at: At, before: State, asked: Found, error: TrefoilError) -> TrefoilError:
    """Take back what was made, last first; the error says so, with the server's last lines."""
    lines = last_lines(at)
    now = look(at)
    name = asked["EndpointConfigName"]
    if not before.status or before.config is None:
        delete(at, "endpoint", at.name)
        told = ""
    else:
        if now.config and now.config.name == name:
            back = {"EndpointName": at.name, "EndpointConfigName": before.config.name}
            at.aws.ask("sagemaker", "update_endpoint", f"restore {at.name}", **back)
            settled(at)
        told = f"\nversion {before.config.version} still serves"
    delete(at, "endpoint_config", name)
    for each in asked["ProductionVariants"]:
        if before.config is None or each["ModelName"] not in before.config.models():
            delete(at, "model", each["ModelName"])
    return type(error)(f"{error}{lines}{told}")


def _kept(at: At, state: State) -> Endpoint:
    """What follows from a switch: scaling, and no trace of what no rollback can reach."""
    scaling.apply(at)
    if state.config:
        before = configured(at, state.config.previous)
        tidy(at, [each for each in (state.config, before) if each])
    return _told(at, state)


def _told(at: At, state: State) -> Endpoint:
    config = state.config
    previous = configured(at, config.previous) if config else None
    version = config.version if config else ""
    if config and config.canary:
        version, previous = f"{version}, canary {config.canary}", config
    region = at.serving.region
    return Endpoint(
        name=at.name,
        version=version,
        url=f"https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{at.name}/invocations",
        state=state.told(),
        pid=None,
        started=state.changed,
        previous=previous.version if previous else None,
    )
