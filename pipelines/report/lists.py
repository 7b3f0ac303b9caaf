"""Parameters, values, pictures, notes and files: what is simply listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from infra.plan import Json
from infra.redaction import redacted
from pipelines.report import words
from pipelines.report.contents import Picture
from pipelines.report.facts import Artefact, StepFacts
from pipelines.report.markup import Markup, tag

_FILES = 60
"""Files listed of one artefact."""
_DENSITY = 1.6
"""Pixels of a larger picture in one of the page, so that it is sharp on fine screens."""
_CAPTION = {
    "samples": "Held-out images on the left, what the model drew on the right",
    "reconstructions": "Held-out images above, rebuilt below",
    "interpolation": "From one held-out image to another",
}


def parameters(found: Mapping[str, Json]) -> Markup:
    """Names and values."""
    pairs = [_pair(name, value) for name, value in redacted(dict(found)).items()]
    return tag("dl", pairs, class_="pairs")


def values(steps: Iterable[StepFacts]) -> Markup | None:
    """The output parameters of all steps."""
    pairs = [
        _pair(f"{step.name}.{name}", value)
        for step in steps
        for name, value in redacted(dict(step.values)).items()
    ]
    return tag("dl", pairs, class_="pairs") if pairs else None


def pictures(found: Sequence[Picture]) -> Markup:
    """Every picture with its name; small ones keep hard pixels."""
    return tag("div", [_picture(each) for each in found], class_="pictures")


def notes(found: Iterable[str]) -> Markup:
    """Sentences."""
    return tag("ul", [tag("li", note) for note in found], class_="notes")


def logs(steps: Iterable[StepFacts]) -> list[Markup]:
    """The last lines of each step that ended badly."""
    return [
        tag(
            "figure",
            tag("figcaption", "The last lines of ", tag("b", step.name)),
            tag("pre", "\n".join(step.log), tabindex=0),
            class_="log",
        )
        for step in steps
        if step.log
    ]


def files(found: Sequence[Artefact]) -> Markup:
    """Each artefact, its digest, and on demand its files with theirs."""
    return tag("div", [_artefact(each) for each in found], class_="artefacts")


def _pair(name: str, value: Json) -> Markup:
    shown = words.value(value)
    empty = tag("span", "empty", class_="none")
    return tag("div", tag("dt", name), tag("dd", tag("code", shown) if shown else empty))


def _picture(found: Picture) -> Markup:
    title = words.title(found.name)
    wide = found.width / _DENSITY if found.width > 300 else found.width
    image = tag(
        "img", src=found.uri, alt=f"{title}, a picture from the step {found.step}",
        width=round(wide) or None,
        class_="pixels" if 0 < found.width <= 128 else None,
    )  # fmt: skip
    caption = _CAPTION.get(found.name, f"from {found.step}")
    return tag("figure", image, tag("figcaption", tag("b", title), tag("span", caption)))


def _artefact(found: Artefact) -> Markup:
    kind = found.kind.removeprefix("system.")
    head = [
        tag("b", f"{found.step}.{found.name}"),
        tag("span", kind, class_="kind") if kind else None,
    ]
    if found.files is None:
        why = "its files were not read" if found.path else "it does not lie here"
        return tag(
            "section", tag("p", head, tag("small", why)), tag("code", found.place, class_="place")
        )
    total = words.size(sum(_size(each) for each in found.files.values()))
    count = f"{len(found.files)} file{'s' * (len(found.files) != 1)}, {total}"
    rows = [
        tag(
            "tr",
            tag("th", found.path.name if name == "." and found.path else name, scope="row"),
            tag("td", words.size(_size(each)), class_="figure"),
            tag("td", tag("code", str(each[1]))),
        )
        for name, each in list(found.files.items())[:_FILES]
    ]
    more = len(found.files) - len(rows)
    return tag(
        "details",
        tag("summary", head, tag("small", count), tag("code", f"sha256 {found.digest[:12]}")),
        tag("code", found.place, class_="place"),
        tag("code", f"sha256 {found.digest}", class_="place"),
        tag("div", tag("table", tag("tbody", rows)), class_="scroll"),
        tag("p", tag("small", f"and {more} more files")) if more > 0 else None,
    )


def _size(entry: Sequence[Json]) -> float:
    return float(entry[0]) if isinstance(entry[0], int | float) else 0.0
