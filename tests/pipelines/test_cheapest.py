"""``--provider cheapest``: the choice is told, goes on elsewhere once, and never runs twice."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import machines
from infra.errors import (
    CapacityError,
    CredentialsError,
    InputError,
    ProviderError,
    QuotaError,
    TrefoilError,
)
from infra.plan import Event
from pipelines import plan, run
from pipelines.ledger import Ledger, Line
from pipelines.where import where
from tests.pipelines.toys import Toys, two

GOLDEN = Path(__file__).parent.parent / "golden" / "generative.json"
FULL = Event("", "failed", message="there is no machine free", code=1, error="CapacityError")


@pytest.fixture
def toys(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toys]:
    """Two clouds, their buckets named in the environment."""
    monkeypatch.setenv("TREFOIL_BUCKET", "some")
    found = two(monkeypatch, tmp_path / "machines.toml")
    for each in (machines._tables, machines.table):
        each.cache_clear()
    yield found
    for each in (machines._tables, machines.table):
        each.cache_clear()


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    """Our pipeline, compiled already."""
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(json.loads(GOLDEN.read_text(encoding="utf-8"))["pipeline"]))
    return str(file)


def asked(module: Any, pipeline: str, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.configure(parser)
    return parser.parse_args(["--provider", "cheapest", "--pipeline", pipeline, *words])


def ran(pipeline: str, *words: str) -> int:
    return run.run(asked(run, pipeline, *words))


def test_the_cheapest_gets_the_run_and_the_choice_is_told(
    toys: Toys, pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven steps of an hour at most; a price is never told without its date and its source."""
    assert ran(pipeline) == 0
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (1, 0)
    told = capsys.readouterr().err
    steps = "champion, prepare, train, evaluate, register, deploy, report"
    assert f"cheap         $7.00  cheap-1 ({steps})  <- chosen" in told
    assert "dear         $14.00" in told
    assert "as of 2026-11" in told
    assert "https://example.com/prices" in told


def test_a_dry_run_and_plan_tell_the_choice_and_send_nothing(
    toys: Toys, pipeline: str, capsys: pytest.CaptureFixture[str], workspace: Path
) -> None:
    assert ran(pipeline, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["provider"] == "cheap"
    assert "<- chosen" in err
    assert plan.plan(asked(plan, pipeline)) == 0
    out, err = capsys.readouterr()
    assert " on cheap: " in out
    assert "<- chosen" in err
    assert not toys.cheap.sent
    assert not workspace.joinpath("ledger.jsonl").exists()


def test_a_place_is_left_out_with_its_reason(
    toys: Toys, pipeline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One of whose machines no price is known could be the dearest of all."""
    monkeypatch.delenv("TREFOIL_BUCKET")
    settings = tmp_path / "settings.toml"
    settings.write_text('[dear]\nbucket = "some"\n[cheap]\nregion = "somewhere"\n')
    assert ran(pipeline, "--settings", str(settings)) == 0
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (0, 1)
    assert "cheap      left out  cheap needs the setting bucket" in capsys.readouterr().err
    settings.write_text('bucket = "some"\n[cheap]\nmachine = "cheap-odd"\n')
    assert ran(pipeline, "--settings", str(settings), "--no-cache") == 0
    assert "left out  no price is known of cheap-odd" in capsys.readouterr().err
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (0, 2)


def test_ones_own_price_goes_over_the_tables(toys: Toys, pipeline: str) -> None:
    assert ran(pipeline, "--set", 'prices={"dear-1": 0.5}') == 0
    assert len(toys.dear.sent) == 1


def test_a_limit_that_no_place_keeps_to_is_refused(toys: Toys, pipeline: str) -> None:
    assert ran(pipeline, "--max-cost", "7") == 0
    with pytest.raises(InputError, match=r"cheap: .*up to \$7.00(.|\n)*dear: .*up to \$14.00"):
        ran(pipeline, "--max-cost", "6.99", "--param", "seed=3")
    assert len(toys.cheap.sent) == 1


def test_a_mistake_of_the_command_is_told_once(toys: Toys, pipeline: str) -> None:
    with pytest.raises(TrefoilError) as caught:
        ran(pipeline, "--param", "no_such=1")
    assert "no_such" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [CapacityError("all taken"), QuotaError("you may have none")])
def test_a_refused_launch_goes_to_the_next(
    toys: Toys, pipeline: str, error: Exception, capsys: pytest.CaptureFixture[str], workspace: Path
) -> None:
    """Told, and once what may have begun is ended: else both would be paid for."""
    toys.cheap.refuses = error
    assert ran(pipeline) == 0
    (there,) = toys.dear.sent
    assert toys.cheap.reaped == [there.run_id]
    told = capsys.readouterr().err
    assert f"not on cheap: {error}" in told
    assert "going on with dear" in told
    lines = [(each.provider, each.step, each.state) for each in Ledger(workspace).lines()]
    assert lines == [
        ("cheap", "intent", ""), ("cheap", "finished", "failed"),
        ("dear", "intent", ""), ("dear", "submitted", ""), ("dear", "finished", "succeeded"),
    ]  # fmt: skip


def test_a_run_that_ended_for_want_of_machines_goes_to_the_next(
    toys: Toys, pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toys.cheap.ends = [Event("prepare", "succeeded"), Event("train", "failed"), FULL]
    assert ran(pipeline, "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["provider"] == "dear"
    assert "not on cheap: there is no machine free" in err


@pytest.mark.parametrize("flags", [[], ["--no-cache"]])
def test_what_has_effects_is_not_done_twice(
    toys: Toys, pipeline: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that is registered, and then once more elsewhere, is two versions."""
    toys.cheap.ends = [Event("register", "succeeded"), Event("deploy", "failed"), FULL]
    assert ran(pipeline, *flags) == 1
    assert not toys.dear.sent
    assert "register has ended well and is not repeated elsewhere" in capsys.readouterr().err


def test_any_other_failure_stays_where_it_is(toys: Toys, pipeline: str) -> None:
    """A bug in the pipeline fails in every cloud, and is paid for in each."""
    toys.cheap.ends = [FULL._replace(error="StepFailed")]
    assert ran(pipeline) == 1
    for error in (ProviderError("no answer"), CredentialsError("expired")):
        toys.cheap.refuses = error
        with pytest.raises(type(error)):
            ran(pipeline)
    assert not toys.dear.sent


def test_a_run_that_may_go_on_is_no_reason_to_begin_another(
    toys: Toys, pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toys.cheap.refuses, toys.cheap.lost = QuotaError("you may have none"), ProviderError("silence")
    with pytest.raises(QuotaError, match="you may have none"):
        ran(pipeline)
    assert not toys.dear.sent
    assert "it is not known whether" in capsys.readouterr().err


def test_a_run_that_a_place_knows_has_not_ended_because_reaping_was_refused(
    toys: Toys, pipeline: str
) -> None:
    """A refusal for any other reason than that there is no such run."""
    toys.cheap.refuses, toys.cheap.lost = CapacityError("all taken"), InputError("no such bucket")
    with pytest.raises(CapacityError):
        ran(pipeline)
    assert not toys.dear.sent


def test_where_the_last_place_has_none_that_is_the_end(toys: Toys, pipeline: str) -> None:
    toys.cheap.ends = toys.dear.ends = [FULL]
    assert ran(pipeline) == 1
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (1, 1)
    toys.cheap.refuses = toys.dear.refuses = CapacityError("all taken")
    with pytest.raises(CapacityError):
        ran(pipeline)


def test_a_run_that_goes_on_elsewhere_is_gone_on_with(
    toys: Toys, pipeline: str, capsys: pytest.CaptureFixture[str], workspace: Path
) -> None:
    """Watched no longer (Ctrl-C), and the same command again: the cheapest would be a second."""
    assert ran(pipeline) == 0
    (known,) = {(line.plan, line.run_id) for line in Ledger(workspace).lines()}
    Ledger(workspace).append(Line("submitted", known[1], "dear", known[0], 1))
    assert ran(pipeline) == 0
    assert (len(toys.cheap.sent), len(toys.dear.sent)) == (1, 1)
    assert "was sent to dear before; going on with it" in capsys.readouterr().err


def test_the_verbs_find_the_place_that_a_run_was_sent_to(
    toys: Toys, pipeline: str, workspace: Path
) -> None:
    """status, logs and cancel ask the one place that knows of it."""

    def at(run_id: str | None) -> str:
        given = argparse.Namespace(provider="cheapest", run=run_id, settings=None, set=[])
        return where(given).provider.name

    with pytest.raises(InputError, match=r"no run was sent to a cloud.*--provider cheap\|dear"):
        at(None)
    toys.cheap.ends = [FULL]
    assert ran(pipeline) == 0
    assert at(None) == "dear"
    Ledger(workspace).append(Line("submitted", "other-1", "cheap", "d", 1))
    assert (at("other-1"), at(toys.dear.sent[0].run_id)) == ("cheap", "dear")
