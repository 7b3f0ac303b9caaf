"""Parts of the report by themselves: the graph's layout, words, colours, a browser."""

from __future__ import annotations

import itertools
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.history import Moment
from infra.plan import All, Compare, Constant, Event, Imported, Not, Output, Parameter, State
from pipelines import conditions
from pipelines.__main__ import main
from pipelines.report import graph as drawing
from pipelines.report import words
from pipelines.report.facts import StepFacts
from pipelines.report.graph import graph
from pipelines.report.layers import arrange, spread
from pipelines.report.markup import Markup, tag, text
from pipelines.report.timeline import sittings
from tests.infra.local.driving import step
from tests.pipelines.reported import EVIL, Page, generative, run

CSS = Path(words.__file__).with_name("style.css").read_text("utf-8")


def test_layers_are_longest_paths_and_implied_arrows_are_left_out() -> None:
    needs = {"a": [], "late": [], "b": ["a"], "c": ["a", "b", "late"], "end": ["a", "b", "c"]}
    layers, links = arrange(needs)
    assert [sorted(layer) for layer in layers] == [["a"], ["b", "late"], ["c"], ["end"]]
    assert sorted(links) == [["a", "b"], ["b", "c"], ["c", "end"], ["late", "c"]]


def test_an_arrow_bends_where_it_passes_a_layer() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "x": ["a"], "d": ["c", "x"]}
    _, links = arrange(needs)
    assert ["x", "x>d@2", "d"] in links


needs_of_plans = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.sets(st.integers(0, max(0, i - 1)), max_size=3) for i in range(n)])
)


@settings(max_examples=60, deadline=None)
@given(needs_of_plans)
def test_no_two_steps_lie_upon_each_other(found: tuple[set[int], ...]) -> None:
    needs = {str(i): [str(n) for n in each if n < i] for i, each in enumerate(found)}
    layers, links = arrange(needs)
    steps = {name for name in itertools.chain(*layers) if name in needs}
    assert steps == set(needs)
    places = spread(layers, links, lambda name: 50.0 if name in needs else 12.0, 20.0)
    for layer in layers:
        for one, other in itertools.pairwise(layer):
            both = one in needs and other in needs
            assert places[other] - places[one] >= (70 if both else 22) - 1e-6
    level = {name: i for i, layer in enumerate(layers) for name in layer}
    for name, before in needs.items():
        assert all(level[each] < level[name] for each in before)


def steps_of(needs: dict[str, list[str]], state: State = "succeeded") -> list[StepFacts]:
    return [
        StepFacts(name, Event(name, state, 65.0), needs=tuple(found))
        for name, found in needs.items()
    ]


@pytest.mark.parametrize(
    ("needs", "drawings"),
    [
        ({f"step-{i}": [f"step-{i - 1}"] if i else [] for i in range(7)}, 2),
        ({f"step-{i}": [f"step-{i - 1}"] if i else [] for i in range(30)}, 1),
        ({f"step-{i}": ["step-0"] if i else [] for i in range(30)}, 1),
        ({f"step-{i}": [f"step-{i - 3}"] if i > 2 else [] for i in range(30)}, 1),
    ],
)
def test_a_graph_is_no_wider_than_the_page(needs: dict[str, list[str]], drawings: int) -> None:
    page = Page(graph(steps_of(needs)))
    found = page.every("svg")
    assert len(found) == drawings
    assert all(float(str(svg["width"])) <= drawing._ROOM for svg in found)
    assert len(page.every("g", "node")) == len(needs) * drawings


def test_a_long_loop_is_one_box() -> None:
    """A box and its arrows for each of a hundred iterations is no drawing, and takes minutes."""
    looped = [
        steps_of({f"train-{n}": ["prepare"]}, "failed" if n == 7 else "cached")[0]
        for n in range(1, 101)
    ]
    needs = [each.name for each in looped]
    shown = [
        *steps_of({"prepare": []}),
        *(each._replace(step=step(each.name)._replace(task=("l", "train"))) for each in looped),
        *steps_of({"pick": needs}),
    ]
    page = Page(graph(shown))
    assert "train × 100" in page.text
    assert len(page.every("g", "node")) == 3 * len(page.every("svg"))
    assert "1 failed, 99 cached" in page.text
    assert len(page.every("g", "arrow")) == 2 * len(page.every("svg"))


def test_what_a_step_imports_is_on_its_box() -> None:
    """An importer is no step: without a word, the data would seem to come from nowhere."""
    imported = Imported(Constant("gs://bucket/data/a.csv"))
    needing = step("use")._replace(inputs={"data": imported})
    shown = steps_of({"use": []})[0]._replace(step=needing)
    page = Page(graph([shown]))
    assert "imports a.csv" in page.text
    assert "imports gs://bucket/data/a.csv" in page.text


def test_names_too_long_are_cut_and_told_whole() -> None:
    name = "a-step-with-a-name-that-no-box-can-hold"
    page = Page(graph(steps_of({name: []})))
    assert re.search(r"a-step-\S*…", page.text)
    assert name in page.text


def moment(at: float, step: str, state: State, seconds: float = 0.0) -> Moment:
    return Moment(Event(step, state, seconds), at)


def test_the_time_between_two_sittings_is_cut_out() -> None:
    moments = [
        moment(0, "", "running"), moment(1, "a", "running"), moment(3, "a", "succeeded", 2),
        moment(3, "b", "running"),  # and the machine went down
        moment(9000, "", "running"), moment(9001, "a", "cached"), moment(9001, "b", "running"),
        moment(9005, "b", "succeeded", 4), moment(9005, "", "succeeded", 5),
    ]  # fmt: skip
    first, second = sittings(moments, None)
    assert [(bar.step, bar.state, bar.start, bar.end) for bar in first.bars] == [
        ("a", "succeeded", 1, 3), ("b", "cancelled", 3, 3),
    ]  # fmt: skip
    assert [(bar.step, bar.end - bar.start) for bar in second.bars] == [("a", 0), ("b", 4)]
    assert sittings(moments[:4], now=8)[0].bars[-1].end == 8


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "1 ms"), (0.004, "4 ms"), (0.32, "0.32 s"), (4.14, "4.1 s"), (59.99, "1 min 00 s"),
     (125, "2 min 05 s"), (11400, "3 h 10 min"), (400000, "4.6 days"), (math.nan, "")],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_conditions_are_said_shortly() -> None:
    passed, flag = Output("evaluate", "passed"), Parameter("flag")
    assert conditions.words(Compare("==", passed, Constant(True))) == "evaluate.passed"
    assert conditions.words(Compare("==", passed, Constant("false"))) == "not evaluate.passed"
    both = All((Not(Compare(">", passed, Constant(0.5))), Compare("!=", flag, Constant("x"))))
    assert conditions.words(both) == "not (evaluate.passed > 0.5) and flag != x"


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", Markup("<b></b>"), title='"<') == (
        '<p title="&quot;&lt;">&lt;b&gt;<b></b></p>'
    )
    assert "<" not in text(EVIL)
    assert "\x1b" not in text(EVIL)
    assert text("\x1b[1;31mred\x1b[0m\r") == "red\ufffd"


def themes() -> list[dict[str, str]]:
    """The colours by name, light and dark."""
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    )
    return [light, light | dark]


def contrast(one: str, other: str) -> float:
    """By WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_every_text_can_be_read_and_every_mark_be_seen(theme: dict[str, str]) -> None:
    for ground in ("page", "paper", "faint"):
        for ink in ("ink", "soft", "link"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    for state in ("succeeded", "cached", "running", "failed", "cancelled", "skipped"):
        assert contrast(theme[state], theme[f"{state}-bg"]) >= 4.5, state
        assert contrast(theme[state], theme["paper"]) >= 4.5, state
        assert contrast(theme[state], theme["faint"]) >= 4.5, state
    for line in ("train", "validation", "test", "accent"):
        assert contrast(theme[line], theme["paper"]) >= 3, line


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    run(tmp_path / "ws", generative(config="<script>document.title = 'taken'</script>"))
    file, shot = tmp_path / "r.html", tmp_path / "r.png"
    assert main(["report", "--out", str(file)]) == 0
    browser = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--enable-logging=stderr", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,1400",
    ]  # fmt: skip
    shown = subprocess.run(
        [*browser, "--dump-dom", f"--screenshot={shot}", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    page = Page(shown.stdout)
    assert "generative-01234567-1 · succeeded" in page.text
    assert "The gate passed" in page.text
    assert "CONSOLE" not in shown.stderr  # nothing was refused, nothing failed
    from PIL import Image

    with Image.open(shot) as picture:
        assert picture.size == (1000, 1400)
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50
