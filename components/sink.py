"""MLflow's run as a place to put things, such that putting them twice is putting them once.

What MLflow refuses for good (a name it does not allow, a second value of a parameter) is left out,
and it alone. A run that a person has deleted takes nothing more, and says so once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    Entity = Metric | Param | RunTag

PARENT = "mlflow.parentRunId"
MADE_OF = "trefoil.made_of"
"""Of a step's run: two with one name are of the step before and after something was mended."""
_METRICS, _OTHERS = 900, 50
"""Of each kind in one batch: MLflow takes 1,000 in all, 100 params or tags, 1 MB by HTTP."""
_STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "running": "RUNNING"}
_NO_NAME = re.compile(r"[^\w\-. :/]")
_DIGEST = 36
"""Characters that MLflow keeps of a data set's digest."""


def metric(name: str, value: float, at: int, step: int) -> Metric:
    """A number as MLflow has it."""
    from mlflow.entities import Metric

    return Metric(_NO_NAME.sub("_", name), value, at, step)


def params(values: Mapping[str, str]) -> Iterator[Param]:
    """Parameters as MLflow has them."""
    from mlflow.entities import Param

    return (Param(_NO_NAME.sub("_", name), value) for name, value in values.items())


def tags(values: Mapping[str, str]) -> Iterator[RunTag]:
    """Tags as MLflow has them."""
    from mlflow.entities import RunTag

    return (RunTag(_NO_NAME.sub("_", name), value) for name, value in values.items())


class Sink:
    """Puts things into runs, by their ids. Raises MLflow's errors where it might work later."""

    def __init__(self, client: MlflowClient, deleted: list[str], left_alone: str) -> None:
        """``deleted`` remembers such runs; the status of ``left_alone`` is somebody else's."""
        self._client, self._deleted, self._left_alone = client, deleted, left_alone

    def log(self, run: str, entities: list[Entity]) -> None:
        """Numbers, parameters and tags, in as few calls as MLflow allows."""
        from mlflow.entities import Metric, Param

        kinds: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for each in entities:
            kinds[0 if isinstance(each, Metric) else 1 if isinstance(each, Param) else 2].append(
                each
            )
        batches = [
            _slices(kinds[0], _METRICS),
            _slices(list({param.key: param for param in reversed(kinds[1])}.values()), _OTHERS),
            _slices(list({tag.key: tag for tag in kinds[2]}.values()), _OTHERS),
        ]
        for place in range(max(map(len, batches))):
            parts = [slices[place] if place < len(slices) else [] for slices in batches]
            self._batch(run, *parts)

    def artifact(self, run: str, path: Path, folder: str) -> None:
        """A file, or all that is in a directory; nothing where somebody has sent it before us."""
        if path.is_dir():
            self._do(run, self._client.log_artifacts, path, folder or None)
        elif path.exists():
            self._do(run, self._client.log_artifact, path, folder or None)

    def dataset(self, run: str, found: Mapping[str, str]) -> None:
        """The data that a step used."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": found["source"]})
        data = Dataset(found["name"], found["digest"][:_DIGEST], "local", source)
        tag = InputTag("mlflow.data.context", found["context"])
        self._do(run, self._client.log_inputs, [DatasetInput(data, [tag])])

    def nested(self, experiment: str, parent: str, kind: str) -> dict[tuple[str, str], str]:
        """Ids of the runs nested in another, by name and what it is made of; of each the oldest."""
        runs = self._client.search_runs(
            [experiment],
            f"tags.`{PARENT}` = '{parent}' and tags.`{kind}` = 'step'",
            order_by=["attributes.start_time DESC"],
        )
        return {
            (run.info.run_name, run.data.tags.get(MADE_OF, "")): run.info.run_id for run in runs
        }

    def nest(self, experiment: str, name: str, began: int | None, given: dict[str, str]) -> str:
        """A new run; its tags say in which it is nested."""
        made = self._client.create_run(experiment, began, given, name)
        return str(made.info.run_id)

    def end(self, run: str, state: str, at: int | None) -> None:
        """Say how a run ended."""
        if run != self._left_alone:
            self._do(run, self._client.set_terminated, _STATUS.get(state, "KILLED"), at)

    def reopen(self, run: str) -> None:
        """Say that a run goes on."""
        if run != self._left_alone:
            self._do(run, self._client.update_run, "RUNNING")

    def _batch(self, run: str, *kinds: list[Any]) -> None:
        """Send; where something in it is refused for good, halve it until only that is left."""
        from mlflow.exceptions import MlflowException

        try:
            self._do(run, self._client.log_batch, *kinds, refusable=False)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            if sum(map(len, kinds)) == 1:
                _note(f"left out of {run}: {error.message}")
                return
            for place, kind in enumerate(kinds):
                for part in _slices(kind, (len(kind) + 1) // 2):
                    self._batch(run, *(part if at == place else [] for at in range(3)))

    def _do(
        self, run: str, call: Callable[..., object], *arguments: object, refusable: bool = True
    ) -> None:
        from mlflow.exceptions import MlflowException

        if run in self._deleted:
            return
        try:
            call(run, *arguments)
        except MlflowException as error:
            refused = error.error_code == "INVALID_PARAMETER_VALUE"
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" or (refused and self._gone(run)):
                self._deleted.append(run)
                _note(f"the run {run} was deleted in MLflow: nothing more is put there")
            elif refused and refusable:
                _note(f"left out of {run}: {error.message}")
            else:
                raise

    def _gone(self, run: str) -> bool:
        return bool(self._client.get_run(run).info.lifecycle_stage == "deleted")


def _slices(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), max(size, 1))]


def _note(text: str) -> None:
    print(text, flush=True)
