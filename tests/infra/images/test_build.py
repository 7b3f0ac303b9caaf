"""Images as both builders make them: what is in them, what is not, and what is made anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import images
from infra.images import Built, build, catalogue
from infra.images.build import Options
from infra.plan import SCHEMA
from tests import dockerd
from tests.docker import DOCKER, Docker, with_buildkit
from tests.infra.images.test_revision import git

pytestmark = DOCKER
SERVER = catalogue.IMAGES["trefoil-server"]
MARK = b"trefoil-tests-secret"


@pytest.fixture(scope="module", params=["classic", "buildkit"])
def marked(request: pytest.FixtureRequest, docker_daemon: Docker, build_options: Options) -> Built:
    """The server's image, built with a CA and an index that can be found again in any copy."""
    ca = dockerd.CACHE / "marked-ca.pem"
    trusted = build_options.ca.read_bytes() if build_options.ca else b""
    ca.write_bytes(trusted + b"# " + MARK + b"\n")
    path = with_buildkit(docker_daemon.host)
    with dockerd.locked("build"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", docker_daemon.host)
        patch.setenv("PIP_INDEX_URL", f"https://me:{MARK.decode()}@pypi.org/simple")
        if request.param == "classic":
            patch.setenv("DOCKER_BUILDKIT", "0")
        elif path is None:
            pytest.skip("docker with BuildKit is not installed")
        else:
            patch.setenv("PATH", path)
        options = build_options._replace(ca=ca if trusted else None)
        return build.build(SERVER, options, lambda _: None)


def inspected(docker: Docker, image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("image", "inspect", image))
    return found[0]


def test_an_image_says_what_it_is_made_of(docker: Docker, marked: Built) -> None:
    """A person who finds a container running must find the code."""
    labels = inspected(docker, marked.id)["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == marked.revision
    assert labels["trefoil.plan.schema"] == str(SCHEMA)
    assert inspected(docker, marked.reference)["Id"] == marked.id


def test_an_image_runs_as_nobody_in_particular(docker: Docker, marked: Built) -> None:
    """Kubernetes' runAsNonRoot accepts a number alone."""
    assert inspected(docker, marked.id)["Config"]["User"] == "10001:10001"


def test_no_secret_is_in_an_image_or_in_its_history(docker: Docker, marked: Built) -> None:
    """An image is pushed to where others read it."""
    known = docker("history", "--no-trunc", marked.id) + json.dumps(inspected(docker, marked.id))
    assert MARK.decode() not in known
    environment = {**os.environ, "DOCKER_HOST": docker.host}
    command = ["docker", "save", marked.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as saved:
        assert saved.stdout
        last, size = b"", 0
        while block := saved.stdout.read(1 << 20):
            assert MARK not in last + block
            last, size = block[-len(MARK) :], size + len(block)
    assert saved.returncode == 0
    assert size > 100e6


def test_packages_and_code_are_compiled(docker: Docker, marked: Built) -> None:
    """A read-only container would compile every module anew at every start."""
    code = (
        "import numpy, components.serve as serve, os;"
        "print([os.path.exists(each.__cached__) for each in (numpy, serve)])"
    )
    found = docker.run(marked.id, "-c", code, flags=("--entrypoint=python",))
    assert found == "[True, True]"


def test_a_change_of_code_makes_one_small_layer_anew(
    docker: Docker,
    server_image: Built,
    build_options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise each edit would install, and a cluster load, hundreds of megabytes again."""
    for name in (*catalogue.CONTENTS, ".dockerignore"):
        copy = shutil.copytree if (catalogue.ROOT / name).is_dir() else shutil.copy
        copy(catalogue.ROOT / name, tmp_path / name)
    with (tmp_path / "components/serve.py").open("a") as file:
        file.write("CHANGED = True\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "changed")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", with_buildkit(docker.host) or os.environ["PATH"])
    changed = build.build(SERVER, build_options, lambda _: None)

    before, after = (
        inspected(docker, built.id)["RootFS"]["Layers"] for built in (server_image, changed)
    )
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]
    code = "from components.serve import CHANGED; print(CHANGED)"
    assert docker.run(changed.id, "-c", code, flags=("--entrypoint=python",)) == "True"
    assert changed.revision == git(tmp_path, "rev-parse", "HEAD")
    sizes = docker("history", "--format", "{{.Size}} {{.CreatedBy}}", "--human=false", changed.id)
    layer = next(line for line in sizes.splitlines() if "/app" in line and "COPY" in line)
    assert int(layer.split()[0]) < 1e6


def test_a_build_that_fails_says_docker_s_last_lines(
    docker: Docker, build_options: Options
) -> None:
    """Why is at the end of a hundred lines."""
    lines: list[str] = []
    with pytest.raises(Exception, match="docker build failed:") as failed:
        build.build(SERVER, build_options._replace(base="trefoil-tests:none"), lines.append)
    assert "trefoil-tests" in str(failed.value)
    assert lines[-1] in str(failed.value)


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [("trainer", {"torch", "mlflow", "onnxruntime"}, {"dvc", "kfp", "pytest", "cyclonedx-bom"}),
     ("server", {"onnxruntime", "uvicorn"}, {"torch", "mlflow", "cyclonedx-bom"})],
)  # fmt: skip
def test_an_image_lists_exactly_what_it_holds(
    docker: Docker, request: pytest.FixtureRequest, kind: str, has: set[str], lacks: set[str]
) -> None:
    """A list of something else is worse than none when the next CVE comes."""
    built: Built = request.getfixturevalue(f"{kind}_image")
    bill = json.loads(build.packages(built))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {(each["name"].lower(), each["version"]) for each in bill["components"]}
    assert has <= {name for name, _ in listed}
    assert not lacks & {name for name, _ in listed}
    code = (
        "import importlib.metadata as m;"
        "[print(d.metadata['Name'].lower(), d.version) for d in m.distributions()]"
    )
    installed = docker.run(built.id, "-c", code, flags=("--entrypoint=python",))
    assert listed == {tuple(line.split()) for line in installed.splitlines()}


def test_the_verb_builds_what_it_says_and_nothing_twice(
    docker: Docker, build_options: Options, workspace: Path
) -> None:
    """Steps are cached by the image's id: one that changes for nothing runs them all again."""
    flags = [f"--docker-flag={flag}" for flag in build_options.flags]
    ca = [f"--ca={build_options.ca}"] if build_options.ca else []
    command = ["build", SERVER.name, f"--base-image={build_options.base}", *ca, *flags]
    with dockerd.locked("build"):  # a tag may be another build's at any time
        said = [image(*words) for words in (command, command, ["digest", SERVER.name])]
        built = images.find(workspace, SERVER.name)
        assert built is not None
        known = docker("images", "--no-trunc", "--quiet", built.reference)
    assert said == [f"{built.reference}  {known}\n"] * 3
    assert json.loads((workspace / f"{SERVER.name}.cdx.json").read_text())["components"]


def image(*words: str) -> str:
    """What the verb prints."""
    command = [sys.executable, "-m", "pipelines", "image", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=catalogue.ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout
