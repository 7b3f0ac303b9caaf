"""A person's mistakes cost one sentence and exit code 2; machines get one JSON document."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import guarded

ROOT = Path(__file__).parent.parent.parent
NOOP = "tests/benchmarks/noop.yaml"
RUN, VERB = "pipelines.run", "pipelines"


def cli(workspace: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "TREFOIL_WORKSPACE": str(workspace), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished run."""
    workspace = tmp_path_factory.mktemp("used")
    assert cli(workspace, RUN, "--pipeline", NOOP).returncode == 0
    return workspace


WRONG = [
    ([RUN, "--provider", "lokal"], "there is no provider lokal; did you mean local?"),
    ([RUN, "--recipe", "vea"], "there is no recipe 'vea'; did you mean vae?"),
    ([RUN, "--param", "latnt=3"], "did you mean latent?"),
    ([RUN, "--param", "latent=wide"], "latent"),
    ([RUN, "--param", "latent"], "--param latent is not NAME=VALUE"),
    ([RUN, "--param", "seed=often"], "seed must be a whole number"),
    ([RUN, "--param", "config=[]"], "config is not a JSON object"),
    ([RUN, "--param", "promote=alway"], "promote cannot be alway; did you mean always?"),
    ([RUN, "--param", "endpoint=a/../b"], "endpoint cannot be a/../b"),
    ([RUN, "--param", 'gate={"bpd":1}'], "the gate names 'bpd', which is no metric"),
    ([RUN, "--step", "trian"], "the pipeline has no step trian; did you mean train?"),
    ([RUN, "--data", "no/such/place"], "no/such/place"),
    ([RUN, "--gpu", "A100:many"], "--gpu A100:many is not KIND:COUNT"),
    ([RUN, "--gpu", "A100:8"], "step train asks for gpu, and local cannot"),
    ([RUN, "--spot"], "step train asks for spot, and local cannot"),
    ([RUN, "--rehearse"], "--rehearse asks for rehearsal, and local cannot"),
    ([RUN, "--param", "model_name=a/b"], "model_name cannot be a/b; use up to 100 char"),
    ([RUN, "--param", "model_name="], "model_name cannot be empty; use up to 100 char"),
    ([RUN, "--param", "seed=-1"], "seed cannot be -1; it is from 0 to 4294967295"),
    ([RUN, "--param", "data_md5=abc"], "data_md5 cannot be abc; it is 32 digits of 0-9 and a-f"),
    ([RUN, "--param", "latent=1e12"], "latent is 1e+12; it must be at most 4096"),
    ([RUN, "--param", "steps=" + "9" * 5000], 'steps is "999'),
    ([RUN, "--max-cost", "cheap"], "--max-cost: cheap is no amount of dollars, such as 12.50"),
    ([RUN, "--max-cost", "nan"], "--max-cost: nan is no amount of dollars"),
    ([RUN, "--max-cost", "inf"], "--max-cost: inf is no amount of dollars"),
    ([RUN, "--max-cost=-1"], "--max-cost: -1 is no amount of dollars"),
    ([RUN, "--set", "paralel=2"], "local: there is no setting paralel; did you mean parallel?"),
    ([RUN, "--set", "parallel"], "--set parallel is not NAME=VALUE"),
    ([RUN, "--set", "parallel=1.5"], "parallel is '1.5'; it must be a whole number"),
    ([RUN, "--set", "runner=x"], "runner is 'x'; it must be one of 'process' or 'docker'"),
    ([RUN, "--set", "workspace="], "the setting workspace is empty; leave it out for its default"),
    ([RUN, "--provider", "kind", "--set", 'claims={"a": 1}'], "claims.a is 1; it must be text"),
    ([RUN, "--set", "grace=nan"], "the setting grace is nan; it is a finite number, 0 or more"),
    ([VERB, "status", "--set", "grace=inf"], "the setting grace is inf"),
    ([VERB, "cluster", "up", "--set", "hots=x"], "kind: there is no setting hots; did you mean"),
    ([VERB, "image", "digest", "--set", "grace=inf"], "the setting grace is inf"),
    ([VERB, "endpoints", "--set", "=2"], "--set =2 is not NAME=VALUE"),
    ([RUN, "--settings", "none.toml"], "the settings none.toml cannot be read"),
    ([RUN, "--pipeline", "none.yaml"], "the pipeline none.yaml cannot be read"),
    ([RUN, "--pipeline", "README.md"], "the pipeline README.md"),
    ([RUN, "--pipeline", "Makefile"], "the pipeline Makefile"),
    ([RUN, "--pipeline", "tests"], "the pipeline tests cannot be read"),
    ([RUN, "--pipeline", "docs/samples.png"], "the pipeline docs/samples.png"),
    ([RUN, "--pipeline", NOOP, "--recipe", "vae"], "this pipeline has no parameter recipe"),
    ([RUN, "--pipeline", NOOP, "--param", "x=1"], "the pipeline has no parameter x"),
    ([RUN, "--surprise"], "unrecognized arguments: --surprise"),
    ([VERB, "stats"], "there is no verb stats; did you mean status?"),
    ([VERB], "the following arguments are required: VERB"),
    ([VERB, "status", "nothing-1"], "there is no run nothing-1"),
    ([VERB, "logs", "nothing-1"], "there is no run nothing-1"),
    ([VERB, "logs", "--step", "trian"], "has no step trian"),
    ([VERB, "cancel", "nothing-1"], "there is no run nothing-1"),
    ([VERB, "why", "trian"], "has no step trian"),
    ([VERB, "report", "nothing-1"], "there is no run nothing-1"),
    ([VERB, "promote"], "nothing is registered"),
    ([VERB, "rollback"], "nothing is registered"),
    ([VERB, "stop", "nothing"], "there is no endpoint nothing"),
    ([VERB, "data", "verify", "nothing"], "nothing"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG, ids=[" ".join(w) for w, _ in WRONG])
def test_a_mistake_is_one_sentence(used: Path, words: list[str], sentence: str) -> None:
    done = cli(used, *words)
    said = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert sentence in said[0]
    assert done.stdout == ""


MACHINE = [
    [RUN, "--pipeline", NOOP],
    [RUN, "--dry-run"],
    [VERB, "plan"],
    [VERB, "status"],
    [VERB, "logs"],
    [VERB, "list"],
    [VERB, "cancel"],
    [VERB, "why", "first"],
    [VERB, "report"],
    [VERB, "endpoints"],
    [VERB, "doctor"],
]


def test_an_empty_list_says_how_to_begin(tmp_path: Path) -> None:
    done = cli(tmp_path, VERB, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "there is no run here yet; start one with: python -m pipelines run\n"


def test_a_locale_without_our_letters_is_written_to_all_the_same(used: Path) -> None:
    """A mark such as that of success would end the verb in a traceback."""
    done = cli(used, VERB, "status", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "first" in done.stdout
    named = cli(used, VERB, "status", "j\u00fcngst", "--json", PYTHONIOENCODING="ascii")
    assert "j\u00fcngst" in json.loads(named.stdout)["error"]


@pytest.mark.parametrize("words", MACHINE, ids=" ".join)
def test_json_is_one_document_on_stdout(used: Path, words: list[str]) -> None:
    done = cli(used, *words, "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_a_mistake_with_json_is_one_document_too(used: Path) -> None:
    done = cli(used, RUN, "--param", "seed=often", "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["exit_code"] == 2
    assert "seed must be a whole number" in found["error"]


def test_a_reader_that_leaves_does_not_end_a_run(tmp_path: Path) -> None:
    """``make run | head`` is everyday use, and must not kill a training half-way."""
    command = f"{sys.executable} -m pipelines.run --pipeline {NOOP} 2>&1 | true"
    subprocess.run(
        ["bash", "-c", command], cwd=ROOT, check=False,
        env={**os.environ, "TREFOIL_WORKSPACE": str(tmp_path)},
    )  # fmt: skip
    assert json.loads(cli(tmp_path, VERB, "status", "--json").stdout)["state"] == "succeeded"


def test_run_json_tells_what_machines_ask_for(used: Path) -> None:
    found = json.loads(cli(used, RUN, "--pipeline", NOOP, "--json").stdout)
    assert found["state"] == "succeeded"
    assert found["run_id"].startswith("noop-")
    assert {step["state"] for step in found["steps"]} == {"cached"}
    assert {"metrics", "gate", "model_version", "endpoint_url", "seconds"} <= found.keys()


def test_a_failed_step_exits_1_and_shows_its_last_lines(tmp_path: Path) -> None:
    pipeline = tmp_path / "failing.yaml"
    text = (ROOT / NOOP).read_text(encoding="utf-8")
    pipeline.write_text(text.replace("import sys;", "import sys; sys.exit('no luck');"))
    done = cli(tmp_path / "w", RUN, "--pipeline", str(pipeline))
    assert done.returncode == 1
    assert "no luck" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    assert cli(tmp_path / "w", RUN, "--pipeline", NOOP, "--dry-run").returncode == 0
    left = [file for file in (tmp_path / "w").rglob("*") if file.is_file()]
    assert [file.parent.name for file in left] == ["ir"]


def test_the_dry_run_is_the_request_that_is_sent(tmp_path: Path) -> None:
    """Were the two made apart, the printed one could lie."""
    printed = json.loads(cli(tmp_path, RUN, "--pipeline", NOOP, "--dry-run").stdout)
    assert cli(tmp_path, RUN, "--pipeline", NOOP).returncode == 0
    sent = json.loads((tmp_path / "runs" / printed["run_id"] / "request.json").read_text())
    assert {name: printed[name] for name in sent} == sent


def test_a_reader_that_leaves_is_no_error(used: Path) -> None:
    command = f"{sys.executable} -m pipelines plan --json | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "TREFOIL_WORKSPACE": str(used)}, check=False,
    )  # fmt: skip
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["plan"], ["plan", "--json"], ["status"], ["--help"]], ids=str)
def test_an_answer_that_cannot_be_written_is_one_sentence(
    used: Path, words: list[str], unbuffered: str
) -> None:
    """``> file`` on a full disk must not look as if all had gone well, nor be a traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", VERB, *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
            text=True, check=False, timeout=120,
            env={
                **os.environ, "TREFOIL_WORKSPACE": str(used), "TREFOIL_TRACKING_URI": "none",
                "PYTHONUNBUFFERED": unbuffered,
            },
        )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert done.returncode == 1, done.stderr
    assert len(said) == 1
    assert "no space left on device" in said[0] or "the disk is full" in said[0]


def test_a_closed_stdout_is_not_spoken_to(used: Path) -> None:
    command = f"{sys.executable} -m pipelines status --json >&-; echo $?; "
    command += f"{sys.executable} -m pipelines plan --json 2>&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "TREFOIL_WORKSPACE": str(used)},
    )  # fmt: skip
    assert done.stderr == ""
    code, _, document = done.stdout.partition("\n")
    assert code == "0"
    assert json.loads(document)["provider"] == "local"


VERBS = [
    [RUN, "--pipeline", NOOP, "--dry-run"], [VERB, "plan", "--pipeline", NOOP], [VERB, "status"],
    [VERB, "logs"], [VERB, "list"], [VERB, "cancel"], [VERB, "why", "first"], [VERB, "report"],
    [VERB, "endpoints"], [VERB, "doctor"],
]  # fmt: skip


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_with_settings_takes_them_from_set(
    used: Path, tmp_path: Path, words: list[str]
) -> None:
    """A verb that passed the flag over would look into another workspace than was meant."""
    there = cli(tmp_path / "other", *words, "--set", f"workspace={used}", "--json")
    assert there.returncode == 0, there.stderr
    assert there.stdout == cli(used, *words, "--json").stdout
    assert not (tmp_path / "other").exists()


def test_no_cache_is_a_run_of_its_own(used: Path) -> None:
    """It says so in its request, and so in its name: nothing can take it for the cached one."""
    done = json.loads(cli(used, RUN, "--pipeline", NOOP, "--no-cache", "--json").stdout)
    plain = json.loads(cli(used, RUN, "--pipeline", NOOP, "--json").stdout)
    assert {step["state"] for step in done["steps"]} == {"succeeded"}
    assert done["run_id"].rpartition("-")[0] != plain["run_id"].rpartition("-")[0]


def test_only_a_step_and_those_it_needs(used: Path) -> None:
    found = json.loads(cli(used, RUN, "--pipeline", NOOP, "--step", "step-2", "--json").stdout)
    assert [step["name"] for step in found["steps"]] == ["first", "step", "step-2"]


def test_a_read_only_workspace_still_dry_runs_and_a_run_says_so(tmp_path: Path) -> None:
    """Root writes anywhere, so the way is barred by a file."""
    (tmp_path / "file").touch()
    assert cli(tmp_path / "file", RUN, "--pipeline", NOOP, "--dry-run").returncode == 0
    done = cli(tmp_path / "file", RUN, "--pipeline", NOOP)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_what_the_system_refuses_is_one_sentence_and_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A read-only workspace is for the person to mend (2), a broken disk is not (1)."""

    def refused(number: int) -> int:
        def verb() -> int:
            raise OSError(number, os.strerror(number), "ws/cancel")

        return guarded(verb, as_json=True)

    assert [refused(errno.EROFS), refused(errno.EIO)] == [2, 1]
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == "error: Read-only file system: ws/cancel"
    assert json.loads(told.out.split("}")[0] + "}")["exit_code"] == 2
