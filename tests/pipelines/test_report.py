"""The report: one file, whole and safe, whatever became of the run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.plan import Plan, Retry
from pipelines.__main__ import main
from pipelines.ledger import Ledger, Line
from tests.infra.local.driving import step
from tests.pipelines.reported import EVIL, JUDGED, Page, generative, png, run, writes

RUN = "generative-01234567-1"
RAISES = "raise SystemExit(print('the loss was NaN', '<b>at</b> step 812') or 1)"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


def reported(workspace: Path, run_id: str = RUN) -> Page:
    """Report on a run; what every report must be is checked here."""
    assert main(["report", run_id]) == 0
    document = (workspace / "reports" / f"{run_id}.html").read_text("utf-8")
    assert len(document) < 1_000_000
    page = Page(document)
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "base", "form", "use"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "srcset"
            if name == "src":
                assert str(value).startswith("data:image/")
            if name == "href":
                assert tag == "a"
                assert str(value).startswith(("http://", "https://"))
    assert "url(" not in page.css
    assert "@import" not in page.css
    policy = page.every("meta")[3]["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert page.every("html")[0]["lang"] == "en"
    return page


def test_a_run_that_went_well_is_told_whole(workspace: Path) -> None:
    digest = "e3258f2a8797" + "0" * 52
    Ledger(workspace).append(Line("intent", RUN, "local", digest, 1))
    assert run(workspace, generative()) == "succeeded"
    page = reported(workspace)
    for words in (
        RUN, "6 steps: 6 succeeded", "Train and serve.", "0123456789ab", "uncommitted changes",
        "e3258f2a8797", "md5 9b335364a7bf pinned by DVC, data/digits.dvc",
        "1347 train and 450 test rows", "version 4", "The gate passed",
        "fd 1.73 is above the limit 1.5", "Champion v3",
        "0.079 better", "0.23 worse", "Real data", "kept: step 20", "Loss over step",
        "if evaluate.passed", "recipe", "stands in for the image", "evaluate.evaluation",
    ):  # fmt: skip
        assert words in page.text, words
    assert "Could not be shown" not in page.text
    assert "What went wrong" not in page.text
    assert [image["alt"] for image in page.every("img")] == [
        "Samples, a picture from the step evaluate"  # the curves are drawn anew
    ]
    assert [link["href"] for link in page.every("a")] == ["http://127.0.0.1:4311"]
    bars = page.every("span", "bar")
    assert [str(bar["title"]).split()[0] for bar in bars] == [
        "prepare", "train", "evaluate", "register", "deploy", "report",
    ]  # fmt: skip


def test_the_event_that_started_a_run_stands_before_its_data(workspace: Path) -> None:
    """With its reason where this workspace sent the run; its name is known anywhere."""
    event = "push-25eb80d0cee2"
    name = f"generative-01234567-{event}"
    run(workspace, generative(), name)
    assert f"Event {event} an event Data" in reported(workspace, name).text
    cause = "data/cats.dvc changed <b>"
    Ledger(workspace).append(Line("intent", name, "local", "d", 0, event=event, cause=cause))
    assert f"Event {event} {cause} Data" in reported(workspace, name).text


def test_cached_steps_are_marked(workspace: Path) -> None:
    run(workspace, generative())
    run(workspace, generative(), "generative-01234567-2")
    page = reported(workspace, "generative-01234567-2")
    assert "3 cached" in page.text
    assert len(page.every("span", "point")) == 3
    assert page.every("tr")  # and the artefacts are still those of the first run
    assert "sha256" in page.text


def test_the_gates_no_is_told_with_its_reasons(workspace: Path) -> None:
    run(workspace, generative(passed=False))
    page = reported(workspace)
    assert "The gate said no missed fd 1.73 is above the limit 1.5 held active_units" in page.text
    assert "its condition does not hold" in page.text
    assert "Registered" not in page.text
    assert page.every("a") == []


def test_a_failed_run_shows_why_and_its_last_lines(workspace: Path) -> None:
    assert run(workspace, generative(train=RAISES)) == "failed"
    page = reported(workspace)
    start = page.text.index("What went wrong")
    assert page.text[start:].startswith(
        "What went wrong train ended with exit code 1 The last lines of train "
        "the loss was NaN <b>at</b> step 812"
    )
    assert "train did not succeed" in page.text
    assert "Metrics" not in page.text


def test_earlier_attempts_are_told(workspace: Path) -> None:
    script = "time.sleep(0.05); sys.exit(os.environ['TREFOIL_ATTEMPT'] == '1')"
    run(workspace, Plan("p", (step("flaky", script, retry=Retry(1, 0.1)),)), "p-1")
    page = reported(workspace, "p-1")
    assert "2 attempts" in page.text
    assert len(page.every("span", "earlier")) == 1


def test_text_of_a_run_is_never_markup(workspace: Path) -> None:
    judged = {
        "metrics": {EVIL: 1.0, "fd": "</td>"},
        "anchors": {EVIL: {EVIL: 2.0}},
        "champion": {"version": EVIL, "metrics": {EVIL: 3.0}},
        "gate": {"passed": EVIL, "reasons": [{"passed": False, "why": EVIL}]},
    }
    evil = step("x", f"print({EVIL[:-1]!r}); sys.exit(1)")
    name = "<img src=x onerror=alert(1)>"
    plan = generative(judged=judged, config=EVIL)
    files = step("files", writes("<b>", {f"{name}.txt": 1}), makes=["<b>"])
    plan = plan._replace(
        name=EVIL,
        description=EVIL,
        parameters={**plan.parameters, EVIL: EVIL},
        steps=(*plan.steps, evil._replace(name="<i>evil"), files),
    )
    run(workspace, plan)
    page = reported(workspace)  # which has no script, handler or foreign source
    assert page.text.count("<script>alert('x')</script>\"'&") >= 6
    assert name in page.text
    assert {tag for tag, _ in page.elements}.isdisjoint({"i>evil", "b>"})
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page.text)


def test_an_endpoint_that_is_no_web_address_is_no_link(workspace: Path) -> None:
    script = "open(place['url'], 'w').write('javascript:alert(1)')"
    plan = Plan("p", (step("deploy", script, values={"url": "STRING"}),), {"data": "d"})
    run(workspace, plan, "p-1")
    page = reported(workspace, "p-1")
    assert "javascript:alert(1)" in page.text
    assert page.every("a") == []


def test_any_pipeline_has_a_report(workspace: Path) -> None:
    """Artefacts nobody knows: numbers, a picture that is a file, a file that is none."""
    numbers = "open(place['scores'], 'w').write('{\"accuracy\": 0.9}')"
    picture = f"open(place['plot.png'], 'wb').write(bytes({list(png())}))"
    cut = f"open(place['cut.png'], 'wb').write(bytes({list(png()[:20])}))"
    steps = (
        step("a", numbers, makes=["scores"])._replace(artifacts={"scores": "system.Metrics"}),
        step("b", f"{picture}; {cut}", makes=["plot.png", "cut.png"], after=("a",)),
        step("c", "open(place['n'], 'w').write('5')", values={"n": "NUMBER_INTEGER"}),
    )
    assert run(workspace, Plan("own", steps), "own-1") == "succeeded"
    page = reported(workspace, "own-1")
    assert "accuracy" in page.text
    assert "0.9" in page.text
    assert len(page.every("img")) == 1
    assert "cut.png of b is no whole picture" in page.text
    assert "c.n 5" in page.text
    assert "The gate" not in page.text


def damage(workspace: Path, kind: str) -> None:
    place = workspace / "runs" / RUN
    outputs = place / "steps" / "evaluate" / "outputs"
    match kind:
        case "request":
            (place / "request.json").write_text("{")
        case "request gone":
            (place / "request.json").unlink()
        case "manifest":
            (outputs / "manifest.json").write_text("[1]")
        case "outputs gone":
            shutil.rmtree(outputs.resolve())
        case "metrics":
            (outputs / "outputs/evaluation/metrics.json").write_bytes(b"\xff{" + b"[" * 99999)
        case "artefact gone":
            shutil.rmtree(outputs / "outputs/evaluation")
        case "picture":
            (outputs / "outputs/evaluation/figures/samples.png").write_bytes(b"GIF")
        case "logs":
            for log in place.glob("steps/*/*.log"):
                log.unlink()
        case "events":
            with (place / "events.jsonl").open("ab") as events:
                events.write(b'\x00\xff\n{"is": 1}\n[]\n{"step"')


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("request", "the plan of this run cannot be read"),
        ("request gone", "the plan of this run cannot be read"),
        ("manifest", "the output passed of evaluate is gone or damaged"),
        ("outputs gone", "the output evaluation of evaluate is gone or damaged"),
        ("metrics", "metrics.json of evaluate cannot be read"),
        ("artefact gone", "the output evaluation of evaluate is gone"),
        ("picture", "samples.png of evaluate is no whole picture"),
        ("logs", ""),
        ("events", ""),
    ],
)
def test_damage_is_said_and_hides_nothing_else(
    workspace: Path, kind: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(workspace, generative())
    damage(workspace, kind)
    page = reported(workspace)
    assert words in page.text
    assert words in capsys.readouterr().err
    assert ("Could not be shown" in page.text) == bool(words)
    assert "6 steps: 6 succeeded" in page.text
    assert len(page.every("span", "bar")) == 6


@pytest.mark.parametrize(
    "judged",
    [
        [], 5, {"metrics": []}, {"metrics": {"fd": None, "kid": [1], "score": {"a": 1}}},
        {"metrics": {"fd": float("nan"), "kid": float("inf"), "score": 10**400}},
        {**JUDGED, "anchors": [1], "champion": "x", "gate": {"reasons": [1, {"why": None}]}},
        {**JUDGED, "champion": {"version": None, "metrics": {"fd": 10**400, "kid": True}}},
    ],
)  # fmt: skip
def test_odd_measurements_are_no_error(workspace: Path, judged: Any) -> None:
    run(workspace, generative(judged=judged))
    assert "6 steps: 6 succeeded" in reported(workspace).text


def test_a_run_that_goes_on_and_one_that_was_cut_off(workspace: Path) -> None:
    script = (
        "import sys; from tests.pipelines.reported import *; from pathlib import Path; "
        "run(Path(sys.argv[1]), Plan('p', (step('quick'), step('slow', 'time.sleep(60)', "
        "after=('quick',)), step('later', after=('slow',)))), 'p-1')"
    )
    driver = subprocess.Popen([sys.executable, "-c", script, str(workspace)])
    try:
        events = workspace / "runs" / "p-1" / "events.jsonl"
        deadline = time.monotonic() + 60
        while not events.exists() or '"step": "slow"' not in events.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        page = reported(workspace, "p-1")
        assert "running 3 steps: 1 succeeded, 1 running, 1 waiting" in page.text
        assert "so far" in page.text
        assert len(page.every("span", "bar")) == 2
    finally:
        driver.kill()
        driver.wait()
    page = reported(workspace, "p-1")
    assert "Why it ended early the process of this run is gone" in page.text
    run(workspace, Plan("p", (step("quick"),)), "p-1")  # and it ends in a second sitting
    assert "in 2 sittings" in reported(workspace, "p-1").text


def test_runs_from_before_times_were_kept_have_no_bars(workspace: Path) -> None:
    run(workspace, generative())
    events = workspace / "runs" / RUN / "events.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    keep = [{key: line[key] for key in line.keys() - {"at", "commit"}} for line in lines]
    events.write_text("".join(json.dumps(line) + "\n" for line in keep))
    page = reported(workspace)
    assert page.every("span", "bar") == []
    assert "Git commit" not in page.text
    assert "Wall time" in page.text


def test_where_it_is_written(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(workspace, Plan("p", (step("a"),)), "p-1")
    file = tmp_path / "deep" / "r.html"
    assert main(["report", "--out", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run_id": "p-1", "file": str(file)}
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert main(["report", "p-1"]) == 0
    assert capsys.readouterr().out == f"{workspace / 'reports' / 'p-1.html'}\n"
    assert main(["report", "p-1", "--out", str(tmp_path)]) == InputError.exit_code
    assert "the report cannot be written" in capsys.readouterr().err


def test_a_run_that_is_not_there(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == InputError.exit_code
    assert main(["report", "p-1"]) == InputError.exit_code
    assert "there is no run p-1 here" in capsys.readouterr().err
    assert not workspace.exists()
