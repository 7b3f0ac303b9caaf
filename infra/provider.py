"""The seam: a place is one folder here, with the same verbs as every other.

``infra/NAME/__init__.py`` says who it is (``PROVIDER``) and imports no SDK. Its ``lower.py`` turns
a Plan into a Request, its ``client.py`` does what concerns runs, and its ``endpoint.py``, where it
has one, what concerns served models; each is loaded when a verb is used.
Folders with a PROVIDER are found by looking; nothing lists them.

    lower.lower(plan, settings, run_id) -> Request       pure: no SDK, no network, no clock
    client.submit(request, context) -> RunRef            the same run twice attaches, never doubles
    client.follow(run, settings) -> Iterator[Event]      until the run has ended
    client.status(run, settings) -> Status
    client.logs(run, settings, step, follow) -> Iterator[LogLine]
    client.outputs(run, settings) -> {step: {output: value or path}}
    client.history(run, settings) -> History             the plan, and when each event was
    client.why(run, settings, step) -> list[str]         reasons why a step ran, or did not
    client.cancel(run, settings) -> bool                 False when it had ended already
    client.list_runs(settings) -> list[RunRef]           newest first
    client.reap(run, settings, data=) -> list[str]       ends it, removes what it left; optional
    client.left(settings) -> {run id: [what is left]}    optional
    lower.price(plan, settings) -> float                 ceiling in US dollars; NaN: not known
    costs.uses(plan, settings) -> {step: Use}            the machines of each step; optional
    preflight.checks(settings) -> Iterator[(name, well, words, needed)]    for doctor; optional

    emulator.made_up(settings, workspace) -> settings    an account where none is named; optional
    emulator.rehearse(settings, workspace, scenario, runner, say)
        -> context manager of settings                   that reach a stand-in on loopback

    lower.require_settings(settings) -> None             raises where one lacks; optional
    lower.environment(settings) -> {variable: value}     what the step deploy is told

    lower.ground(settings) -> {variable: value}          of it, what endpoints are found by

    endpoint.check(*, workspace, name, canary, environment)
        -> None                                          raises, before a run, what deploy would
    endpoint.deploy(*, workspace, name, version, model, model_name, port, canary, environment)
        -> Endpoint                                      canary: percent of the requests, at first
    endpoint.rollback(*, workspace, name, environment)
        -> Endpoint                                      the version before the present one
    endpoint.stop(*, workspace, name, environment)
        -> Endpoint                                      what it serves is kept for later
    endpoint.endpoints(*, workspace, environment) -> list[Endpoint]
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from infra.errors import InputError, UnsupportedError, nearest
from infra.plan import Event, Json, LogLine, Plan, Request, RunRef, Status

if TYPE_CHECKING:
    from infra.history import History
    from infra.prices import Use

Context: TypeAlias = Callable[[], Mapping[str, str]]
Capability = Literal["gpu", "spot", "multi-node", "rehearsal"]
WORKSPACE = ".trefoil"
"""What the setting workspace is, in every place, where nobody sets it."""


class Provider(NamedTuple):
    """A place where plans run.

    ``settings`` is a named tuple; ``missing`` gives the reason for each thing it cannot do.
    """

    name: str
    summary: str
    settings: type
    missing: Mapping[Capability, str]

    def check(self, plan: Plan) -> None:
        """Refuse, before anything is sent, what this place cannot do. Raises UnsupportedError."""
        for step in plan.steps:
            wants: dict[Capability, bool] = {
                "gpu": step.resources.accelerators > 0,
                "spot": step.resources.spot,
                "multi-node": step.resources.nodes > 1,
            }
            for capability, wanted in wants.items():
                if wanted:
                    self.require(capability, f"step {step.name}")

    def require(self, capability: Capability, who: str) -> None:
        """Raise UnsupportedError, with the reason, where this place lacks the capability."""
        if capability in self.missing:
            raise UnsupportedError(
                f"{who} asks for {capability}, and {self.name} cannot: {self.missing[capability]}"
            )

    def lower(self, plan: Plan, settings: Any, run_id: str) -> Request:
        """Turn the plan into what will be sent."""
        self.check(plan)
        request: Request = self._module("lower").lower(plan, settings, run_id)
        return request

    def require_settings(self, settings: Any) -> None:
        """Raise SettingsError where a setting lacks without which nothing is reached here."""
        wanting: Callable[[Any], None] | None
        wanting = getattr(self._module("lower"), "require_settings", None)
        if wanting is not None:
            wanting(settings)

    def price(self, plan: Plan, settings: Any) -> float:
        """The most that a run of the plan can cost, in US dollars."""
        ceiling: float = self._module("lower").price(plan, settings)
        return ceiling

    def uses(self, plan: Plan, settings: Any) -> Mapping[str, Use]:
        """By step, what it has of which machines at most; empty where none is rented."""
        uses = getattr(self._optional("costs"), "uses", None)
        found: Mapping[str, Use] = uses(plan, settings) if uses else {}
        return found

    def submit(self, request: Request, settings: Any, context: Context) -> RunRef:
        """Start the run, or attach to it.

        ``context`` gives what is added to every step's environment; asked once, when it is needed.
        """
        run: RunRef = self._module("client").submit(request, settings, context)
        return run

    def follow(self, run: RunRef, settings: Any) -> Iterator[Event]:
        """Yield what happens until the run has ended."""
        events: Iterator[Event] = self._module("client").follow(run, settings)
        return events

    def status(self, run: RunRef, settings: Any) -> Status:
        """Say where the run stands. Raises InputError on an unknown run."""
        status: Status = self._module("client").status(run, settings)
        return status

    def logs(self, run: RunRef, settings: Any, step: str, follow: bool) -> Iterator[LogLine]:
        """Yield what the steps printed, ``step`` empty for all of them."""
        lines: Iterator[LogLine] = self._module("client").logs(run, settings, step, follow)
        return lines

    def outputs(self, run: RunRef, settings: Any) -> Mapping[str, Mapping[str, Json]]:
        """What the steps that ended well left: values, and where the artefacts lie."""
        found: Mapping[str, Mapping[str, Json]] = self._module("client").outputs(run, settings)
        return found

    def history(self, run: RunRef, settings: Any) -> History:
        """What was asked for and everything that happened, with times. Raises InputError."""
        found: History = self._module("client").history(run, settings)
        return found

    def why(self, run: RunRef, settings: Any, step: str) -> list[str]:
        """Say why a step ran, or did not. Raises InputError on an unknown run or step."""
        reasons: list[str] = self._module("client").why(run, settings, step)
        return reasons

    def cancel(self, run: RunRef, settings: Any) -> bool:
        """End the run; safe to repeat. False when it had ended already."""
        ended: bool = self._module("client").cancel(run, settings)
        return ended

    def list_runs(self, settings: Any) -> list[RunRef]:
        """The runs that this place knows, newest first."""
        runs: list[RunRef] = self._module("client").list_runs(settings)
        return runs

    def reap(self, run: RunRef, settings: Any, *, data: bool = False) -> list[str]:
        """End a run and remove what it left, with ``data`` what it stored, too; says what was done.

        Raises UnsupportedError where runs leave nothing.
        """
        did: list[str] = self._reaper("reap")(run, settings, data=data)
        return did

    def left(self, settings: Any) -> Mapping[str, list[str]]:
        """By run, what is left of it. Raises UnsupportedError where runs leave nothing."""
        found: Mapping[str, list[str]] = self._reaper("left")(settings)
        return found

    def _reaper(self, verb: str) -> Callable[..., Any]:
        does: Callable[..., Any] | None = getattr(self._module("client"), verb, None)
        if does is None:
            raise UnsupportedError(
                f"a run on {self.name} leaves nothing to reap; `python -m pipelines cancel` ends it"
            )
        return does

    def rehearse(
        self,
        settings: Any,
        workspace: Path,
        scenario: str | None,
        runner: str = "process",
        say: Callable[[str], None] | None = None,
    ) -> AbstractContextManager[Any]:
        """Settings that reach a stand-in for this place while the block runs.

        ``workspace`` is the rehearsal's own. Without a ``scenario`` nothing is started there: what
        was rehearsed can be looked at. ``runner`` executes the steps; ``say`` hears, at the end,
        of each call, and of what was not proved. Raises UnsupportedError, InputError.
        """
        self.require("rehearsal", "--rehearse")
        stand_in: AbstractContextManager[Any] = self._module("emulator").rehearse(
            settings, workspace, scenario, runner, say
        )
        return stand_in

    def checks(self, settings: Any) -> Iterator[tuple[str, bool, str, bool]]:
        """What of this place must be right before a run, each thing one line; nothing is sent."""
        module = self._optional("preflight")
        found: Iterator[tuple[str, bool, str, bool]] = (
            module.checks(settings) if module else iter(())
        )
        return found

    def made_up(self, settings: Any, workspace: Path) -> Any:
        """The settings for a rehearsal: what a person without an account cannot say is made up."""
        if "rehearsal" in self.missing:
            return settings
        fill: Callable[[Any, Path], Any] | None = getattr(self._module("emulator"), "made_up", None)
        return fill(settings, workspace) if fill else settings

    def environment(self, settings: Any) -> Mapping[str, str]:
        """What the step deploy is told of this place, for whoever deploys without a run."""
        told: Mapping[str, str] = self._module("lower").environment(settings)
        return told

    def ground(self, settings: Any) -> Mapping[str, str]:
        """Of what the step deploy is told, that by which endpoints are found; never raises."""
        told: Mapping[str, str] = self._module("lower").ground(settings)
        return told

    def endpoint(self) -> Any:
        """The module of the endpoint verbs. Raises UnsupportedError where nothing is served."""
        module = self._optional("endpoint")
        if module is None:
            raise UnsupportedError(
                f"{self.name} serves nothing: it has no endpoints; deploy to another provider"
            )
        return module

    def _optional(self, name: str) -> Any:
        """The module of that name; None where the place has none."""
        try:
            return self._module(name)
        except ModuleNotFoundError as error:
            if error.name != f"infra.{self.name}.{name}":
                raise
            return None

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"infra.{self.name}.{name}")


def names() -> list[str]:
    """Names of the places there are: the folders here with a PROVIDER."""
    here = Path(__file__).parent
    return sorted(
        init.parent.name
        for init in here.glob("*/__init__.py")
        if "PROVIDER" in init.read_text(encoding="utf-8")
    )


def get(name: str) -> Provider:
    """Return the place called ``name``. Raises InputError with the nearest right name."""
    known = names()
    if name not in known:
        raise InputError(f"there is no provider {name}; {nearest(name, known, 'there is ')}")
    provider: Provider = importlib.import_module(f"infra.{name}").PROVIDER
    return provider
