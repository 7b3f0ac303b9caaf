"""Just as much of SageMaker as the launcher sees of it: folders in, a command, folders out.

S3 is a folder of this machine. The emulator is more, and has tests of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.plan import Request
from tests.infra.aws.lowering import steps_of


class Ended(NamedTuple):
    """How a container ended, and the /opt/ml that it had."""

    code: int
    printed: str
    ml: Path


class World:
    """S3, and the containers that were run."""

    def __init__(self, folder: Path, request: Request) -> None:
        self.s3, self._folder, self._request = folder / "s3", folder, request
        self._models: dict[str, str] = {}
        body: Any = request.body
        for key, text in body["files"].items():
            self.put(f"s3://{body['bucket']}/{key}", text)

    def put(self, uri: str, text: str) -> None:
        """Put an object."""
        place = self.at(uri)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def at(self, uri: str) -> Path:
        """Where an address lies."""
        return self.s3 / uri.removeprefix("s3://")

    def run(self, name: str, host: int = 0, hosts: int = 1, **environment: str) -> Ended:
        """Run the job of a step of the pipeline."""
        step = steps_of(self._request)[name]
        return self.job(step["Type"], name, step["Arguments"], host, hosts, **environment)

    def job(
        self,
        kind: str,
        name: str,
        given: Mapping[str, Any],
        host: int = 0,
        hosts: int = 1,
        **environment: str,
    ) -> Ended:
        """Run one container of a job, and put away what it leaves where it ended well."""
        process, ml = self.start(kind, name, given, host, hosts, **environment)
        printed, _ = process.communicate(timeout=60)
        if process.returncode == 0:
            self._collect(kind, name, given, ml)
        return Ended(process.returncode, printed, ml)

    def start(
        self,
        kind: str,
        name: str,
        given: Mapping[str, Any],
        host: int = 0,
        hosts: int = 1,
        **environment: str,
    ) -> tuple[subprocess.Popen[str], Path]:
        """The container's process, and its /opt/ml."""
        ml = self._folder / "containers" / f"{name}-{host}" / "opt" / "ml"
        shutil.rmtree(ml, ignore_errors=True)
        for path, uri in _reads(kind, given):
            self._fetch(uri, ml / path)
        names = [f"algo-{number + 1}" for number in range(hosts)]
        if kind == "Training":
            (ml / "input" / "config").mkdir(parents=True)
            told = {"current_host": names[host], "hosts": names}
            (ml / "input" / "config" / "resourceconfig.json").write_text(json.dumps(told))
        key = "AlgorithmSpecification" if kind == "Training" else "AppSpecification"
        _, launcher = given[key]["ContainerEntrypoint"]
        process = subprocess.Popen(
            [sys.executable, ml / launcher.removeprefix("/opt/ml/")],
            env={"PATH": os.environ["PATH"], **environment}, text=True, cwd=self._folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return process, ml

    def _fetch(self, uri: Any, place: Path) -> None:
        if isinstance(uri, dict):
            uri = self._models[uri["Get"].split(".")[1]]
        source = self.at(uri)
        place.mkdir(parents=True)
        if source.is_file():
            shutil.copy(source, place / source.name)
            return
        for file in source.rglob("*"):
            if file.is_file():  # S3 has no folders
                target = place / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)

    def _collect(self, kind: str, name: str, given: Mapping[str, Any], ml: Path) -> None:
        if kind == "Training":
            self._models[name] = f"{given['OutputDataConfig']['S3OutputPath']}/x/output/model/"
            shutil.copytree(ml / "model", self.at(self._models[name]))
            return
        for each in given["ProcessingOutputConfig"]["Outputs"]:
            place = ml / each["S3Output"]["LocalPath"].removeprefix("/opt/ml/")
            shutil.copytree(place, self.at(each["S3Output"]["S3Uri"]), dirs_exist_ok=True)


def _reads(kind: str, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if kind == "Training":
        return [
            (f"input/data/{each['ChannelName']}", each["DataSource"]["S3DataSource"]["S3Uri"])
            for each in given["InputDataConfig"]
        ]
    return [
        (each["S3Input"]["LocalPath"].removeprefix("/opt/ml/"), each["S3Input"]["S3Uri"])
        for each in given["ProcessingInputs"]
    ]
