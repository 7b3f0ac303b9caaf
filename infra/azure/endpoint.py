"""Endpoints on Azure ML: one name, and behind it a deployment for each version.

A new version gets a deployment of its own, which is tried by a request while the old one serves;
one PUT of the endpoint moves the traffic and what is remembered of it, and then it is tried again.
Killed before that call, a deployer leaves the old version serving; after it, the new one; the same
command takes up what there is. The version before stays deployed, so that a rollback is one
request; what came before that is deleted.

A canary gets its share of the requests, or copies of it.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.azure.serving import assets, left, requests, trial
from infra.azure.serving.requests import SERVER_IMAGE, SERVING, Found, Release, Shares, told_by
from infra.azure.serving.state import At, State, delete, last_lines, look, settled, tidy, why
from infra.cloud import deploying
from infra.errors import InputError, ProviderError, TrefoilError
from infra.served import Endpoint

DEADLINE = 3600.0
"""Seconds that Azure has for one change."""
_TRIES, _PAUSE = 6, 2.0
"""How often a change of the endpoint is sent where Azure fails, and the seconds between."""
_NAME = re.compile(r"[A-Za-z](?=.{2,31}$)[A-Za-z0-9-]*[A-Za-z0-9]")


def check(
    *, workspace: Path, name: str, canary: int = 0, environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse, before a run, what deploy would. Raises InputError, SettingsError."""
    del workspace
    if not _NAME.fullmatch(name):
        raise InputError(
            f"Azure ML knows no endpoint {name}: 3 to 32 of A-Z, a-z, 0-9 and -, a letter first, "
            "no - at the end"
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
    """Serve a registered version; traffic moves only once it has answered.

    With ``canary`` (1 to 50 percent) only that share of the requests; the same version without it
    then gets all. Raises InputError, SettingsError, and ProviderError with Azure's reason and the
    last lines of the deployment's containers: then the old version serves.
    """
    if port is not None:
        raise InputError("an endpoint of Azure ML has an address of its own; leave --port out")
    check(workspace=workspace, name=name, canary=canary, environment=environment)
    at, operation = At(name, told_by(environment), deadline), deploying.operation(model)
    release = Release(model_name or name, version, environment.get("TREFOIL_RUN_ID", ""))
    release = _prepared(at, release, model, environment)
    deployment, asked = requests.deployment(name, release, at.serving)

    def change(now: Shares) -> Shares:
        if canary and now.main not in ("", deployment):
            return Shares(now.version, now.main, deployment, canary, now.previous)
        if now.main == deployment:
            return Shares(version, deployment, previous=now.previous)
        return Shares(version, deployment, previous=now.main)

    made = _there(at)
    try:
        _raised(at, deployment, asked, operation)
        return _switch(at, change, deployment, operation)
    except TrefoilError:
        if made and not settled(at).deployments:
            _remove(at)
        raise


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
    state = settled(at)
    if not state.status:
        raise InputError(f"endpoint {name} was never deployed")

    def change(now: Shares) -> Shares:
        if now.canary:
            return Shares(now.version, now.main, previous=now.previous)
        before = state.deployments.get(now.previous)
        if before is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        return Shares(before.version, before.name, previous=now.main)

    return _switch(at, change)


def stop(*, workspace: Path, name: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Delete what the endpoint serves, which ends its cost. Its name, address and memory stay.

    Raises InputError.
    """
    del workspace
    at = At(name, told_by(environment), DEADLINE)
    state = settled(at)
    if not state.status:
        raise InputError(f"endpoint {name} was never deployed")
    if state.traffic or state.mirror:
        _moved(at, lambda _: state.shares, able=set())
    delete(at, *state.deployments)
    return _told(at, look(at))


def endpoints(*, workspace: Path, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """All endpoints of the workspace that are ours, stopped ones too."""
    del workspace
    serving = told_by(environment)
    there = [At(name, serving, DEADLINE) for name in left.names(serving)]
    return [_told(at, look(at)) for at in there]


def _prepared(at: At, release: Release, files: Path, environment: Mapping[str, str]) -> Release:
    """The release with model and environment, each made where it is not there."""
    image = environment.get(SERVER_IMAGE)
    if not image:
        raise InputError(f"{SERVER_IMAGE}, which image serves, is not set; see {SERVING}")
    release = assets.register(at, release, files, environment)
    return assets.environment(at, release, image)


def _there(at: At) -> bool:
    """See that there is an endpoint; True where it was made just now. Raises ProviderError."""
    doing, move = f"make the endpoint {at.name}", _mark()
    made, failed = False, list[ProviderError]()
    asked = requests.endpoint(at.name, Shares(), at.serving, set(), [move])
    while (state := settled(at)).status != "Succeeded" and not state.deployments:
        if state.status and made:
            _remove(at)
            raise ProviderError(
                f"Azure does not {doing}; the name is perhaps another's in {at.serving.region}: "
                "choose one with --endpoint"
            )
        if state.status:  # of a deploy that failed, and was killed before it could delete it
            _remove(at)
        made = _sent(at, asked, doing, failed)
    return made or move in state.moves


def _raised(at: At, name: str, asked: Found, operation: str) -> None:
    """See that a deployment is there, and answers.

    Raises TrefoilError with Azure's reason, once it is deleted again where nothing reached it.
    """
    doing, made = f"deploy {name} to {at.name}", False
    while not (state := settled(at)).ready(name):
        deployed = state.deployments.get(name)
        if deployed and made:
            words = why(at, deployed)
            delete(at, name)
            told = f"Azure did not get the new version to serve: {words}"
            raise ProviderError(f"{told}{_still(state)}")
        if deployed:  # of a deploy that failed, and was killed before it could delete it
            delete(at, name)
        made = at.put("onlineDeployments", at.deployment(name), asked, doing) is not None
    if not operation:
        return
    try:
        trial.use(at, state, operation, name)
    except TrefoilError as error:
        raise _undone(at, state, name, error) from None


def _switch(
    at: At, change: Callable[[Shares], Shares], name: str = "", operation: str = ""
) -> Endpoint:
    """The moment at which the traffic moves, and what follows from it.

    With an ``operation`` the new deployment is tried once more, as anyone asks it; where it does
    not answer, all is put back as it was.
    """
    before = settled(at)
    after = _moved(at, change)
    try:
        if operation:
            trial.use(at, after, operation, name if after.shares.canary else "")
    except TrefoilError as error:
        _moved(at, lambda _: before.standing())
        raise _undone(at, before, name, error) from None
    tidy(at, after, {before.shares.main, before.shares.canary, before.shares.previous})
    return _told(at, after)


def _moved(at: At, change: Callable[[Shares], Shares], able: set[str] | None = None) -> State:
    """Change who gets the requests; where another deployer is at work, after that one.

    ``able`` are the deployments that may get any; all that can, where it is not given. Azure takes
    no precondition with a change: what is sent is made of what was looked at just before, is sent
    once, and leaves a mark by which it is found after, whatever was answered. Raises ProviderError.
    """
    doing, move = f"move the requests of {at.name}", _mark()
    taken, failed = False, list[ProviderError]()
    while True:
        now = settled(at)
        if (taken or move in now.moves) and now.status != "Succeeded":
            raise ProviderError(f"Azure did not {doing}: it is {now.status or 'gone'}")
        if move in now.moves:
            return now
        wanted = change(now.standing())
        if able is None and now.serves(wanted):
            return now
        there = _able(now, wanted, doing) if able is None else able
        asked = requests.endpoint(at.name, wanted, at.serving, there, [*now.moves, move])
        taken = _sent(at, asked, doing, failed)


def _mark() -> str:
    """What a change is known by."""
    return uuid.uuid4().hex[:8]


def _sent(at: At, asked: Found, doing: str, failed: list[ProviderError]) -> bool:
    """Send a change of the endpoint once; False where another look tells what came of it.

    ``failed`` are the failures so far. Raises TrefoilError: the last of them, once it is enough.
    """
    if len(failed) >= _TRIES:
        raise failed[-1]
    try:
        return at.put("onlineEndpoints", at.path, asked, doing, once=True) is not None
    except ProviderError as error:  # it may be done all the same, or another deployer be quicker
        failed.append(error)
        time.sleep(_PAUSE)
        return False


def _able(now: State, wanted: Shares, doing: str) -> set[str]:
    """The deployments that can answer. Raises ProviderError where the one that shall cannot."""
    if wanted.main and not now.ready(wanted.main):
        raise ProviderError(
            f"Azure cannot {doing} to {wanted.main}: it is not ready any more; give the same "
            "command again"
        )
    return {each for each in now.deployments if now.ready(each)}


def _undone(at: At, before: State, name: str, error: TrefoilError) -> TrefoilError:
    """Delete what nothing reached before; the error says so, with what its containers printed."""
    lines = last_lines(at, name)
    if name in [each.name for each in before.idle()]:
        delete(at, name)
    return type(error)(f"{error}{lines}{_still(before)}")


def _remove(at: At) -> None:
    """Delete the endpoint itself, with all that it serves."""
    while not at.arm.delete(at.path, f"delete the endpoint {at.name}"):
        settled(at)
    settled(at)


def _still(state: State) -> str:
    serves = state.traffic and state.shares.version
    return f"\nversion {state.shares.version} still serves" if serves else ""


def _told(at: At, state: State) -> Endpoint:
    shares = state.shares
    version, previous = shares.version, state.deployments.get(shares.previous)
    if canary := state.deployments.get(shares.canary):
        version, previous = f"{version}, canary {canary.version}", state.deployments[shares.main]
    idle = [each.name for each in state.idle()]
    return Endpoint(
        name=at.name,
        version=version,
        url=state.url,
        state=state.told(),
        pid=None,
        started=state.changed,
        previous=previous.version if previous else None,
        message=f"{at.name} keeps machines for {', '.join(idle)}, which gets no requests; the next "
        "deploy removes it, or stop"
        if idle
        else "",
    )
