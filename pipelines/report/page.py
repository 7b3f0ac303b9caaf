"""The document: what a person wants to know first stands first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.plan import FINAL, State
from pipelines.report import contents, curves, lineage, lists, measures, series, timeline, words
from pipelines.report.contents import Contents
from pipelines.report.facts import Facts
from pipelines.report.graph import graph
from pipelines.report.marks import badge, logo
from pipelines.report.markup import Content, Markup, style_sheet, tag
from pipelines.report.timeline import Sitting

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
"""Nothing is loaded and no script runs, whatever a run may have put into its texts."""


def page(facts: Facts) -> str:
    """The whole HTML document."""
    found = contents.read(facts)
    facts.problems.extend(found.problems)
    going = facts.state not in FINAL
    sat = timeline.sittings(facts.moments, facts.now if going else None)
    body = [
        _header(facts, sat),
        tag("main", [part for part in _sections(facts, found, sat) if part]),
        _footer(facts),
    ]
    css = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{facts.run.run_id} · {facts.state}"),
        style_sheet(css),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _sections(facts: Facts, found: Contents, sat: list[Sitting]) -> list[Markup | None]:
    passed = next((s.values["passed"] for s in facts.steps if "passed" in s.values), None)
    charts = series.charts(found.history)
    shown = [
        ("Could not be shown", lists.notes(facts.problems), facts.problems),
        ("Steps", _steps(facts), facts.steps),
        ("Gate", measures.gate(found.judged, passed), True),
        ("Metrics", measures.table(found.judged), True),
        ("Training", curves.curves(charts), charts),
        ("Pictures", lists.pictures(found.pictures), found.pictures),
        ("Timeline", timeline.timeline(facts, sat), facts.steps),
        ("Parameters", _parameters(facts), facts.plan and facts.plan.parameters),
        ("Results of steps", lists.values(facts.steps), True),
        ("Notes", lists.notes(facts.notes), facts.notes),
        ("Files", lists.files(facts.artefacts), facts.artefacts),
    ]
    return [
        _trouble(facts),
        _section("From data to endpoint", lineage.lineage(facts, found.schema)),
        *(_section(title, content) for title, content, there in shown if there),
    ]


def _section(title: str, content: Content) -> Markup | None:
    if not content:
        return None
    name = title.lower().replace(" ", "-")
    return tag("section", tag("h2", title), content, id=name, class_="part")


def _header(facts: Facts, sat: list[Sitting]) -> Markup:
    commit = [[tag("code", each.rstrip("+")[:12]), " "] for each in facts.commits]
    changed = any(each.endswith("+") for each in facts.commits)
    pairs: list[tuple[str, Content]] = [
        ("Pipeline", facts.pipeline),
        ("Provider", facts.run.provider),
        ("Started", _time(facts.begun)),
        ("Wall time", _wall(facts, sat)),
        ("Git commit", [*commit, tag("small", "with uncommitted changes") if changed else None]),
        ("Plan digest", tag("code", facts.digest[:12], title=facts.digest)),
    ]
    known = [(name, content) for name, content in pairs if _is_there(name, content, facts)]
    description = facts.plan.description if facts.plan else ""
    return tag(
        "header",
        tag("p", logo(), "Run report", class_="brand"),
        tag("h1", facts.run.run_id),
        tag("p", badge(facts.state), _tally(facts), class_="headline"),
        tag("p", description, class_="description") if description else None,
        tag(
            "dl",
            [tag("div", tag("dt", name), tag("dd", content)) for name, content in known],
            class_="facts",
        ),
    )


def _is_there(name: str, content: Content, facts: Facts) -> bool:
    if name == "Git commit":
        return bool(facts.commits)
    return bool(facts.digest) if name == "Plan digest" else bool(content)


def _tally(facts: Facts) -> Markup:
    """How many steps ended how: 5 succeeded, 2 cached."""
    count: dict[State, int] = {}
    for step in facts.steps:
        count[step.state] = count.get(step.state, 0) + 1
    said = ", ".join(f"{number} {state}" for state, number in count.items())
    steps = f"{len(facts.steps)} step{'s' * (len(facts.steps) != 1)}"
    return tag("span", f"{steps}: {said}" if said else "no step yet")


def _wall(facts: Facts, sat: list[Sitting]) -> Content:
    last = next((m.event for m in reversed(facts.moments) if not m.event.step), None)
    if len(sat) > 1:
        whole = words.duration(sum(each.seconds for each in sat))
        return [whole, tag("small", f"in {len(sat)} sittings")]
    if last and last.state in FINAL and last.seconds:
        return words.duration(last.seconds)
    if not sat:
        return ""
    small = tag("small", "so far") if facts.state not in FINAL else None
    return [words.duration(sat[-1].seconds), small]


def _trouble(facts: Facts) -> Markup | None:
    """What went wrong, in the words of the run and of its steps."""
    failed = [step for step in facts.steps if step.state == "failed"]
    if facts.state not in ("failed", "cancelled"):
        return None
    said = [facts.message.splitlines()[0]] if facts.message else []
    said += [step.event.message.splitlines()[0] for step in failed if step.event.message]
    title = "What went wrong" if failed else "Why it ended early"
    return tag(
        "section",
        tag("h2", title),
        [tag("p", sentence) for sentence in dict.fromkeys(said)],
        lists.logs(facts.steps),
        class_=f"part trouble {facts.state}",
    )


def _steps(facts: Facts) -> Content:
    return tag("div", graph(facts.steps), class_="scroll", tabindex=0, role="region",
               aria_label="Graph of the steps")  # fmt: skip


def _parameters(facts: Facts) -> Markup:
    given: Any = facts.plan.parameters if facts.plan else {}
    return lists.parameters(given)


def _time(at: float | None) -> Content:
    date, clock, machine = words.moment(at)
    return tag("time", date, " ", tag("small", clock), datetime=machine) if date else ""


def _footer(facts: Facts) -> Markup:
    return tag(
        "footer",
        tag("p", "Written ", _time(facts.now), " by ",
            tag("code", f"python -m pipelines report {facts.run.run_id}"),
            ". It loads nothing and runs no script."),
    )  # fmt: skip
