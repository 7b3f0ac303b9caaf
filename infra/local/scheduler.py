"""Drives one run: which step next, from the cache or as a process, until every step has ended."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra import cache
from infra.errors import TrefoilError, told
from infra.local import LocalSettings
from infra.local.attempt import HERE, Attempts, Outcome, Rules
from infra.local.ingredients import Ingredients
from infra.local.rundir import RunDirectory
from infra.local.runner import Runner
from infra.local.values import Missing, Results
from infra.plan import FINAL, Event, Json, Request, Step
from infra.provider import Context
from infra.redaction import redacted


class Scheduler:
    """One run of one request. ``events`` does the work while it is being read."""

    def __init__(
        self,
        request: Request,
        settings: LocalSettings,
        runner: Runner,
        directory: RunDirectory,
        context: Context,
        rules: Rules = HERE,
    ) -> None:
        self._steps = {step.name: step for step in request.plan.steps}
        self._waiting = list(request.plan.steps)
        self._directory = directory
        self._results = Results(request.run_id, self._steps)
        workspace = Path(settings.workspace)
        self._cache = cache.StepCache(workspace / "cache" / "steps")
        self._runner = runner
        self._ingredients = Ingredients(workspace, self._results, runner)
        self._context = context
        self._news: queue.SimpleQueue[Event | tuple[Step, str, Outcome] | None] = (
            queue.SimpleQueue()
        )
        self._attempts = Attempts(
            request.run_id, runner, settings.grace, directory, context, self._news.put, rules
        )
        self._parallel = settings.parallel or max(2, os.cpu_count() or 1)
        self._running = 0
        self._codes: dict[str, int] = {}
        self._unreached: set[str] = set()
        """Steps skipped because something before them went wrong, not because a gate said no."""
        self._signals = 0

    def events(self) -> Iterator[Event]:
        """Run everything, yielding each change of state; the last event is the run's own.

        SIGINT and SIGTERM end the running steps, which may save themselves; steps that always
        run (exit handlers) go on, or still begin. A second signal ends those too.
        """
        with _Interrupt(self.interrupt):
            started = time.monotonic()
            yield self._record(Event("", "running"))
            while self._waiting or self._running:
                yield from self._start_what_can()
                if self._running:
                    news = self._news.get()
                    if news is None:
                        return
                    if isinstance(news, Event):  # a retry
                        yield self._record(news)
                    else:
                        yield self._finish(*news)
            yield self._record(self._conclusion(time.monotonic() - started))
            self._ingredients.remember()

    def interrupt(self) -> None:
        """End the running steps as a signal does; from any thread."""
        self._signals += 1
        if self._signals == 1:
            self._attempts.stop()
        else:
            self._attempts.kill()

    def halt(self) -> None:
        """Stop where it stands, as if this process were killed; from any thread."""
        self._news.put(None)
        self._attempts.kill()

    def abandon(self) -> None:
        """End whatever still runs, at once; nothing does after a run's natural end."""
        self._attempts.kill()
        self._runner.close()

    # --- starting

    def _start_what_can(self) -> Iterator[Event]:
        progressed = True
        while progressed:
            progressed = False
            for step in list(self._waiting):
                states = self._results.states
                if any(states.get(name) not in FINAL for name in step.needs()):
                    continue
                if self._running >= self._parallel:
                    return
                self._waiting.remove(step)
                progressed = True
                yield self._start(step)

    def _start(self, step: Step) -> Event:
        try:
            if self._signals > 1 or (self._signals and not step.always):
                return self._enter(step, Event(step.name, "cancelled", message="not started"))
            if reason := self._not_to_run(step):
                return self._enter(step, Event(step.name, "skipped", message=reason))
            return self._reuse_or_run(step)
        except Missing as missing:
            reason = f"it takes an output of {missing}, which did not run"
            return self._enter(step, Event(step.name, "skipped", message=reason))
        except OSError as error:
            message = f"{step.name}: {told(error)}"
            return self._enter(step, Event(step.name, "failed", message=message, code=1))
        except TrefoilError as error:
            code = error.exit_code
            return self._enter(step, Event(step.name, "failed", message=str(error), code=code))

    def _not_to_run(self, step: Step) -> str:
        before = () if step.always else step.needs()
        for name in before:
            if self._results.states[name] in ("failed", "cancelled") or name in self._unreached:
                self._unreached.add(step.name)
                return f"{name} did not succeed"
        if step.when is not None and not self._results.holds(step.when):
            return "its condition does not hold"
        return ""

    def _reuse_or_run(self, step: Step) -> Event:
        place = self._directory.step(step.name)
        place.root.mkdir(parents=True, exist_ok=True)
        ingredients = self._ingredients.of(step)
        key = cache.key(ingredients)
        self._ingredients.write(place, step, ingredients)
        message = ""
        if not step.always:
            entry, wrong = self._find(step, key)
            if entry is not None:
                self._results.entries[step.name] = entry
                place.link(entry)
                return self._enter(step, Event(step.name, "cached"))
            message = f"what was kept of it is damaged ({wrong}); running it again" if wrong else ""
        work = self._attempts.prepare(step, self._results, key)
        self._running += 1
        threading.Thread(target=lambda: self._news.put((step, key, work())), daemon=True).start()
        commit = self._context().get("TREFOIL_GIT_COMMIT", "")
        return self._enter(step, Event(step.name, "running", message=message), commit=commit)

    def _find(self, step: Step, key: str) -> tuple[cache.Entry | None, str]:
        """A finished step is reused from the cache, or, where it has effects, within its run."""
        if not step.cache:
            return cache.unseal(self._directory.step(step.name).result, key)
        return self._cache.find(key)

    # --- ending

    def _finish(self, step: Step, key: str, outcome: Outcome) -> Event:
        self._running -= 1
        ending = outcome.ending
        state, message, code = outcome.state, outcome.message, outcome.code
        if state == "succeeded":
            try:
                self._keep(step, key, outcome)
            except OSError as error:
                state, message, code = "failed", f"{step.name}: {told(error)}", 1
        event = Event(step.name, state, ending.seconds, message, outcome.attempt, code)
        used: dict[str, Json] = {"cpu_seconds": ending.cpu_seconds, "peak_mb": ending.peak_mb}
        return self._enter(step, event, **used)

    def _keep(self, step: Step, key: str, outcome: Outcome) -> None:
        place = self._directory.step(step.name)
        entry = cache.seal(place.work, key, list(step.artifacts), outcome.values)
        if step.cache:
            entry = self._cache.keep(place.work, key)
        else:
            entry = cache.move(place.work, place.result)
        place.link(entry)
        self._results.entries[step.name] = entry

    def _enter(self, step: Step, event: Event, **extra: Json) -> Event:
        self._results.states[step.name] = event.state
        self._results.messages[step.name] = event.message
        self._codes[step.name] = event.code
        return self._record(event, **extra)

    def _record(self, event: Event, **extra: Json) -> Event:
        event = event._replace(message=redacted(event.message))
        self._directory.record(event, **extra)
        return event

    def _conclusion(self, seconds: float) -> Event:
        states = self._results.states
        failed = [name for name, state in states.items() if state == "failed"]
        if self._signals:
            return Event("", "cancelled", seconds, "ended on request; the same command finishes it")
        if failed:
            message, code = self._results.messages[failed[0]], self._codes[failed[0]]
            return Event("", "failed", seconds, message, code=code)
        return Event("", "succeeded", seconds)


class _Interrupt:
    """SIGINT, SIGTERM and a terminal that is closed call ``act`` while the block runs.

    Only the main thread can. nohup's SIGHUP stays ignored.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._on_signal)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._act()
