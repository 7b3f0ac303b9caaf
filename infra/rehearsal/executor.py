"""Runs plans for real, in a stand-in's name, by the engine of the local provider.

A run goes on in a thread until it has ended, is cancelled, or the stand-in is closed; what was
closed goes on where it stopped when it is started again.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.cache import Entry
from infra.errors import ProviderError, TrefoilError, told
from infra.history import Moment, moment
from infra.local import LocalSettings
from infra.local.attempt import Rules
from infra.local.lower import lower
from infra.local.rundir import RunDirectory
from infra.local.runner import Runner, choose
from infra.local.scheduler import Scheduler
from infra.plan import Event, Plan

Tell = Callable[[Event], None]
_ENDED = Event("", "cancelled", message="ended on request")
_NOTHING: Mapping[str, Path] = {}


class Execution:
    """One run: what of it is on disk, and the thread that goes on with it."""

    def __init__(self, workspace: Path, key: str) -> None:
        """``key`` names it in the workspace."""
        self._directory = RunDirectory(workspace, key)
        self._scheduler: Scheduler | None = None
        self._thread: threading.Thread | None = None
        self._cancelled = False
        self._broken: list[Moment] = []
        """Its end, where that could not be written."""

    def start(
        self,
        plan: Plan,
        run_id: str,
        settings: LocalSettings,
        environment: Mapping[str, str],
        rules: Rules,
        tell: Tell,
        rented: Callable[[Runner], Runner] = lambda runner: runner,
        beside: Mapping[str, Path] = _NOTHING,
    ) -> None:
        """Begin, or go on; ``tell`` hears of each event in the thread that drives the run.

        ``environment`` is laid under that of each step, whose attempts go by the place's ``rules``.
        ``rented`` may put something between the engine and what executes the steps. ``beside`` are
        folders that a step sees in its container, too, by where it does.
        Raises TrefoilError where it cannot begin.
        """
        request = lower(_here(plan), settings, run_id)
        runner = rented(choose(settings, request.plan, beside))
        if not self._directory.acquire():
            raise ProviderError(f"another rehearsal executes {run_id} just now; wait for its end")
        self._directory.write_request(request.body)
        self._scheduler = Scheduler(
            request, settings, runner, self._directory, lambda: environment, rules
        )
        self._thread = threading.Thread(target=self._drive, args=(self._scheduler, tell))
        self._thread.start()

    def cancel(self) -> None:
        """Ask the steps to end; those that always run still do, however often it is asked."""
        if self._scheduler and not self._cancelled:
            self._cancelled = True
            self._scheduler.interrupt()

    def end(self, settings: LocalSettings, event: Event = _ENDED) -> bool:
        """End what a rehearsal that was killed has left of it; False while one executes it.

        ``event`` is kept as its end.

        Raises ProviderError where what still runs cannot be ended.
        """
        if not self._directory.acquire():
            return False
        try:
            runner = choose(settings._replace(runner=self._runner()), Plan("", ()))
            for name in self._directory.status().steps:
                runner.end_orphan(self._directory.step(name), settings.grace)
            self._directory.record(event)
        finally:
            self._directory.release()
        return True

    def close(self) -> None:
        """Stop where it stands, and wait for that."""
        if self._scheduler and self._thread:
            self._scheduler.halt()
            self._thread.join()

    def moments(self) -> list[Moment]:
        """What happened so far, with times."""
        return [moment(line) for line in self._directory.lines()] + self._broken

    def log(self, step: str) -> list[Path]:
        """The log of each attempt of a step."""
        place = self._directory.step(step)
        return [place.log(number) for number in place.attempts()]

    def entry(self, step: str) -> Entry | None:
        """What a step left, if it has ended well."""
        return self._directory.step(step).entry()

    def _runner(self) -> Any:
        """What executed it."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            return self._directory.request()["runner"]
        return "process"

    def _drive(self, scheduler: Scheduler, tell: Tell) -> None:
        try:
            for event in scheduler.events():
                tell(event)
        except TrefoilError as error:
            self._break(str(error))
        except OSError as error:
            self._break(told(error))
        except Exception as error:  # ours: a thread that died would leave the run running for ever
            traceback.print_exc()
            self._break(f"the rehearsal itself failed: {type(error).__name__}: {error}")
        finally:
            scheduler.abandon()
            self._directory.release()

    def _break(self, reason: str) -> None:
        """Let the run have failed, written down if that can be done."""
        event = Event("", "failed", message=reason, code=1)
        self._broken = [Moment(event, time.time())]
        with contextlib.suppress(OSError):
            self._directory.record(event)


def _here(plan: Plan) -> Plan:
    """The plan without what a rehearsal has none of: accelerators, and more than one machine."""
    steps = []
    for step in plan.steps:
        asked = step.resources._replace(accelerator=None, accelerators=0, nodes=1)
        steps.append(step._replace(resources=asked))
    return plan._replace(steps=tuple(steps))
