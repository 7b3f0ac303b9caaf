"""Where the model comes from and where it went: event, data, model, version, endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.plan import Json
from pipelines.report.facts import Artefact, Facts
from pipelines.report.markup import Content, Markup, tag


def lineage(facts: Facts, schema: Mapping[str, Any]) -> Markup | None:
    """The chain, link by link; None where the pipeline has no such things."""
    links = [*_data(facts, schema), *_dataset(facts, schema), *_model(facts), *_served(facts)]
    if len(links) < 2:
        return None
    return tag("ol", [*_event(facts), *links], class_="lineage")


def _event(facts: Facts) -> list[Markup]:
    """What asked for the run, where no person did."""
    return (
        [_link("Event", facts.event, tag("small", facts.cause or "an event"))]
        if facts.event
        else []
    )


def _data(facts: Facts, schema: Mapping[str, Any]) -> list[Markup]:
    given: Mapping[str, Json] = facts.plan.parameters if facts.plan else {}
    read = schema.get("source")
    source: Mapping[str, Any] = read if isinstance(read, dict) else {}
    name = str(source.get("data") or given.get("data") or "")
    md5 = str(source.get("md5") or given.get("data_md5") or "")
    pin = str(source.get("pin") or given.get("data_pin") or "")
    if not name and not md5:
        return []
    held = f"pinned by DVC, {pin}" if pin else "not pinned"
    return [_link("Data", name, _digest("md5", md5), tag("small", held))]


def _dataset(facts: Facts, schema: Mapping[str, Any]) -> list[Markup]:
    splits = schema.get("splits")
    rows = [
        f"{at['rows']} {part}"
        for part, at in sorted(splits.items() if isinstance(splits, dict) else (), reverse=True)
        if isinstance(at, dict) and "rows" in at
    ]
    return [
        _link(
            "Data set",
            f"from {found.step}",
            _digest("sha256", found.digest),
            tag("small", " and ".join(rows) + " rows") if rows else None,
        )
        for found in _of_kind(facts, "system.Dataset")[:1]
    ]


def _model(facts: Facts) -> list[Markup]:
    recipe = facts.plan.parameters.get("recipe") if facts.plan else None
    models = _of_kind(facts, "system.Model")
    planned = [step.artifacts for step in facts.plan.steps] if facts.plan else []
    if any(artifacts.get("model") == "system.Model" for artifacts in planned):
        models = [found for found in models if found.name == "model"]  # a champion is not of here
    return [
        _link(
            "Model",
            f"from {found.step}",
            _digest("sha256", found.digest),
            tag("small", f"recipe {recipe}") if recipe else None,
        )
        for found in models[:1]
    ]


def _served(facts: Facts) -> list[Markup]:
    links = []
    names = facts.plan.parameters if facts.plan else {}
    if version := facts.output("version"):
        links.append(_link("Registered", f"version {version}", str(names.get("model_name", ""))))
    if url := facts.output("url"):
        safe = url.startswith(("http://", "https://"))
        place = tag("a", url, href=url, rel="noreferrer") if safe else url
        links.append(_link("Endpoint", str(names.get("endpoint", "")), place))
    return links


def _of_kind(facts: Facts, kind: str) -> list[Artefact]:
    return [artefact for artefact in facts.artefacts if artefact.kind == kind]


def _link(label: str, name: str, *rest: Content) -> Markup:
    head = [tag("span", label, class_="label"), tag("b", name or "–")]
    return tag("li", head, [tag("span", each) for each in rest if each])


def _digest(kind: str, digest: str) -> Markup | None:
    if not digest:
        return None
    return tag("code", f"{kind} {digest[:12]}", title=f"{kind} {digest}")
