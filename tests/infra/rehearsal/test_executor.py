"""A rehearsed run goes by the rules of the place that it stands for, not by this machine's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.local import LocalSettings
from infra.local.attempt import Rules
from infra.plan import FINAL, Event, Plan, Retry
from infra.rehearsal.executor import Execution
from tests.infra.local.driving import step

OF_PODS = Rules(restarts=0, told=False)
SAY = "open(os.environ['SEEN'], 'a').write('x'); "


def rehearsed(
    workspace: Path, script: str, rules: Rules, told: dict[str, str] | None = None
) -> list[Event]:
    """What is told of a plan of one step that may be tried twice more."""
    execution, events, over = Execution(workspace, "r-1"), list[Event](), threading.Event()

    def tell(event: Event) -> None:
        events.append(event)
        if not event.step and event.state in FINAL:
            over.set()

    plan = Plan("test", (step("train", SAY + script, retry=Retry(2, backoff=0.01)),))
    environment = {"SEEN": str(workspace / "seen"), **(told or {})}
    settings = LocalSettings(workspace=str(workspace))
    execution.start(plan, "r-1", settings, environment, rules, tell)
    assert over.wait(60)
    execution.close()
    return events


@pytest.mark.parametrize("code", [1, 2, 143])
def test_every_failure_of_a_pod_uses_up_a_retry(tmp_path: Path, code: int) -> None:
    """A rehearsal that spares an attempt, or gives one more, proves nothing of the cluster."""
    events = rehearsed(tmp_path, f"sys.exit({code})", OF_PODS)
    assert events[-1].state == "failed"
    assert (tmp_path / "seen").read_text() == "xxx"


def test_a_pod_is_told_what_its_request_says_and_no_more(tmp_path: Path) -> None:
    """A step that leans on a variable of this machine would fail on the cluster."""
    script = (
        "ours = {'TREFOIL_STEP', 'TREFOIL_ATTEMPT', 'TREFOIL_FAILURE', 'TREFOIL_CHECKPOINTS'}; "
        "open(os.environ['SEEN'], 'w').write(' '.join(sorted(ours & os.environ.keys())))"
    )
    rehearsed(tmp_path, script, OF_PODS)
    assert (tmp_path / "seen").read_text() == ""


def test_what_a_request_names_is_a_place_of_the_rehearsal(tmp_path: Path) -> None:
    """The cluster's own path is not there on this machine."""
    named = {"TREFOIL_CHECKPOINTS": "/trefoil/work/r-1-train/checkpoints"}
    rehearsed(
        tmp_path, "open(os.environ['SEEN'], 'w').write(os.environ['TREFOIL_CHECKPOINTS'])",
        OF_PODS, named,
    )  # fmt: skip
    assert Path((tmp_path / "seen").read_text()).is_relative_to(tmp_path)
