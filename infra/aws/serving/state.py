"""How an endpoint stands: what SageMaker says of it, and what its configuration remembers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.aws.serving.requests import BESIDE, CANARY, ENDPOINT, MAIN, PREVIOUS, VERSION, Serving
from infra.aws.session import MISSING, Aws, connected
from infra.errors import InputError, ProviderError
from infra.served import EndpointState

CHANGING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
_LONGEST_WAIT = 15.0
"""Seconds between two looks, at most."""
_YOUNG = 3600.0
"""Seconds in which something that nothing names yet is left to whoever is making it."""
_LINES = 15


class At(NamedTuple):
    """An endpoint, what it is made of, and how many seconds SageMaker has to change it."""

    name: str
    serving: Serving
    deadline: float

    @property
    def aws(self) -> Aws:
        """The way there."""
        return connected(self.serving.region)


class Configured(NamedTuple):
    """A configuration: which versions it serves, by which models, and which one came before."""

    name: str
    variants: tuple[dict[str, Any], ...]
    version: str
    canary: str
    previous: str

    def model(self) -> str:
        """The model that gets most of the requests."""
        return {each["VariantName"]: str(each["ModelName"]) for each in self.variants}[MAIN]

    def models(self) -> set[str]:
        """The models of all variants."""
        return {each["ModelName"] for each in self.variants}


class State(NamedTuple):
    """An endpoint. Without a ``status`` there is none, and what it served last may be known."""

    status: str
    config: Configured | None
    reason: str = ""
    changed: float | None = None

    def told(self) -> EndpointState:
        """In the words that all places share."""
        if not self.status:
            return "stopped"
        if self.status in ("Failed", "OutOfService", "UpdateRollbackFailed", "Deleting"):
            return "dead"
        if self.status == "Creating":
            return "unhealthy"
        return "canary" if self.config and self.config.canary else "serving"

    def variant(self, model: str) -> str:
        """Which variant a model is behind."""
        beside = self.config and model in self.config.models() - {self.config.model()}
        return BESIDE if beside else MAIN


def look(at: At) -> State:
    """An endpoint of ours as it is now. Raises InputError where another's has the name."""
    doing = f"look at the endpoint {at.name}"
    found = at.aws.find("sagemaker", "describe_endpoint", doing, EndpointName=at.name)
    if found is None:
        newest = next(_of(at, "EndpointConfig"), None)
        return State("", configured(at, newest["EndpointConfigName"]) if newest else None)
    tags = tags_of(at.aws, found["EndpointArn"])
    if tags is None:  # it went while we looked
        return look(at)
    if tags.get(ENDPOINT) != at.name:
        raise InputError(
            f"there is an endpoint {at.name} in this account that Trefoil did not make; choose "
            "another name"
        )
    changed = found["LastModifiedTime"].timestamp()
    config = configured(at, found.get("EndpointConfigName", ""))
    return State(found["EndpointStatus"], config, found.get("FailureReason", ""), changed)


def settled(at: At) -> State:
    """The same once nothing changes any more. Raises ProviderError when that takes too long."""
    begun = time.monotonic()
    while (state := look(at)).status in CHANGING:
        waited = time.monotonic() - begun
        if waited > at.deadline:
            raise ProviderError(
                f"the endpoint {at.name} is {state.status} for {waited:.0f} s now; look again with "
                "python -m pipelines endpoints --provider aws"
            )
        time.sleep(min(_LONGEST_WAIT, 0.2 + waited / 10))
    return state


def require(state: State, config: str) -> None:
    """Raise ProviderError, with SageMaker's reason, unless an endpoint serves a configuration."""
    if state.status == "InService" and state.config and state.config.name == config:
        return
    raise ProviderError(
        f"SageMaker did not get the new version to serve: {state.reason or state.status or 'gone'}"
    )


def configured(at: At, name: str) -> Configured | None:
    """A configuration of ours; None where there is none of that name."""
    if not name:
        return None
    doing = f"look at the endpoint configuration {name}"
    found = at.aws.find("sagemaker", "describe_endpoint_config", doing, EndpointConfigName=name)
    if found is None:
        return None
    tags = tags_of(at.aws, found["EndpointConfigArn"])
    if tags is None:
        return None
    remembered = [tags.get(key, "") for key in (VERSION, CANARY, PREVIOUS)]
    return Configured(name, tuple(found["ProductionVariants"]), *remembered)


def tags_of(aws: Aws, arn: str) -> Mapping[str, str] | None:
    """The tags of something, all in one page; None where it is gone meanwhile."""
    found = aws.find("sagemaker", "list_tags", f"read the tags of {arn}", ResourceArn=arn)
    return {each["Key"]: each["Value"] for each in found["Tags"]} if found else None


def tidy(at: At, kept: Iterable[Configured]) -> None:
    """Delete configurations and models of the endpoint but those that are kept."""
    configs = {each.name for each in kept}
    models = {name for each in kept for name in each.models()}
    for kind, named in (("EndpointConfig", configs), ("Model", models)):
        for each in _of(at, kind):
            name, age = each[f"{kind}Name"], time.time() - each["CreationTime"].timestamp()
            if name not in named and age > _YOUNG:
                delete(at, "endpoint_config" if kind == "EndpointConfig" else "model", name)


def delete(at: At, kind: str, name: str) -> None:
    """Delete an ``endpoint``, ``endpoint_config`` or ``model``, unless it is gone."""
    parameter = "".join(word.capitalize() for word in kind.split("_")) + "Name"
    doing = f"delete the {kind.replace('_', ' ')} {name}"
    at.aws.find("sagemaker", f"delete_{kind}", doing, MISSING, **{parameter: name})


def last_lines(at: At) -> str:
    """What the newest server of the endpoint printed last, a line each; empty where nothing."""
    group, doing = f"/aws/sagemaker/Endpoints/{at.name}", f"read the log of {at.name}"
    newest: dict[str, Any] = {"logGroupName": group, "orderBy": "LastEventTime",
                              "descending": True, "limit": 1}  # fmt: skip
    streams = (at.aws.find("logs", "describe_log_streams", doing, **newest) or {}).get("logStreams")
    if not streams:
        return ""
    asked = {"logGroupName": group, "logStreamName": streams[0]["logStreamName"], "limit": _LINES}
    events = at.aws.ask("logs", "get_log_events", doing, **asked)["events"]
    return "".join(f"\n  {each['message'].rstrip()}" for each in events)


def _of(at: At, kind: str) -> Iterator[dict[str, Any]]:
    """The configurations (``EndpointConfig``) or models (``Model``) of it, newest first."""
    operation = "list_endpoint_configs" if kind == "EndpointConfig" else "list_models"
    asked = {"NameContains": at.name, "SortBy": "CreationTime", "SortOrder": "Descending"}
    doing = f"list what the endpoint {at.name} is made of"
    for each in at.aws.pages("sagemaker", operation, f"{kind}s", doing, **asked):
        if (tags_of(at.aws, each[f"{kind}Arn"]) or {}).get(ENDPOINT) == at.name:
            yield each
