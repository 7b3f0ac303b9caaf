"""``--rehearse`` for Azure: each scenario goes wrong as it says, and a run is told so."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.azure import PROVIDER, AzureSettings
from infra.azure import emulator as stand_in
from infra.errors import CredentialsError, InputError
from infra.plan import Event, Plan, Resources, RunRef
from infra.rehearsal.log import lines
from tests.infra.azure.running import document, plan_of, some, states

Stages = Callable[..., Plan]
RUN = RunRef("azure", "r-1")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Gives the plan that can end in every way."""
    found = document("stages", tmp_path_factory.getbasetemp().parent / "azure-ir")
    return lambda **given: plan_of(found, **given)


@contextlib.contextmanager
def rehearsed(
    folder: Path, scenario: str | None, say: Callable[[str], None] | None = None
) -> Iterator[AzureSettings]:
    """As a person without an account does it."""
    settings = PROVIDER.made_up(AzureSettings(workspace=str(folder), image_tag="1"), folder)
    with PROVIDER.rehearse(settings, folder, scenario, "process", say) as reached:
        yield reached


def _ran(plan: Plan, settings: AzureSettings) -> list[Event]:
    run = PROVIDER.submit(PROVIDER.lower(plan, settings, "r-1"), settings, dict)
    return list(PROVIDER.follow(run, settings))


def _started(folder: Path) -> list[str]:
    """The jobs that were put by themselves."""
    jobs = (json.loads(e.read_text()) for e in (folder / "azure/azureml/jobs").glob("*.json"))
    return sorted(each["name"] for each in jobs if not each["parent"])


def _on_spot(plan: Plan) -> Plan:
    spot = plan.step("make")._replace(resources=Resources(spot=True))
    return plan._replace(steps=(spot,))


def test_a_rehearsal_tells_what_was_called_what_it_cost_and_what_is_not_proved(
    stages: Stages, tmp_path: Path
) -> None:
    said: list[str] = []
    with rehearsed(tmp_path, "plain", said.append) as settings:
        assert _ran(stages(), settings)[-1].state == "succeeded"
    text = "\n".join(said)
    assert "  ARM PUT jobs  201" in text
    assert "make                     Standard_DS3_v2  " in text
    assert "not proved:\n  what the roles of Azure allow" in text


def test_what_was_rehearsed_can_be_looked_at_afterwards(stages: Stages, tmp_path: Path) -> None:
    """status --rehearse is another process, which must start nothing."""
    with rehearsed(tmp_path, "plain") as settings:
        events = _ran(some(stages(), "make", "judge"), settings)
    said: list[str] = []
    with rehearsed(tmp_path, None, said.append) as settings:
        assert PROVIDER.list_runs(settings) == [RUN]
        assert PROVIDER.history(RUN, settings).moments[-1].event == events[-1]
        assert PROVIDER.outputs(RUN, settings)["make"]["size"] == 3
    assert said == []


def test_one_rehearsal_at_a_time_has_a_workspace(tmp_path: Path) -> None:
    with (
        rehearsed(tmp_path, "plain"),
        pytest.raises(InputError, match="another rehearsal goes on"),
        rehearsed(tmp_path, "plain"),
    ):
        pass


def test_scenarios_that_a_run_outlives(stages: Stages, tmp_path: Path) -> None:
    """Throttling, a server's fault and lost answers are a cloud's everyday life."""
    plan = some(stages(), "make", "judge", "last")
    for name in ("throttling", "server-error", "lost-response", "spot-interruption"):
        folder = tmp_path / name
        with rehearsed(folder, name) as settings:
            assert _ran(plan, settings)[-1].state == "succeeded", name
        assert _started(folder) == ["r-1", "r-1-last"], name


def test_a_machine_that_comes_late_is_waited_for(stages: Stages, tmp_path: Path) -> None:
    with rehearsed(tmp_path, "slow-start") as settings:
        only = some(stages(), "make")
        assert states(_ran(only, settings))["make"] == "succeeded"


def test_no_capacity_fails_the_run_and_the_same_command_goes_on(
    stages: Stages, tmp_path: Path
) -> None:
    plan = some(stages(), "make", "judge", "last")
    with rehearsed(tmp_path, "no-capacity") as settings:
        events = _ran(plan, settings)
        failed = next(event for event in events if event.state == "failed")
        assert "Azure has no such machine free" in failed.message
        while _ran(plan, settings)[-1].state != "succeeded":  # each step lacks one once
            pass


def test_a_spot_machine_is_taken_away(stages: Stages, tmp_path: Path) -> None:
    """It has a second: a step that is quicker than that is done."""
    own = tmp_path / "mine.toml"
    own.write_text('interruptions = [{ step = ".", times = 1 }]\n')
    with rehearsed(tmp_path, str(own)) as settings:
        assert _ran(_on_spot(stages()), settings)[-1].state == "succeeded"
    (job,) = (tmp_path / "azure/azureml/jobs").glob("*.json")
    assert len(json.loads(job.read_text())["attempts"]) == 2


def test_a_quota_of_nothing_says_of_which_machines(stages: Stages, tmp_path: Path) -> None:
    only = some(stages(), "make")
    with rehearsed(tmp_path, "quota") as settings:
        failed = _ran(only, settings)[-1]
    assert "the quota does not let make run" in failed.message
    assert "Standard_DS3_v2" in failed.message


def test_credentials_that_expire_end_the_watching_and_not_the_run(
    stages: Stages, tmp_path: Path
) -> None:
    plan = some(stages(), "make", "judge", "last")
    with (
        rehearsed(tmp_path, "expired-token") as settings,
        pytest.raises(CredentialsError, match="log in again and give the same command"),
    ):
        _ran(plan, settings)
    with rehearsed(tmp_path, "plain") as settings:
        assert _ran(plan, settings)[-1].state == "succeeded"
    assert _started(tmp_path) == ["r-1", "r-1-last"]


def test_images_that_were_not_pushed(stages: Stages, tmp_path: Path) -> None:
    plan = stages()._replace(steps=(stages().step("make")._replace(image="trefoil-trainer"),))
    with (
        rehearsed(tmp_path, "image-missing") as settings,
        pytest.raises(InputError, match=r"image: .*azurecr\.io/trefoil-trainer:1 is not there"),
    ):
        _ran(plan, settings)
    assert _started(tmp_path) == []


def test_an_image_that_the_jobs_alone_may_look_at(stages: Stages, tmp_path: Path) -> None:
    """What we may not look at is passed over, and the job says what it was."""
    own = tmp_path / "mine.toml"
    own.write_text(
        'missing_images = "."\nfaults = [{ host = "azurecr", status = 403, times = 9 }]\n'
    )
    plan = stages()._replace(steps=(stages().step("make")._replace(image="trefoil-trainer"),))
    with rehearsed(tmp_path, str(own)) as settings:
        failed = _ran(plan, settings)[-1]
    assert failed.state == "failed"
    assert "its image cannot be pulled" in failed.message
    assert "azurecr.io/trefoil-trainer:1" in failed.message


def test_every_scenario_is_tried_here() -> None:
    """A ready-made scenario that nobody tries stops to go wrong one day."""
    whole = tomllib.loads(Path(stand_in.__file__).with_name("scenarios.toml").read_text())
    here = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in whole if f'"{name}"' not in here} == set()
    assert all(scenario["words"] for scenario in whole.values())


def test_a_persons_own_account_is_kept_and_nothing_reaches_it(tmp_path: Path) -> None:
    """Names are theirs, so that the request is the very one; the tracking server is not asked."""
    own = AzureSettings(
        region="uksouth", ml_workspace="ours", tracking_uri="https://mlflow.example",
        compute="cpus",
    )  # fmt: skip
    found = PROVIDER.made_up(own, tmp_path)
    assert (found.region, found.ml_workspace) == ("uksouth", "ours")
    assert found.tracking_uri.startswith("sqlite:///")
    with PROVIDER.rehearse(found, tmp_path, "plain") as settings:
        told = {name: (well, words) for name, well, words, _ in PROVIDER.checks(settings)}
    assert told["workspace"] == (True, "ours in uksouth")
    assert told["cluster"][1].startswith("cpus, ")


def test_no_secret_is_in_the_log_of_a_rehearsal(stages: Stages, tmp_path: Path) -> None:
    secret: Any = "sk_live_0123456789abcdef"
    step = stages().step("make")._replace(env={"STRIPE_KEY": secret})
    with rehearsed(tmp_path, "plain") as settings:
        _ran(stages()._replace(steps=(step,)), settings)
    logged = [str(line) for line in lines(tmp_path / "azure" / "requests.jsonl")]
    assert len(logged) > 5
    assert not any(secret in line for line in logged)


_RUNS = """
import sys
from pathlib import Path
from tests.infra.azure.running import document, plan_of
from tests.infra.azure.test_rehearsals import _ran, rehearsed
folder = Path(sys.argv[1])
with rehearsed(folder / "w", "plain") as settings:
    _ran(plan_of(document("stages", folder / "ir"), how="wait"), settings)
"""


def _until_it_waits(folder: Path) -> None:
    while not (folder / "azure" / "address").exists():
        time.sleep(0.1)
    while True:
        with contextlib.suppress(InputError), rehearsed(folder, None) as settings:
            lines = [each.text for each in PROVIDER.logs(RUN, settings, "", follow=False)]
            if "waiting" in lines:
                return
        time.sleep(0.2)


@contextlib.contextmanager
def _elsewhere(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A rehearsal in a process of its own, whose run waits to be ended."""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", _RUNS, str(folder)], cwd=root) as process:
        try:
            _until_it_waits(folder / "w")
            yield process
        finally:
            process.kill()


def test_a_rehearsal_that_goes_on_elsewhere_can_be_cancelled(tmp_path: Path) -> None:
    """A second terminal is how a person ends a run."""
    with _elsewhere(tmp_path) as process:
        with rehearsed(tmp_path / "w", None) as settings:
            assert PROVIDER.cancel(RUN, settings)
        assert process.wait(60) == 0
    with rehearsed(tmp_path / "w", None) as settings:
        assert PROVIDER.status(RUN, settings).state == "cancelled"


def test_what_a_killed_rehearsal_left_is_ended_by_a_cancel(tmp_path: Path) -> None:
    """Else its steps go on for ever, and the run is running for ever."""
    with _elsewhere(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with rehearsed(tmp_path / "w", None) as settings:
            assert PROVIDER.status(RUN, settings).state == "running"
            assert PROVIDER.cancel(RUN, settings)
        with rehearsed(tmp_path / "w", "plain") as settings:
            assert list(PROVIDER.follow(RUN, settings))[-1].state == "cancelled"
