"""One spool on its way to MLflow, taken up again wherever an earlier sender was cut off.

One MLflow run stands for the pipeline run, and one nested in it for each step. After each batch
the places reached are saved (state.json). What is sent a second time, because a sender died before
it had saved, is the same to the last bit, timestamps included, and MLflow keeps it once.

A step that is tried again goes on in the same MLflow run. Resumed from a checkpoint, it repeats
some steps of its loop; of those the first telling stands. Made of something else, after its code
was mended, it is another step, and gets a run of its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.sink import MADE_OF, PARENT, Sink, metric, params, tags
from components.spool import RUN
from infra import mlflow
from infra.redaction import redacted
from infra.storage import remove, write_whole

if TYPE_CHECKING:
    from components.sink import Entity

_BATCH = 900
_PLAIN = {"metrics", "params", "tags"}


class _Line(NamedTuple):
    """A line, and the place behind it."""

    data: dict[str, Any]
    end: int


class Delivery:
    """Sends one spool. Whoever calls holds the spool's lock."""

    def __init__(self, spool: Path, uri: str) -> None:
        self._spool, self._uri = spool, uri
        self._state: dict[str, Any] = {
            "facts": {}, "began": 0, "run": "", "experiment": "", "places": {}, "steps": {},
            "deleted": [], "ended": None, "finish": None, "done": False,
        }  # fmt: skip
        with contextlib.suppress(OSError, ValueError):
            self._state |= json.loads((spool / "state.json").read_text(encoding="utf-8"))
        self._sink: Sink | None = None
        self._nested: dict[tuple[str, str], str] | None = None

    def waits(self) -> bool:
        """Whether there is anything to send, and to this server."""
        return self.unsent() in ("", redacted(self._uri))

    def unsent(self) -> str | None:
        """The server that something waits for, empty where none was named; None: all is sent."""
        if self._state["done"] and not self._unread():
            return None
        with contextlib.suppress(StopIteration, OSError):
            server = next(self._lines(RUN, 0)).data.get("run", {}).get("server")
            return server if isinstance(server, str) else None
        return None

    def ended(self) -> bool:
        """Whether the spool says that nothing will follow."""
        return any("finish" in line.data for line in self._lines(RUN, 0))

    def silent(self) -> float:
        """Seconds since anybody wrote."""
        return time.time() - max((file.stat().st_mtime for file in self._files()), default=0.0)

    def pump(self) -> bool:
        """Send what is there by now; True when the run has ended and all of it is sent.

        Raises TrefoilError and MLflow's errors where it is not taken.
        """
        if self._unread():
            for line in self._lines(RUN, self._place(RUN)):
                self._of_run(line.data)
                self._state["places"][RUN] = line.end
            if not self._state["facts"]:
                return False
            self._connected()
            for file in self._files():
                if file.stem != RUN:
                    self._of_step(file.stem)
            self._save()
        if self._state["finish"] is None:
            return False
        if not self._state["done"]:
            self._finish()
        return True

    def abandon(self) -> None:
        """Call the run killed: nobody drives it any more. Whoever resumes it opens it again."""
        if self._state["facts"]:
            self._end_steps()
            self._connected().end(self._state["run"], "cancelled", None)
            self._state["done"] = True
            self._save()

    # What the lines mean

    def _of_run(self, line: dict[str, Any]) -> None:
        state = self._state
        if "run" in line:
            state["facts"], state["began"], state["finish"] = line["run"], line["at"], None
            if state["done"]:  # it is resumed
                state["done"] = False
                self._connected().reopen(state["run"])
        elif "ended" in line:
            state["ended"] = line
        elif "finish" in line:
            state["finish"] = line

    def _of_step(self, step: str) -> None:
        batch: list[Entity] = []
        sent = place = self._place(step)
        for data, end in self._lines(step, place):
            plain = bool(data.keys() & _PLAIN)
            if plain:
                batch += self._entities(step, data)
            if batch and (not plain or len(batch) >= _BATCH):
                self._connected().log(self._run_of(step), batch)
                batch, sent = [], end if plain else place
                self._reached(step, sent)
            if not plain:
                self._special(step, data)
                self._reached(step, end)
                sent = end
            place = end
        if place > sent:
            self._connected().log(self._run_of(step), batch)
            self._reached(step, place)

    def _entities(self, step: str, data: dict[str, Any]) -> Iterator[Entity]:
        known = self._state["steps"].setdefault(step, _new_step())
        for at, number, values in data.get("metrics", ()):
            for name, value in values.items():
                told_before = 0 < number <= known["seen"].get(name, 0)
                if not told_before or name.startswith("system/"):
                    known["high"][name] = max(number, known["high"].get(name, 0))
                    yield metric(name, value, at, number)
        yield from params(data.get("params", {}))
        yield from tags(data.get("tags", {}))

    def _special(self, step: str, data: dict[str, Any]) -> None:
        if "open" in data:
            self._begin(step, data.get("of", ""))
        run = self._run_of(step, data.get("at"))
        sink, known = self._connected(), self._state["steps"][step]
        if "open" in data:
            highest = {
                name: max(at, known["seen"].get(name, 0)) for name, at in known["high"].items()
            }
            known["seen"], known["high"], known["closed"] = known["seen"] | highest, {}, False
            sink.reopen(run)
        elif "run_tags" in data:
            sink.log(self._state["run"], list(tags(data["run_tags"])))
        elif "dataset" in data:
            sink.dataset(run, data["dataset"])
        elif "artifact" in data:
            sink.artifact(run, self._spool / data["artifact"], data["to"])
        elif "close" in data:
            known["closed"] = True
            if self._flat():
                self._state["ended"] = {"ended": data["close"], "at": data["at"]}
            else:
                sink.end(run, data["close"], data["at"])

    def _begin(self, step: str, made_of: str) -> None:
        """An attempt; where it is made of something else than the one before, a step anew."""
        known = self._state["steps"].setdefault(step, _new_step())
        if known["run"] and known.get("of", "") != made_of and not self._flat():
            self._state["steps"][step] = known = _new_step()
        known["of"] = made_of

    def _finish(self) -> None:
        state, sink = self._state, self._connected()
        finish, ended = state["finish"], state["ended"]
        self._end_steps()
        if finish["finish"]:
            sink.end(state["run"], finish["finish"], finish["at"])
        elif ended:
            sink.end(state["run"], ended["ended"], ended["at"])
        state["done"] = True
        self._save()
        if state["facts"]["alone"] or finish["finish"] == "succeeded":
            shutil.rmtree(self._spool, ignore_errors=True)
        else:  # it may be resumed: then what was told is needed, but not its pictures
            remove(self._spool / "files")

    def _end_steps(self) -> None:
        """End the runs of steps that were killed before they could say how they ended."""
        for known in self._state["steps"].values():
            if known["run"] and not known["closed"] and not self._flat():
                self._connected().end(known["run"], "cancelled", None)
                known["closed"] = True

    # The runs

    def _connected(self) -> Sink:
        """The sink, once the pipeline run's own MLflow run is there. Raises TrefoilError."""
        if self._sink is not None:
            return self._sink
        state, facts = self._state, self._state["facts"]
        client = mlflow.connect(self._uri)
        sink = Sink(client, state["deleted"], facts["into"])
        with mlflow.told(self._uri):
            if state["run"]:
                pass
            elif facts["into"]:
                state["experiment"] = client.get_run(facts["into"]).info.experiment_id
                state["run"] = facts["into"]
                sink.log(state["run"], list(tags(facts["tags"])))
            else:
                named = {
                    "MLFLOW_EXPERIMENT_NAME": facts["experiment"],
                    "MLFLOW_EXPERIMENT_ID": facts["experiment_id"],
                }
                state["experiment"] = mlflow.experiment(client, self._uri, named)
                state["run"] = mlflow.pipeline_run(
                    client, self._uri, state["experiment"], facts["id"], facts["tags"],
                    state["began"],
                )  # fmt: skip
                sink.log(state["run"], list(params(facts.get("params", {}))))
                if not facts["alone"]:  # else others speak for it, and may have ended it
                    sink.reopen(state["run"])
        self._save()
        self._sink = sink
        return sink

    def _run_of(self, step: str, began: int | None = None) -> str:
        """MLflow's id of a step's run, made where there is none."""
        known = self._state["steps"].setdefault(step, _new_step())
        if not known["run"]:
            known["run"] = self._state["run"] if self._flat() else self._nest(step, began)
            self._save()
        found: str = known["run"]
        return found

    def _nest(self, step: str, began: int | None) -> str:
        state, sink = self._state, self._connected()
        if self._nested is None:
            self._nested = sink.nested(state["experiment"], state["run"], mlflow.KIND)
        made_of = state["steps"][step].get("of", "")
        if (step, made_of) not in self._nested:
            about = {
                PARENT: state["run"],
                mlflow.KIND: "step",
                mlflow.RUN_ID: state["facts"]["id"],
                "trefoil.step": step,
                MADE_OF: made_of,
                "mlflow.source.name": f"components.{step}",
                **state["facts"]["tags"],
            }
            made = sink.nest(state["experiment"], step, began, about)
            self._nested[step, made_of] = made
        return self._nested[step, made_of]

    def _flat(self) -> bool:
        """Whether the spool is of one step, and one MLflow run takes all that it tells."""
        return bool(self._state["facts"]["flat"])

    # The files

    def _files(self) -> list[Path]:
        return sorted(self._spool.glob("*.jsonl"))

    def _unread(self) -> bool:
        return any(file.stat().st_size > self._place(file.stem) for file in self._files())

    def _place(self, stem: str) -> int:
        found: int = self._state["places"].get(stem, 0)
        return found

    def _reached(self, stem: str, place: int) -> None:
        self._state["places"][stem] = place
        self._save()

    def _lines(self, stem: str, place: int) -> Iterator[_Line]:
        """The whole lines from a place on; one that is damaged is named and passed over."""
        with (self._spool / f"{stem}.jsonl").open("rb") as file:
            file.seek(place)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                place += len(raw)
                try:
                    data = json.loads(raw)
                except ValueError:
                    data = None
                if isinstance(data, dict):
                    yield _Line(data, place)
                elif raw.strip():
                    print(f"{stem}.jsonl is damaged before byte {place}; left out", flush=True)

    def _save(self) -> None:
        write_whole(self._spool / "state.json", json.dumps(self._state))


def _new_step() -> dict[str, Any]:
    return {"run": "", "of": "", "seen": {}, "high": {}, "closed": False}
