"""A machine of a test's own: real kubectl on a fake API server, fake docker and kind on PATH."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.images import record
from infra.images.record import Built
from infra.kind.cluster import NODE, checks, status, up
from pipelines import __main__ as pipelines
from tests.infra.kind.cluster import fake_tools
from tests.infra.kind.fake_kubernetes import FakeKubernetes

IMAGE = "trefoil-trainer:0123abc"
IDENTITY = f"sha256:{'5' * 64}"
NEEDED = ("ml-pipeline", "ml-pipeline-ui")
"""Two Deployments stand for all: kubectl is asked for each of them."""
_left: dict[str, Any] = {}
"""What the first ``cluster up`` of this process left."""


class Machine:
    """Its programs, its Docker and its cluster. ``state`` is what the fake tools know."""

    def __init__(self, place: Path, server: FakeKubernetes, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.place = place
        self.bin = place / "bin"
        self.upstream = place / "pipelines" / "manifests" / "kustomize"
        self.taken: set[int] = set()
        for folder in (self.bin, place / "data", place / "workspace"):
            folder.mkdir()
        _write_upstream(self.upstream)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        server.put(f"/api/v1/nodes/{NODE}", node)
        config = place / "kubeconfig.new"
        server.write_kubeconfig(config, "kind-trefoil")
        self.change(
            info={
                "ServerVersion": "28.2.2", "Architecture": "x86_64", "MemTotal": 16_000_000_000,
                "DockerRootDir": str(place / "elsewhere"), "DefaultRuntime": "runc",
            },
            kind="0.31.0", node=None, images={IMAGE: IDENTITY}, loaded=[], fails={},
            inotify={
                "fs.inotify.max_user_instances": 128, "fs.inotify.max_user_watches": 192536,
            },
            kubeconfig=config.read_text(encoding="utf-8"),
        )  # fmt: skip
        for program in ("docker", "kind"):
            self.install(program, f'exec "{sys.executable}" -S "{fake_tools.__file__}" '
                                  f'"{place}" {program} "$@"')  # fmt: skip
        for program in ("kubectl", "git", "sed", "basename", "uname"):  # the last are git's
            if found := shutil.which(program):
                (self.bin / program).symlink_to(found)
        patch.setenv("PATH", str(self.bin))
        patch.setenv("GIT_CONFIG_GLOBAL", str(place / "gitconfig"))
        patch.setenv("KUBECONFIG", str(place / "kubeconfig"))
        patch.setenv("TREFOIL_WORKSPACE", str(place / "workspace"))
        patch.setattr(checks, "_taken", lambda port: "in use" if port in self.taken else "")
        patch.setattr(up, "NEEDED", NEEDED)
        patch.setattr(status, "NEEDED", NEEDED)
        patch.chdir(place)

    @property
    def state(self) -> dict[str, Any]:
        """What the fake tools know now."""
        found: dict[str, Any] = json.loads((self.place / "state.json").read_text("utf-8"))
        return found

    def change(self, **parts: Any) -> None:
        """Change what the fake tools know."""
        file = self.place / "state.json"
        before = self.state if file.exists() else {}
        file.write_text(json.dumps({**before, **parts}), encoding="utf-8")

    def install(self, program: str, script: str) -> None:
        """Put a shell script on PATH under a program's name, over what is there."""
        target = self.bin / program
        target.unlink(missing_ok=True)
        target.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        target.chmod(0o755)

    def publish(self, tag: str) -> None:
        """Let git find upstream's repository, at a tag, when it goes to GitHub."""
        home = self.place / "kubeflow"
        home.mkdir()
        (self.place / "gitconfig").write_text(
            "[user]\nname = upstream\nemail = upstream@example.org\n"
            f'[url "file://{self.place}/"]\ninsteadOf = https://github.com/\n',
            encoding="utf-8",
        )
        (self.place / "pipelines").rename(home / "pipelines")
        for words in (["init"], ["add", "."], ["commit", "-m", tag], ["tag", tag]):
            subprocess.run(
                ["git", "-C", str(home / "pipelines"), *words], check=True, capture_output=True
            )

    def built(self, name: str = "trefoil-trainer", identity: str = IDENTITY) -> None:
        """Note an image as ``image build`` does."""
        built = Built(name, identity, tag="0123abc", revision="0123abc", built=0.0)
        record.remember(self.place / "workspace", built)

    def cluster(self, *words: str) -> int:
        """``python -m pipelines cluster ...``; the exit code."""
        return pipelines.main(["cluster", *words])

    def up(self, *words: str) -> int:
        """``cluster up`` with upstream's manifests from this machine."""
        return self.cluster("up", "--manifests", str(self.upstream), *words)

    def is_up(self) -> None:
        """Its cluster is up: the first time by ``cluster up``, later as that had left it."""
        if not _left:
            assert self.up() == 0
            (self.place / "calls.jsonl").unlink()
            _left.update(objects=self.server.objects, state=self.state, place=str(self.place))
        own = {"kubeconfig": self.state["kubeconfig"]}
        state = json.dumps(_left["state"]).replace(_left["place"], str(self.place))
        self.change(**{**json.loads(state), **own})
        self.server.objects = copy.deepcopy(_left["objects"])
        (self.place / "kubeconfig").write_text(own["kubeconfig"], encoding="utf-8")

    def calls(self, *beginning: str) -> list[list[str]]:
        """The calls of docker and kind that begin with these words."""
        file = self.place / "calls.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        return [call for call in found if call[: len(beginning)] == list(beginning)]


def _write_upstream(folder: Path) -> None:
    """A folder in the shape of upstream's manifests/kustomize, with Deployments of its names."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}}
    names = {"plural": "applications", "kind": "Application"}
    version = {
        "name": "v1beta1", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }  # fmt: skip
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.app.k8s.io"},
        "spec": {
            "group": "app.k8s.io", "names": names, "scope": "Namespaced", "versions": [version],
        },
    }  # fmt: skip
    _kustomization(folder / "cluster-scoped-resources", [namespace, crd])
    _kustomization(folder / "env" / "platform-agnostic", [_deployment(each) for each in NEEDED])


def _deployment(name: str) -> dict[str, Any]:
    container = {"name": name, "image": f"ghcr.io/kubeflow/{name}:2.17.0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "kubeflow"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container]},
            },
        },
    }


def _kustomization(folder: Path, documents: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    (folder / "kustomization.yaml").write_text("resources: [all.yaml]\n", encoding="utf-8")
