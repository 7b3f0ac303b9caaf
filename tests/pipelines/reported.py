"""Runs to report on, made in a moment: steps that write what the real ones would."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from infra import provider as providers
from infra.local import LocalSettings
from infra.plan import Compare, Constant, FinalStatus, Json, Output, Plan, State, Step
from tests.infra.local.driving import step

VOID = {"br", "img", "meta"}
EVIL = "<script>alert('x')</script>\"'&\x1b[31m\x00\ud800"

JUDGED: dict[str, Any] = {
    "format": 1,
    "metrics": {"bits_per_dim": 2.021, "fd": 1.73, "active_units": 9},
    "anchors": {"real": {"fd": 0.11}, "pixels": {"bits_per_dim": 2.44, "fd": 4.5}},
    "champion": {"version": "3", "metrics": {"bits_per_dim": 2.1, "fd": 1.5}},
    "gate": {
        "passed": True,
        "reasons": [
            {"metric": "active_units", "passed": True, "why": "active_units 9 is at least 2"},
            {"metric": "fd", "passed": False, "why": "fd 1.73 is above the limit 1.5"},
        ],
    },
}
HISTORY: dict[str, Any] = {
    "train": {"step": [*range(50)], "loss": [3 / (i + 1) for i in range(50)]},
    "validation": {"step": [0, 10, 20], "loss": [3.0, None, 0.4]},
    "best_step": 20,
}
SCHEMA = {
    "splits": {"test": {"rows": 450}, "train": {"rows": 1347}},
    "source": {"data": "digits", "md5": "9b335364a7bf", "pin": "data/digits.dvc"},
}


def png(width: int = 4, height: int = 4) -> bytes:
    """A grey picture, without a library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes([128]) * width for _ in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def writes(output: str, files: Mapping[str, object]) -> str:
    """A script that writes files below an output: bytes as they are, the rest as JSON."""
    held = {
        name: list(each if isinstance(each, bytes) else json.dumps(each).encode())
        for name, each in files.items()
    }
    return (
        f"from pathlib import Path; d = Path(place['{output}']); files = {held!r}; "
        "[(d.joinpath(n).parent.mkdir(parents=True, exist_ok=True), "
        "d.joinpath(n).write_bytes(bytes(b))) for n, b in files.items()]"
    )


def generative(
    passed: bool = True, train: str = "", judged: object = None, **parameters: Json
) -> Plan:
    """The real pipeline's shape: names, kinds and what is written, but for the science."""
    figures = {"figures/samples.png": png(), "figures/curves.png": png(5)}
    word = f"; open(place['passed'], 'w').write('{json.dumps(passed)}')"
    evaluation = {"metrics.json": JUDGED if judged is None else judged, **figures}
    gate = Compare("==", Output("evaluate", "passed"), Constant(True))
    trained = train or writes("model", {"model.safetensors": b"m", "history.json": HISTORY})
    data = writes("dataset", {"schema.json": SCHEMA, "train.parquet": b"rows"})
    steps = [
        _of(step("prepare", data, makes=["dataset"]), "system.Dataset"),
        _of(
            step("train", trained, makes=["model"], takes={"dataset": "prepare.dataset"}),
            "system.Model",
        ),
        _of(
            step(
                "evaluate", writes("evaluation", evaluation) + word, makes=["evaluation"],
                values={"passed": "BOOLEAN"}, takes={"model": "train.model"},
            ),
            "system.Metrics",
        ),
        step(
            "register", "open(place['version'], 'w').write('4')", values={"version": "STRING"},
            takes={"model": "train.model"}, when=gate, cache=False,
        ),
        step(
            "deploy", "open(place['url'], 'w').write('http://127.0.0.1:4311')",
            values={"url": "STRING"}, takes={"model": "train.model"}, when=gate, cache=False,
            after=("register",),
        ),
    ]  # fmt: skip
    last = step("report", "print('all is said')", always=True, cache=False)
    status = FinalStatus("always-report", tuple(each.name for each in steps))
    steps.append(last._replace(inputs={"status": status}))
    given: dict[str, Json] = {"data": "digits", "recipe": "vae", "model_name": "digits-vae"}
    return Plan("generative", tuple(steps), {**given, **parameters}, "Train and serve.")


def run(workspace: Path, plan: Plan, run_id: str = "generative-01234567-1") -> State:
    """Run the plan to its end; returns the state."""
    own = LocalSettings(workspace=str(workspace))
    place = providers.get("local")
    request = place.lower(plan, own, run_id)
    context = {"TREFOIL_GIT_COMMIT": "0123456789abcdef+"}
    return [*place.follow(place.submit(request, own, lambda: context), own)][-1].state


class Page(HTMLParser):
    """A document as elements and text; a tag that is not closed in its turn is an error."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.css = ""
        self._open: list[str] = []
        self.feed(document)
        self.close()
        assert not self._open

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def every(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        """Attributes of the elements of a name, and class."""
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if not kind or kind in (a.get("class") or "").split()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.css += data
        else:
            self.words.append(data)


def _of(made: Step, kind: str) -> Step:
    return made._replace(artifacts=dict.fromkeys(made.artifacts, kind))
