"""What tests of delivery share: spools as steps leave them, and what MLflow has of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components import spool
from components.delivery import Delivery
from infra import mlflow

RUN = "generative-0a1b2c3d-1"


def begin(folder: Path, address: str, **more: str) -> Path:
    """A spool as the orchestrator leaves it before the first step."""
    folder.mkdir(parents=True)
    environment = {"MLFLOW_TRACKING_URI": address, "TREFOIL_PROVIDER": "local", **more}
    facts = spool.run_facts(folder.name, environment, alone=False)
    spool.append(folder / "_run.jsonl", {"run": facts, "at": spool.now()})
    return folder


def told(folder: Path, name: str = "train", count: int = 50, at: int = 1_700_000_000_000) -> None:
    """A step with numbers in many lines, parameters, a picture, a data set."""
    copy = folder / "files" / f"{name}-1" / "picture.png"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"png")
    write(folder, name, {"open": name, "attempt": "1", "at": at}, {"params": {"lr": "0.1"}})
    for start in range(0, count, 10):
        found = [[at + n, n, {"loss": n / 7, "kl": n * 2.0}] for n in range(start, start + 10)]
        write(folder, name, {"metrics": found})
        if start == 10:
            write(folder, name, {"artifact": f"files/{name}-1/picture.png", "to": "pictures"})
    data = {"name": "digits", "digest": "f" * 32, "source": "", "context": "training"}
    write(folder, name, {"dataset": data}, {"tags": {"colour": "blue"}})
    write(folder, name, {"run_tags": {"gate.passed": "True"}}, {"close": "succeeded", "at": at + 9})


def write(folder: Path, name: str, *found: dict[str, Any]) -> None:
    for line in found:
        spool.append(folder / f"{name}.jsonl", line)


def send(folder: Path, address: str) -> bool:
    return Delivery(folder, address).pump()


def stored(address: str) -> dict[str, Any]:
    """All runs by name; two of one name are a mistake."""
    client = mlflow.connect(address)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    found = {run.info.run_name: run for run in runs}
    assert len(found) == len(runs), [run.info.run_name for run in runs]
    return found


def history(address: str, run: Any, name: str) -> list[tuple[int, float]]:
    found = mlflow.connect(address).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in found)


def check(address: str, count: int = 50) -> None:
    runs = stored(address)
    assert set(runs) == {RUN, "train"}
    train, whole = runs["train"], runs[RUN]
    assert history(address, train, "loss") == [(n, n / 7) for n in range(count)]
    assert history(address, train, "kl") == [(n, n * 2.0) for n in range(count)]
    assert train.data.params == {"lr": "0.1"}
    assert train.data.tags["colour"] == "blue"
    assert train.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert train.data.tags["trefoil.run_id"] == whole.data.tags["trefoil.run_id"] == RUN
    assert [each.dataset.digest for each in train.inputs.dataset_inputs] == ["f" * 32]
    client = mlflow.connect(address)
    assert [f.path for f in client.list_artifacts(train.info.run_id, "pictures")] == [
        "pictures/picture.png"
    ]
    assert whole.data.tags["gate.passed"] == "True"
    assert whole.data.tags["trefoil.provider"] == "local"
    assert (train.info.status, whole.info.status) == ("FINISHED", "FINISHED")
