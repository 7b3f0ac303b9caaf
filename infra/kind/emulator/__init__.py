"""Kubeflow Pipelines on loopback, for rehearsals.

kubeflow.py     the API: calls, experiments, runs       description.py  what calls there are
runs.py         what it tells of a run and its tasks    pipeline.py     whether it takes a pipeline
store.py        the metadata store                      page.py         logs, pods, artefacts
kubernetes/     the API that the step deploy acts by, with pods that run
refusal.py      how it refuses                          scenarios.toml  what goes wrong
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import InputError
from infra.kind import KindSettings
from infra.local import LocalSettings
from infra.plan import Plan
from infra.rehearsal import scenario as scenarios
from infra.rehearsal.guard import guarded
from infra.rehearsal.held import answering, held

if TYPE_CHECKING:
    from infra.rehearsal.server import Call

_SCENARIOS = Path(__file__).with_name("scenarios.toml")
_POLL = 0.1
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEADING = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST")
"""What a cluster is found by."""
_NOT_PROVED = (
    "that images can be pulled and pods scheduled, nor limits, secrets, claims and accelerators",
    "that KFP stops what has not begun once a step has failed: here, other branches go on",
    "that pods of an endpoint can be pulled and reach each other: they ran as processes, and ended",
    "MLflow in the cluster: steps told their tracking to a database of this rehearsal",
)


@contextlib.contextmanager
def rehearse(
    settings: KindSettings,
    workspace: Path,
    scenario: str | None,
    runner: str = "process",
    say: Callable[[str], None] | None = None,
) -> Iterator[KindSettings]:
    """Serve while the block runs; yields settings that reach this. See infra.rehearsal.

    Without a ``scenario`` what was rehearsed before can be looked at, and nothing is started.
    Raises InputError at an unknown scenario, at what an earlier rehearsal left that cannot be
    read, and while another one goes on.
    """
    chosen = scenarios.load(_SCENARIOS, scenario or "plain")
    import threading

    warm = threading.Thread(target=_load, daemon=True)
    warm.start()  # the SDK takes half a second of its own
    from infra.kind.emulator.kubeflow import Kubeflow, World
    from infra.kind.emulator.kubernetes import Kubernetes
    from infra.kind.emulator.runs import Run
    from infra.rehearsal.faults import Faults
    from infra.rehearsal.log import Log
    from infra.rehearsal.server import serving

    folder = workspace / "kubeflow"

    def environment(run: Run) -> tuple[Plan, dict[str, str]]:
        from infra.kind.emulator.tracking import told

        plan, shared = told(run, workspace, plugin=bool(chosen.get("plugin")))
        work = workspace.resolve() / "kubernetes" / "claims" / settings.work_claim
        return plan, {**shared, "TREFOIL_WORK": str(work)}

    log = Log(workspace / "requests.jsonl", _named)
    world = World(
        folder=folder,
        execution=LocalSettings(workspace=str(folder), runner=runner),  # type: ignore[arg-type]
        scenario=chosen,
        environment=environment,
        version=chosen.get("version") or _version(),
        looking=scenario is None,
    )
    secrets = {place.partition("/")[0] for place in settings.secrets.values()}
    kubernetes = Kubernetes(workspace / "kubernetes", sorted(secrets))
    faults = Faults(chosen.get("faults", ()))
    changed = {"start_deadline": chosen["start_deadline"]} if "start_deadline" in chosen else {}
    with (
        held(folder) if scenario else contextlib.nullcontext(),
        guarded(),
        contextlib.closing(kubernetes),
        serving(kubernetes.answer, log, faults) as address,
        _chosen(workspace / "kubernetes", address),
    ):
        kubeflow = Kubeflow(world)
        try:
            with (
                serving(kubeflow.answer, log, faults) as host,
                answering(folder, host) if scenario else contextlib.nullcontext(),
            ):
                yield settings._replace(host=host, poll=_POLL, **changed)
        finally:
            kubeflow.close()
            if say and scenario:
                lines = _summary(scenario, chosen["words"], log.told(), runner)
                for line in (*lines, *kubernetes.served()):
                    say(line)


@contextlib.contextmanager
def _chosen(folder: Path, address: str) -> Iterator[None]:
    """Let whatever looks for a cluster, here and in steps, find this one and never a person's."""
    from infra.kind.emulator.kubernetes import write_kubeconfig

    file = write_kubeconfig(folder / f"kubeconfig.{address.rpartition(':')[2]}", address)
    before = {name: os.environ.pop(name, None) for name in _LEADING}
    os.environ["KUBECONFIG"] = str(file.resolve())
    try:
        yield
    finally:
        file.unlink()
        del os.environ["KUBECONFIG"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _summary(scenario: str, words: str, calls: list[str], runner: str) -> Iterator[str]:
    what = "containers" if runner == "docker" else "processes of this environment"
    yield f"rehearsed, scenario {scenario}: {words}. Steps ran as {what}. The calls:"
    yield from (f"  {call}" for call in calls)
    yield "not proved:"
    yield from (f"  {line}" for line in _NOT_PROVED)


def _load() -> None:
    with contextlib.suppress(ImportError):
        import kfp  # noqa: F401


def _named(call: Call) -> str:
    """A call without what is different in every run."""
    path = "/artifacts/..." if call.path.startswith("/artifacts/") else _ID.sub("ID", call.path)
    return f"{call.method:<6} {path}"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kfp")
    except PackageNotFoundError:
        raise InputError("a rehearsal needs kfp: run `make setup`") from None
