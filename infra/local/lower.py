"""Plan -> Request for this machine: parameters filled in, commands as they will be started."""

from __future__ import annotations

from collections.abc import Iterator

from infra.binding import bound
from infra.errors import SettingsError, UnsupportedError
from infra.local import ON_HOST, LocalSettings
from infra.local.outside import DATA, imported, paths
from infra.plan import (
    Constant,
    Json,
    Plan,
    Request,
    Step,
    as_text,
    imports_of,
    to_data,
)


def lower(plan: Plan, settings: LocalSettings, run_id: str) -> Request:
    """Bind every pipeline parameter; the steps of the request are what ``client`` executes.

    Raises SettingsError on a number of steps or seconds below 0, UnsupportedError on accelerators
    for processes and imports from elsewhere, InputError where an imported file is not there.
    """
    for name in ("parallel", "grace"):
        if getattr(settings, name) < 0:
            raise SettingsError(f"the setting {name} is {getattr(settings, name)}; it is 0 or more")
    if settings.runner == "process":
        _refuse_accelerators(plan)
    whole = bound(plan)
    for step in whole.steps:
        _look_at_imports(step)
    body: dict[str, Json] = {
        "plan": to_data(whole),
        "parallel": settings.parallel,
        "runner": settings.runner,
    }
    notes = _notes_of_processes if settings.runner == "process" else _notes_of_containers
    return Request("local", run_id, whole, body, notes(whole))


def ground(_settings: LocalSettings) -> dict[str, str]:
    """Endpoints of this machine lie in the workspace: there is nothing to tell."""
    return {}


def environment(_settings: LocalSettings) -> dict[str, str]:
    """A server on this machine is this code, in this environment: there is nothing to tell."""
    return {}


def price(_plan: Plan, _settings: LocalSettings) -> float:
    """Nothing is billed here."""
    return 0.0


def _refuse_accelerators(plan: Plan) -> None:
    for step in plan.steps:
        if step.resources.accelerators:
            raise UnsupportedError(
                f"step {step.name} asks for gpu, and local cannot: its steps take whatever this "
                "machine has; leave --gpu out, or run them in containers with --runner docker"
            )


def _notes_of_containers(plan: Plan) -> tuple[str, ...]:
    own = [step.name for step in plan.steps if ON_HOST in step.env]
    here = [f"step {name} acts on this machine: it runs here, not in its image" for name in own]
    unseen = [
        f"step {step.name}: its container does not see {path} ({name}); hand it in as --data, or "
        "by dsl.importer"
        for step in plan.steps
        if ON_HOST not in step.env
        for name, path in paths(step).items()
        if name != DATA
    ]
    return (*here, *unseen, *_without_effect(plan, {"activeDeadlineSeconds", "emptyDirMounts"}))


def _without_effect(plan: Plan, known: set[str]) -> Iterator[str]:
    """What the pipeline asks of other platforms."""
    for step in plan.steps:
        for platform, settings in step.platforms.items():
            asked = settings if isinstance(settings, dict) else {}
            if without := sorted(asked.keys() - known):
                yield f"step {step.name}: {', '.join(without)} of {platform} has no effect here"


def _notes_of_processes(plan: Plan) -> tuple[str, ...]:
    images = ", ".join(sorted({step.image for step in plan.steps}))
    notes = [f"this Python environment stands in for the image {images}"]
    notes += _without_effect(plan, {"activeDeadlineSeconds"})
    for step in plan.steps:
        if step.resources.memory_gb or step.resources.cpu:
            notes.append(f"step {step.name}: its CPU and memory limits are not enforced here")
        if any("pip install" in token.text for argument in step.argv for token in argument):
            notes.append(f"step {step.name}: it runs pip install in this Python environment")
    return tuple(notes)


def _look_at_imports(step: Step) -> None:
    """See that what a step imports is there, as far as it is known before the run."""
    for source in imports_of(step):
        if isinstance(source.uri, Constant):
            imported(as_text(source.uri.value), f"step {step.name}")
