"""Drift: what is told of data that have drifted, of data that have not, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from components import drift, prepare
from pipelines import __main__ as verbs
from pipelines import compile
from pipelines.retrain import trigger
from tests.infra.aws import lowering as aws
from tests.infra.azure import lowering as azure
from tests.infra.gcp import lowering as gcp
from tests.prepared import digits, photographs, write_digits
from tests.served import ROOT
from training.data import Dataset, Spec
from training.errors import InputError
from training.metrics import shifts
from training.metrics.drift import Comparison

ROWS = 300
FEW = ("--significance", "0.2")
"""A twentieth of the permutations: enough where it does not matter how sure a verdict is."""


@pytest.fixture(scope="module", name="reference")
def made_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits, prepared."""
    return write_digits(tmp_path_factory.mktemp("digits"))


def _write(file: Path, kind: str) -> Path:
    """Some of the digits, changed; ``levels`` says that they are still in 17."""
    images, labels = load_digits(return_X_y=True)
    images, labels = images.reshape(-1, 8, 8), labels.astype(np.int64)
    rng = np.random.default_rng(7)
    if kind == "inverted":
        images = 16 - images
    if kind == "noisy":
        images = np.clip(np.rint(images + rng.normal(0, 2, images.shape)), 0, 16)
    if kind == "shifted":
        images = np.roll(images, 1, axis=2)
    if kind == "sevens":
        images, labels = images[labels == 7], labels[labels == 7]
    chosen = rng.permutation(len(images))[:ROWS]
    pixels = images[chosen].astype(np.uint8)
    np.savez(file, images=pixels, labels=labels[chosen], levels=np.array(17))
    return file


def _prepared(folder: Path, kind: str) -> Path:
    data = _write(folder / f"{kind}.npz", kind)
    prepare.main(["--data", str(data), "--dataset", str(folder / kind)])
    return folder / kind


def _compared(reference: Path, recent: Path, out: Path, *more: str) -> tuple[bool, dict[str, Any]]:
    """Run the step in this process; what it wrote."""
    drift.main([
        "--reference", str(reference), "--recent", str(recent), "--report", str(out / "report"),
        "--drifted", str(out / "drifted"), "--dispatch", str(out / "dispatch"), *more,
    ])  # fmt: skip
    found = json.loads((out / "report/report.json").read_text())
    return {"true": True, "false": False}[(out / "drifted").read_text()], found


def _halves(seed: int) -> tuple[Dataset, Dataset]:
    """All digits, cut in two by chance."""
    whole = digits()
    both = {name: torch.cat([column, whole.test[name]]) for name, column in whole.train.items()}
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(both["image"])))

    def of(rows: torch.Tensor) -> Dataset:
        parts = rows[:-1], rows[-1:]
        train, test = ({name: column[part] for name, column in both.items()} for part in parts)
        return dataclasses.replace(whole, train=train, test=test)

    middle = len(order) // 2
    return of(order[:middle]), of(order[middle:])


def test_data_that_have_not_drifted_alarm_no_more_often_than_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An alarm that comes by itself is one that nobody looks at: here 1 in 5 is allowed, and of
    15 pairs 8 or more would come by chance once in 240."""
    monkeypatch.setattr("training.metrics.drift._OF_ANCHORS", 1)  # nobody looks at them here
    strongest = []
    for seed in range(15):
        found = Comparison(*_halves(seed), seed).findings(0.2)
        strongest.append(min(each.adjusted for each in found))
    assert sum(p <= 0.2 for p in strongest) < 8
    assert sum(p <= 0.01 for p in strongest) <= 1


@pytest.mark.parametrize(
    ("kind", "shows"),
    [
        ("inverted", {"embedding", "mean"}),
        ("noisy", {"contrast", "edges"}),
        ("shifted", {"embedding", "side"}),
        ("sevens", {"embedding", "labels"}),
    ],
)
def test_drift_is_found_where_it_is(
    reference: Path, tmp_path: Path, kind: str, shows: set[str]
) -> None:
    """A model that goes on answering for data like these answers for what it never saw."""
    drifted, found = _compared(reference, _prepared(tmp_path, kind), tmp_path)
    moved = {each["name"] for each in found["findings"] if each["drifted"]}
    assert drifted is found["drifted"] is True
    assert shows <= moved
    for each in found["findings"]:
        assert each["drifted"] is (each["adjusted"] <= found["significance"] == 0.01)
        assert each["anchor"]["p"] > 0.001, "halves of the reference are alike"
    by_name = {each["name"]: each for each in found["findings"]}
    for name in shows:
        assert by_name[name]["statistic"] > 2 * by_name[name]["anchor"]["statistic"]


def test_held_out_data_are_no_drift_and_ask_for_nothing(reference: Path, tmp_path: Path) -> None:
    """The feature net learnt the reference itself: it must not tell new digits by that."""
    drifted, found = _compared(reference, _prepared(tmp_path, "same"), tmp_path)
    assert drifted is found["drifted"] is False
    assert found["dispatch"] is None
    assert (tmp_path / "dispatch").read_text() == ""
    assert not (tmp_path / "report/event.json").exists()
    names = {each["name"] for each in found["findings"]}
    assert {"embedding", "labels", "mean", "feature 31"} <= names
    held_out = dataclasses.replace(digits(), train=digits().test)
    assert all(each.adjusted > 0.05 for each in Comparison(digits(), held_out, 0).findings(0.05))


def test_the_same_data_and_seed_give_the_same_bytes(reference: Path, tmp_path: Path) -> None:
    """A cached step, and a second look, must show what the first did; another seed draws anew."""
    recent = _prepared(tmp_path, "shifted")
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        _compared(reference, recent, tmp_path / name, "--seed", seed, *FEW)
    files = ["report.json", "event.json", "figures/drift.png"]
    first, again, other = (
        [(tmp_path / name / "report" / file).read_bytes() for file in files] for name in "abc"
    )
    assert first == again
    assert first[0] != other[0]
    assert first[1] == other[1], "the same drift is the same event"


def test_drift_is_an_event_that_retrains(reference: Path, tmp_path: Path) -> None:
    """What a person would have to write by hand, retrain would refuse at the first slip."""
    recent = _prepared(tmp_path, "inverted")
    _, found = _compared(reference, recent, tmp_path, "--repository", "octo-org/digits", *FEW)
    told = trigger.read(tmp_path / "report/event.json", "")
    assert (told.kind, told.repository, told.data) == ("drift", "octo-org/digits", "digits")
    assert told.identity == (found["recent"]["md5"],)
    assert json.loads((tmp_path / "dispatch").read_text()) == found["dispatch"]
    assert found["dispatch"]["event_type"] == "drift-detected"


def test_what_cannot_be_compared_is_refused(reference: Path, tmp_path: Path) -> None:
    """Numbers of two forms, or of a handful of rows, would look like any others."""
    whole = digits()
    few = dataclasses.replace(
        whole,
        train={name: column[:30] for name, column in whole.train.items()},
        test={name: column[:19] for name, column in whole.test.items()},
    )
    with pytest.raises(InputError, match=r"the recent data, digits, have 49 rows.*fewer than 50"):
        Comparison(whole, few, 0)
    with pytest.raises(InputError, match="images of 1x8x8 in 256 levels, and the reference"):
        Comparison(whole, photographs(), 0)
    (tmp_path / "words.txt").write_text("To be, or not to be\n" * 200)
    prepare.main(["--data", str(tmp_path / "words.txt"), "--dataset", str(tmp_path / "text")])
    for recent, more, why in (
        (tmp_path / "text", (), "holds text"),
        (reference, ("--significance", "0"), "0 is not within 0.001..0.2"),
        (reference, ("--significance", "nan"), "nan is not within"),
        (reference, ("--seed", "-1"), "--seed -1 is below 0"),
        (reference, ("--repository", "digits"), "not OWNER/NAME"),
    ):
        with pytest.raises(InputError, match=why):
            _compared(reference, recent, tmp_path, *more)
    assert not (tmp_path / "report").exists()


def test_without_labels_and_without_a_net_of_its_own() -> None:
    """Other images are seen along axes of both sets: axes of one would tell the two apart."""
    whole = photographs()
    spec: Spec = whole.spec
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(whole.train["image"])))
    first, second = (
        Dataset(spec, {"image": whole.train["image"][part]}, {"image": whole.test["image"][:0]})
        for part in (order[:150], order[150:300])
    )
    alike = Comparison(first, second, 0)
    found = alike.findings(0.05)
    assert alike.space.name.startswith("pca-32-")
    assert "labels" not in {each.name for each in found}
    assert all(each.adjusted > 0.05 for each in found)
    darker = dataclasses.replace(second, train={"image": second.train["image"] // 2})
    assert any(each.adjusted <= 0.01 for each in Comparison(first, darker, 0).findings(0.01))


def test_statistics_are_those_of_scipy() -> None:
    """A slip in a formula shifts every p-value, and no picture shows it."""
    rng = np.random.default_rng(5)
    for n, m, by in ((200, 300, 0.0), (400, 120, 0.2), (90, 90, 0.5)):
        a, b = rng.normal(0, 1, n), rng.normal(by, 1, m)
        gap, p = shifts.ks(a, b)
        theirs = stats.ks_2samp(a, b)
        assert gap == pytest.approx(theirs.statistic)
        assert theirs.pvalue <= p <= 1.5 * theirs.pvalue + 0.05
    counts = np.array([[30, 50, 20, 0], [45, 40, 25, 0]])
    statistic, p = shifts.chi2(counts[0], counts[1], 20_000, rng)
    theirs = stats.chi2_contingency(counts[:, :3])
    assert statistic == pytest.approx(theirs.statistic)
    assert p == pytest.approx(theirs.pvalue, abs=0.02)
    assert shifts.holm([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.04])
    shares = np.repeat(np.arange(10.0), 100)
    assert shifts.psi(shares, shares) == 0
    assert shifts.psi(shares, shares + 5) > 1


def test_the_pipeline_runs_on_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From an address to a verdict, by the command that the docs tell."""
    data = _write(tmp_path / "new.npz", "inverted")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.run", "--pipeline", "pipelines/drift.py", "--json",
         "--param", f"recent={data}", "--param", "significance=0.2",
         "--set", f"workspace={tmp_path / 'ws'}", "--set", "tracking_uri=none"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["run_id"]
    place = f"workspace={tmp_path / 'ws'}"
    assert verbs.main(["outputs", run, "--json", "--step", "drift", "--set", place]) == 0
    left = json.loads(capsys.readouterr().out)["drift"]
    assert left["drifted"] is True
    assert json.loads(left["dispatch"])["client_payload"]["data"] == "digits"
    assert Path(left["report"], "figures", "drift.png").stat().st_size > 10_000


def test_the_pipeline_goes_to_every_cloud_and_reads_anew(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The clock gives the same address each time: a cached answer would be last week's."""
    folder = tmp_path_factory.getbasetemp().parent / "drift-ir"
    document = compile.load(str(ROOT / "pipelines/drift.py"), folder)
    anew = {"prepare-recent", "prepare-reference"}
    on_aws = aws.plan_of(document, recent="s3://bucket/recent")
    assert {step.name for step in on_aws.steps if not step.cache} == anew
    assert aws.wrong(aws.lowered(on_aws)) == []
    on_gcp = gcp.lowered(gcp.plan_of(document, recent="gs://bucket/recent"))
    assert gcp.wrong(on_gcp) == []
    address = "azureml://datastores/trefoil_data/paths/recent"
    on_azure = azure.lowered(azure.plan_of(document, recent=address))
    assert azure.wrong(on_azure) == []
    for request, said in ((aws.lowered(on_aws), "s3://bucket/recent"), (on_azure, address)):
        assert said in json.dumps(request.body)
